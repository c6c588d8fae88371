import json

import pytest

from policy_agent.emulator.extension_rules import (
    ExtensionState,
    parse_registration,
    refused_transition,
)
from policy_agent.emulator.refusal import Refusal

LEGAL = {
    (ExtensionState.STARTED, ExtensionState.REGISTERED),
    (ExtensionState.REGISTERED, ExtensionState.READY),
    (ExtensionState.RUNNING, ExtensionState.READY),
    (ExtensionState.REGISTERED, ExtensionState.INIT_ERROR),
    (ExtensionState.REGISTERED, ExtensionState.EXIT_ERROR),
    (ExtensionState.READY, ExtensionState.EXIT_ERROR),
    (ExtensionState.RUNNING, ExtensionState.EXIT_ERROR),
}
CALLS = (
    ExtensionState.REGISTERED,
    ExtensionState.READY,
    ExtensionState.INIT_ERROR,
    ExtensionState.EXIT_ERROR,
)


@pytest.mark.parametrize("target", CALLS)
@pytest.mark.parametrize("state", list(ExtensionState))
def test_exactly_the_legal_transitions_are_allowed(state, target):
    refused = refused_transition("agent", state, target)
    if (state, target) in LEGAL:
        assert refused is None
    else:
        assert refused is not None
        assert (refused.status, refused.error_type) == (403, "Extension.InvalidExtensionState")


@pytest.mark.parametrize(
    ("body", "events"),
    [
        pytest.param(b"", set(), id="no-body"),
        pytest.param(b"{}", set(), id="no-events"),
        pytest.param(b'{"events": []}', set(), id="empty"),
        pytest.param(b'{"events": ["INVOKE"]}', {"INVOKE"}, id="invoke"),
        pytest.param(
            b'{"events": ["INVOKE", "SHUTDOWN"]}', {"INVOKE", "SHUTDOWN"}, id="invoke-shutdown"
        ),
    ],
)
def test_registration_returns_the_events_asked_for(body, events):
    assert parse_registration(body, internal=False) == events


@pytest.mark.parametrize(
    ("body", "internal", "error_type"),
    [
        pytest.param(b"{", False, "InvalidRequestFormat", id="not-json"),
        pytest.param(b"[]", False, "InvalidRequestFormat", id="not-an-object"),
        pytest.param(b'{"events": "INVOKE"}', False, "InvalidRequestFormat", id="not-a-list"),
        pytest.param(
            b'{"configurationKeys": []}', False, "InvalidRequestFormat", id="configuration-keys"
        ),
        pytest.param(
            b'{"events": ["START"]}', False, "Extension.InvalidEventType", id="unknown-event"
        ),
        pytest.param(b'{"events": [{}]}', False, "Extension.InvalidEventType", id="not-a-name"),
        pytest.param(
            json.dumps({"events": ["SHUTDOWN"]}).encode(),
            True,
            "Extension.InvalidEventType",
            id="internal-shutdown",
        ),
    ],
)
def test_registration_refuses_with_lambdas_error_type(body, internal, error_type):
    refused = parse_registration(body, internal=internal)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.error_type) == (403, error_type)
