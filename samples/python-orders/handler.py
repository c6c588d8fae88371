"""An order service behind API Gateway: every request is decided by the policy agent.

The caller's claims come from API Gateway's JWT authorizer, which has verified them. The function
itself only says who wants to do what to which order, and fulfils the obligations that come back.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from policy_agent.client import AgentUnavailableError, DeniedError, decide, enforce

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)

DECISION_PATH = "orders/authz/decision"
ORDERS = {
    "o-1": {
        "id": "o-1",
        "owner": "carol",
        "region": "eu",
        "amount": 120,
        "customer": {"name": "Carol", "email": "carol@example.com"},
        "payment": {"card": "4111111111111111"},
    },
    "o-2": {
        "id": "o-2",
        "owner": "dave",
        "region": "us",
        "amount": 900,
        "customer": {"name": "Dave", "email": "dave@example.com"},
        "payment": {"card": "5500005555555559"},
    },
}
ACTIONS = {"GET /orders/{id}": "orders:read", "POST /orders/{id}/refund": "orders:refund"}

Json = dict[str, Any]


def handle(event: Json, context: object) -> Json:
    """Answer one API Gateway HTTP API event (payload format 2.0)."""
    action = ACTIONS.get(event.get("routeKey", ""))
    order = ORDERS.get(event.get("pathParameters", {}).get("id", ""))
    if action is None or order is None:
        return _response(404, {"message": "not found"})
    question = {"subject": _subject(event), "action": action, "resource": _resource(order)}
    try:
        decision = decide(DECISION_PATH, question)
        log.info("decision %s allow=%s", decision.decision_id, decision.allow)
        body = enforce(decision, OBLIGATIONS, lambda: _act(action, order))
    except DeniedError as exc:
        step_up = [item["method"] for item in exc.obligations if item["type"] == "step_up"]
        return _response(403, {"message": "forbidden", "reasons": exc.reasons, "step_up": step_up})
    except AgentUnavailableError:
        log.exception("No decision")
        return _response(503, {"message": "authorization is unavailable"})
    return _response(200, body)


def _subject(event: Json) -> Json:
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    return {
        "id": claims["sub"],
        "roles": claims.get("roles", "").split(),
        "region": claims.get("region", ""),
        "mfa": claims.get("mfa") == "true",
    }


def _resource(order: Json) -> Json:
    return {"type": "order", **{key: order[key] for key in ("id", "owner", "region", "amount")}}


def _act(action: str, order: Json) -> Json:
    if action == "orders:refund":
        return {"id": order["id"], "refunded": order["amount"]}
    return order


def _mask_fields(obligation: Mapping[str, Any], order: Json) -> Json:
    masked: Json = json.loads(json.dumps(order))
    for path in obligation["fields"]:
        *parents, last = path.split(".")
        target = masked
        for name in parents:
            target = target.get(name, {})
        if last in target:
            target[last] = "***"
    return masked


def _audit(obligation: Mapping[str, Any], order: Json) -> Json:
    log.warning("audit level=%s order=%s", obligation["level"], order["id"])
    return order


OBLIGATIONS = {"mask_fields": _mask_fields, "audit": _audit}


def _response(status: int, body: Json) -> Json:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body),
    }
