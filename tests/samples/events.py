"""What API Gateway sends to the sample functions."""

from __future__ import annotations

from typing import Any


def event(order: str, *, route: str = "GET /orders/{id}", **claims: str) -> dict[str, Any]:
    """Return an HTTP API event whose caller has these claims."""
    return {
        "version": "2.0",
        "routeKey": route,
        "pathParameters": {"id": order},
        "requestContext": {"authorizer": {"jwt": {"claims": claims}}},
    }


SUE = {"sub": "sue", "roles": "support", "region": "eu"}
MIA = {"sub": "mia", "roles": "manager", "region": "eu"}
EVENTS = {
    "own": event("o-1", sub="carol", roles="customer", region="eu"),
    "denied": event("o-1", sub="dave", roles="customer", region="us"),
    "masked": event("o-1", **SUE),
    "audited": event("o-1", sub="ann", roles="auditor", region="eu"),
    "step up": event("o-1", route="POST /orders/{id}/refund", **MIA),
    "refund": event("o-1", route="POST /orders/{id}/refund", mfa="true", **MIA),
    "unknown": event("o-9", sub="carol", roles="customer", region="eu"),
}
STATUSES = {
    "own": 200,
    "denied": 403,
    "masked": 200,
    "audited": 200,
    "step up": 403,
    "refund": 200,
    "unknown": 404,
}
