"""Turn the events of API Gateway and load balancers into input for a policy.

Pure. What the gateway has verified (an authorizer's claims, a signed request, a client certificate)
becomes `subject`; nothing is taken from headers that a caller can write, except where a load
balancer writes them itself. The caller's token is not part of the input: pass `token_of(event)` as
`token`, for an agent that verifies it.

Sources: API Gateway's payload formats 1.0 and 2.0, ALB's Lambda events, ALB's authentication and
mutual TLS headers (AWS documentation, July 2026).
"""

from __future__ import annotations

import base64
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Event = Mapping[str, Any]

ANONYMOUS = {"kind": "anonymous"}


def input_of(event: Event) -> dict[str, Any]:
    """Return `subject`, `action` and `resource` of an HTTP event.

    `action` is the route as it is configured (`GET /orders/{id}`), or the method and path where
    there are no routes; `resource` has the path, its parameters and those of the query.
    """
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    method = http.get("method") or event.get("httpMethod", "")
    path = event.get("rawPath") or http.get("path") or event.get("path", "")
    route = event.get("routeKey") or ""
    if " " not in route:
        route = f"{method} {event.get('resource') or path}"
    return {
        "subject": subject_of(event),
        "action": route,
        "resource": {
            "path": path,
            "parameters": dict(event.get("pathParameters") or {}),
            "query": dict(event.get("queryStringParameters") or {}),
        },
    }


def subject_of(event: Event) -> dict[str, Any]:
    """Return who calls, as far as the gateway has verified it.

    Always with `kind`: `jwt` (HTTP API), `cognito` (REST API), `iam`, `lambda` (an authorizer of
    yours), `alb` (OpenID Connect at a load balancer), `mtls`, or `anonymous`; with `id` where there
    is one, and `claims` where there are any. A client certificate is told as `certificate` too.
    """
    context = event.get("requestContext") or {}
    certificate = _certificate(event, context)
    subject = _authorized(context) or _iam(context) or _load_balancer(event, context)
    if subject is None:
        if certificate is None:
            return dict(ANONYMOUS)
        return {"kind": "mtls", "id": certificate["subject"], "certificate": certificate}
    return subject if certificate is None else {**subject, "certificate": certificate}


def token_of(event: Event) -> str:
    """Return the caller's bearer token, "" without one."""
    scheme, _, token = header(event, "authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def header(event: Event, name: str) -> str:
    """Return a header's value whatever the case of its name, "" without one; the last one counts.

    Args:
        name: in lower case.
    """
    for key, values in (event.get("multiValueHeaders") or {}).items():
        if key.lower() == name and values:
            return str(values[-1])
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name:
            return str(value)
    return ""


def _authorized(context: Mapping[str, Any]) -> dict[str, Any] | None:
    authorizer = context.get("authorizer") or {}
    if "jwt" in authorizer:
        jwt = authorizer["jwt"]
        claims = dict(jwt.get("claims") or {})
        subject = _with_id("jwt", claims.get("sub"), claims=claims)
        return {**subject, "scopes": list(jwt.get("scopes") or [])}
    if "claims" in authorizer:
        claims = dict(authorizer["claims"] or {})
        return _with_id("cognito", claims.get("sub"), claims=claims)
    if "iam" in authorizer:
        iam = authorizer["iam"]
        return _with_id("iam", iam.get("userArn"), account=iam.get("accountId"))
    own = authorizer.get("lambda", authorizer)
    if not own:
        return None
    return _with_id("lambda", own.get("principalId"), claims=dict(own))


def _iam(context: Mapping[str, Any]) -> dict[str, Any] | None:
    identity = context.get("identity") or {}
    if not identity.get("userArn"):
        return None
    pool = identity.get("cognitoIdentityId")
    subject = _with_id("iam", identity["userArn"], account=identity.get("accountId"))
    return {**subject, "cognito_identity": pool} if pool else subject


def _load_balancer(event: Event, context: Mapping[str, Any]) -> dict[str, Any] | None:
    # Elsewhere any caller can send these headers; a load balancer that authenticates sets them.
    data = header(event, "x-amzn-oidc-data")
    if "elb" not in context or data.count(".") != 2:
        return None
    return _with_id("alb", header(event, "x-amzn-oidc-identity"), claims=_payload(data))


def _payload(token: str) -> dict[str, Any]:
    segment = token.split(".")[1].rstrip("=")
    try:
        claims = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _certificate(event: Event, context: Mapping[str, Any]) -> dict[str, Any] | None:
    told = (context.get("authentication") or {}).get("clientCert")
    told = told or (context.get("identity") or {}).get("clientCert")
    if told:
        names = {"subject": "subjectDN", "issuer": "issuerDN", "serial": "serialNumber"}
        return {name: told.get(key, "") for name, key in names.items()}
    if "elb" in context and (subject := header(event, "x-amzn-mtls-clientcert-subject")):
        return {
            "subject": subject,
            "issuer": header(event, "x-amzn-mtls-clientcert-issuer"),
            "serial": header(event, "x-amzn-mtls-clientcert-serial-number"),
        }
    return None


def _with_id(kind: str, identifier: object, **facts: Any) -> dict[str, Any]:
    subject = {"kind": kind, **({"id": identifier} if identifier else {})}
    return subject | {name: fact for name, fact in facts.items() if fact is not None}
