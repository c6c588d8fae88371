"""The OpenAPI document says what the agent does: schemathesis asks it by the document."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from policy_agent.config import AuthZen
from policy_agent.model import Bundle, Manifest, Snapshot
from policy_agent.rego import Policy
from policy_agent.server.app import App
from policy_agent.server.openapi import document
from policy_agent.server.routes import ROUTES
from policy_agent.server.services import Services
from tests.server.conftest import LIMITS, Harness, running

POLICY = """package app

default allow := false

allow if input.user == "bob"

everybody contains {"type": "user", "id": "bob"}
"""
# Not `unsupported_method`: OPA's 405 has no Allow. Not those on which data is good or bad either:
# OPA's data API takes nearly everything.
CHECKS = [
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def api():
    harness = Harness()
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(harness, "status", lambda: {"bundles": {}})
    policy = Policy.from_modules(
        {"app.rego": POLICY, "health.rego": "package system.health\n\nlive := true\n"}
    )
    bundle = Bundle("main", Manifest("r1"), {"app.rego": POLICY}, {})
    harness.decisions.snapshot = Snapshot(policy, {"main": bundle})
    services = Services(
        decisions=harness.decisions,
        overview=harness,
        freshness=harness,
        limits=LIMITS,
        default_decision="app/allow",
        show_decision_ids=True,
        authzen=AuthZen(
            decision="app/allow",
            searches=dict.fromkeys(("subject", "resource"), "app/everybody"),
        ),
    )
    with running(App(services)) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


OPERATIONS = [
    (method, path) for path, operations in document()["paths"].items() for method in operations
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_documented(api, method, path):
    checks = CHECKS
    if path in ("/v1/compile", "/health/{path}"):
        checks = [check for check in CHECKS if check is not not_a_server_error]

    @settings(
        max_examples=5,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=api[path][method.upper()].as_strategy())
    def ask(case):
        case.call_and_validate(checks=checks)

    ask()


def test_every_resource_is_documented_and_nothing_else():
    documented = {path.partition("/{")[0]: operations for path, operations in
                  document()["paths"].items()}  # fmt: skip
    assert documented.keys() == {route.path for route in ROUTES}
    for path, operations in document()["paths"].items():
        [route] = [route for route in ROUTES if route.path == path.partition("/{")[0]]
        assert {name.upper() for name in operations} <= route.handlers.keys()
        assert route.subtree or "{" not in path
