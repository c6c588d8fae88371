"""The policies that the engine is measured on: what people write, and what makes engines slow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_SECRET = "a-secret-of-the-benchmark-and-of-nothing-else"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Workload:
    """One policy with one question; `path` is what is asked for below `data`."""

    name: str
    modules: dict[str, str]
    path: str
    input: Any
    data: dict[str, Any] = field(default_factory=dict)


def rbac_with_obligations() -> Workload:
    """Return the sample bundle: roles, attributes, obligations, reasons."""
    source = ROOT / "bundles" / "orders" / "orders"
    question = {
        "subject": {"id": "sue", "roles": ["support"], "region": "eu", "mfa": False},
        "action": "orders:read",
        "resource": {"type": "order", "id": "o-1", "owner": "carol", "region": "eu", "amount": 120},
    }
    return Workload(
        "RBAC with obligations",
        {"authz.rego": (source / "authz.rego").read_text("utf-8")},
        "orders/authz/decision",
        question,
        {"orders": json.loads((source / "data.json").read_text("utf-8"))},
    )


def api_with_token() -> Workload:
    """Return an API policy that verifies a JWT for each decision."""
    policy = """package api

default allow := false

allow if {
	[valid, _, claims] := io.jwt.decode_verify(input.token, {"secret": data.secret, "alg": "HS256"})
	valid
	some scope in split(claims.scope, " ")
	scope in data.routes[input.method][concat("/", array.slice(input.path, 0, 1))]
}
"""
    data = {"secret": _SECRET, "routes": {"GET": {"orders": ["orders:read", "admin"]}}}
    claims = {"sub": "alice", "scope": "profile orders:read"}
    question = {"method": "GET", "path": ["orders", "1"], "token": _token(claims)}
    return Workload("API with a JWT", {"api.rego": policy}, "api/allow", question, data)


def abac_with_conditions() -> Workload:
    """Return one rule of a hundred conditions, all of which hold."""
    lines = [f"\tinput.attributes.a{i} == {i}" for i in range(50)]
    lines += [f'\tstartswith(input.labels.l{i}, "v{i}-")' for i in range(50)]
    policy = "package abac\n\ndefault allow := false\n\nallow if {\n" + "\n".join(lines) + "\n}\n"
    question = {
        "attributes": {f"a{i}": i for i in range(50)},
        "labels": {f"l{i}": f"v{i}-x" for i in range(50)},
    }
    return Workload("ABAC, 100 conditions", {"abac.rego": policy}, "abac/allow", question)


def many_rules(count: int) -> Workload:
    """Return `count` rules told apart by one input path."""
    rules = [
        f'allow if {{\n\tinput.route == "r{i}"\n\tinput.role == "role{i % 7}"\n}}\n'
        for i in range(count)
    ]
    policy = "package routes\n\ndefault allow := false\n\n" + "\n".join(rules)
    wanted = count - 1
    question = {"route": f"r{wanted}", "role": f"role{wanted % 7}"}
    return Workload(f"{count:,} rules", {"routes.rego": policy}, "routes/allow", question)


def many_packages(count: int, rules: int) -> Workload:
    """Return `count` packages of `rules` rules each, of which one is asked."""
    modules = {
        f"p{number}.rego": policy.replace("package routes", f"package app.p{number}")
        for number in range(count)
        for policy in many_rules(rules).modules.values()
    }
    question = many_rules(rules).input
    return Workload(f"{count} packages of {rules}", modules, "app/p7/allow", question)


def much_data(megabytes: int) -> Workload:
    """Return one look-up in `megabytes` of base data."""
    policy = """package lookup

default allow := false

allow if {
	some grant in data.users[input.user].grants
	grant.resource == input.resource
	input.action in grant.actions
}
"""
    grants = [
        {"resource": f"res-{i}", "actions": ["read", "list"], "note": "x" * 20} for i in range(10)
    ]
    size = len(json.dumps(grants)) + 30
    users = {f"user-{i}": {"grants": grants} for i in range(megabytes * 1_000_000 // size)}
    question = {"user": "user-7", "resource": "res-9", "action": "list"}
    name = f"{megabytes} MB of data"
    return Workload(name, {"lookup.rego": policy}, "lookup/allow", question, {"users": users})


def sets_and_comprehensions() -> Workload:
    """Return a policy that builds and combines sets."""
    policy = """package sets

roles := {role | some role in input.roles}

granted contains permission if {
	some role in roles
	some permission in data.permissions[role]
}

missing := {permission | some permission in input.needed} - granted

by_kind[kind] := names if {
	some kind in {k | k := split(granted[_], ":")[0]}
	names := [name | some p in granted; parts := split(p, ":"); parts[0] == kind; name := parts[1]]
}

decision := {"allow": count(missing) == 0, "missing": missing, "by_kind": by_kind}
"""
    data = {
        "permissions": {
            f"role-{i}": [f"kind{j % 3}:perm-{i}-{j}" for j in range(10)] for i in range(5)
        }
    }
    question = {
        "roles": [f"role-{i}" for i in range(4)],
        "needed": ["kind0:perm-1-0", "kind1:perm-9-9"],
    }
    return Workload("sets, comprehensions", {"sets.rego": policy}, "sets/decision", question, data)


WORKLOADS: tuple[Callable[[], Workload], ...] = (
    rbac_with_obligations,
    api_with_token,
    abac_with_conditions,
    lambda: many_rules(10),
    lambda: many_rules(1000),
    lambda: many_rules(10_000),
    lambda: much_data(1),
    lambda: much_data(10),
    sets_and_comprehensions,
)


def _token(claims: dict[str, Any]) -> str:
    parts = [
        _base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signed = ".".join(parts)
    signature = hmac.new(_SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(signature)}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
