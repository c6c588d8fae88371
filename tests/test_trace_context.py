import pytest

from policy_agent.trace_context import read_trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ROOT = "1-5759e988-bd862e3fe1be46a994272793"


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"00-{TRACE}-{SPAN}-01", id="version 0"),
        pytest.param(f"01-{TRACE}-{SPAN}-01-later", id="a later version with more fields"),
    ],
)
def test_a_traceparent_names_trace_and_span(header):
    assert read_trace(header, "") == {"trace_id": TRACE, "span_id": SPAN}


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"ff-{TRACE}-{SPAN}-01", id="forbidden version"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no span"),
        pytest.param(f"00-{TRACE.upper()}-{SPAN}-01", id="upper case"),
        pytest.param(f"00-{TRACE}-{SPAN}", id="no flags"),
        pytest.param("\n", id="nonsense"),
    ],
)
def test_a_malformed_traceparent_is_ignored(header):
    assert read_trace(header, "") == {}


@pytest.mark.parametrize(
    "header",
    [f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1", f"Self=1-a;Root={ROOT}", f"Root={ROOT}"],
)
def test_an_xray_header_names_its_root(header):
    assert read_trace("", header) == {"xray_trace_id": ROOT}


@pytest.mark.parametrize("header", ["Root=1-2-3", f"NotRoot={ROOT}", f"Root={ROOT}0", "Sampled=1"])
def test_a_malformed_xray_header_is_ignored(header):
    assert read_trace("", header) == {}
