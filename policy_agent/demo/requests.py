"""API Gateway HTTP API events (payload format 2.0) of the sample order service. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from policy_agent.model import JsonObject


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom API Gateway's JWT authorizer has authenticated."""

    id: str
    roles: str
    region: str = "eu"
    mfa: bool = False


def read_order(caller: Caller, order: str) -> JsonObject:
    """Return the event of `GET /orders/{id}`."""
    return _event("GET /orders/{id}", caller, order)


def refund_order(caller: Caller, order: str) -> JsonObject:
    """Return the event of `POST /orders/{id}/refund`."""
    return _event("POST /orders/{id}/refund", caller, order)


def _event(route: str, caller: Caller, order: str) -> JsonObject:
    claims = {
        "sub": caller.id,
        "roles": caller.roles,
        "region": caller.region,
        "mfa": "true" if caller.mfa else "false",
    }
    return {
        "version": "2.0",
        "routeKey": route,
        "pathParameters": {"id": order},
        "requestContext": {"authorizer": {"jwt": {"claims": claims, "scopes": None}}},
    }
