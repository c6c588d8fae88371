"""`http.send` against a real local server."""

import json

import pytest

from policy_agent.rego.builtins.http import BUILTINS
from policy_agent.rego.builtins.registry import BuiltinError
from policy_agent.rego.context import Context
from tests.support import http_server, reply

send = BUILTINS["http.send"].function
LOCAL = frozenset(("127.0.0.1",))


@pytest.fixture
def server():
    seen = []

    def handle(request, body):
        seen.append((request.command, request.path, dict(request.headers), body))
        if request.path == "/moved":
            reply(request, 302, location="/json")
        elif request.path == "/away":
            reply(request, 302, location="http://localhost:1/")
        elif request.path == "/text":
            reply(request, 200, b'{"a": 1}')
        elif request.path == "/bad":
            reply(request, 500, b"no")
        else:
            reply(request, 200, b'{"a": 1.50}', **{"Content-Type": "application/json"})

    with http_server(handle) as url:
        yield url, seen


def ask(address, context=None, **options):
    request = {"method": "get", "url": address, **options}
    return send(context or Context(allow_net=LOCAL), request)


def test_an_answer_has_opas_shape_and_exact_numbers(server):
    url, _ = server
    answer = ask(f"{url}/json")
    assert answer["status_code"] == 200
    assert answer["status"].startswith("200 ")
    assert answer["raw_body"] == '{"a": 1.50}'
    assert answer["body"]["a"].text == "1.50"
    assert answer["headers"]["content-type"] == ["application/json"]


def test_method_headers_and_body_are_sent(server):
    url, seen = server
    ask(f"{url}/x", method="post", body={"b": [1]}, headers={"X-A": "y"})
    method, path, headers, body = seen[0]
    assert (method, path, headers["X-A"]) == ("POST", "/x", "y")
    assert json.loads(body) == {"b": [1]}


def test_a_raw_body_goes_before_a_body(server):
    url, seen = server
    ask(f"{url}/x", method="post", body={"b": 1}, raw_body="raw")
    assert seen[0][3] == b"raw"


@pytest.mark.parametrize(
    ("options", "body"),
    [
        pytest.param({}, None, id="plain"),
        pytest.param({"force_json_decode": True}, {"a": 1}, id="forced"),
    ],
)
def test_a_body_is_decoded_only_as_its_type_says_or_when_forced(server, options, body):
    url, _ = server
    assert ask(f"{url}/text", **options)["body"] == body


def test_equal_requests_of_one_evaluation_are_sent_once_and_recorded(server):
    url, seen = server
    context = Context(allow_net=LOCAL)
    first, second = ask(f"{url}/json", context), ask(f"{url}/json", context)
    assert first is second
    assert len(seen) == 1
    assert list(context.nd_cache["http.send"].values()) == [first]


def test_ignored_headers_do_not_tell_requests_apart(server):
    url, seen = server
    context = Context(allow_net=LOCAL)
    for trace in ("1", "2"):
        options = {"headers": {"X-Trace": trace}, "cache_ignored_headers": ["X-Trace"]}
        ask(f"{url}/json", context, **options)
    assert len(seen) == 1


def test_an_answer_that_may_not_be_cached_is_asked_for_again(server):
    url, seen = server
    context = Context(allow_net=LOCAL)
    assert [ask(f"{url}/bad", context)["status_code"] for _ in range(2)] == [500, 500]
    assert len(seen) == 2


def test_force_cache_keeps_an_answer_for_later_evaluations(server):
    url, seen = server
    options = {"force_cache": True, "force_cache_duration_seconds": 60}
    for now_ns in (0, 59_000_000_000, 61_000_000_000):
        ask(f"{url}/kept", Context(allow_net=LOCAL, now_ns=now_ns), **options)
    assert len(seen) == 2


def test_redirects_are_followed_only_when_asked(server):
    url, _ = server
    assert ask(f"{url}/moved")["status_code"] == 302
    assert ask(f"{url}/moved", enable_redirect=True)["status_code"] == 200


def test_a_redirect_to_a_host_that_is_not_allowed_is_refused(server):
    url, _ = server
    with pytest.raises(BuiltinError, match="disallowed host: localhost"):
        ask(f"{url}/away", enable_redirect=True)


@pytest.mark.parametrize(
    ("allow_net", "message"),
    [
        pytest.param(None, "not listed in allow_net", id="nothing_said"),
        pytest.param(frozenset(), "disallowed host: 127.0.0.1", id="none"),
        pytest.param(frozenset(("example.com",)), "disallowed host: 127.0.0.1", id="another"),
    ],
)
def test_only_listed_hosts_are_reached(server, allow_net, message):
    url, seen = server
    with pytest.raises(BuiltinError, match=message):
        ask(url, Context(allow_net=allow_net))
    assert not seen


def test_no_answer_is_a_value_when_raise_error_is_false(unused_port):
    answer = ask(f"http://127.0.0.1:{unused_port}", raise_error=False)
    assert answer["status_code"] == 0
    assert answer["error"]["code"] == "eval_http_send_network_error"


def test_a_wrong_request_is_a_value_when_raise_error_is_false():
    answer = send(Context(), {"method": "get", "raise_error": False})
    assert answer["error"] == {
        "code": "eval_http_send_internal_error",
        "message": "eval_type_error: http.send: operand 1 missing required request "
        'parameters(s): {"url"}',
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"zz": 1}, "invalid request parameters", id="unknown_key"),
        pytest.param({"url": 1}, '"url" must be a string', id="url"),
        pytest.param({"timeout": "x"}, "invalid timeout value", id="timeout"),
        pytest.param({"headers": 1}, "invalid type for headers key", id="headers"),
        pytest.param({"force_cache": True}, "parameter is missing", id="force_cache"),
        pytest.param({"max_retry_attempts": -1}, "max_retry_attempts", id="retries"),
        pytest.param({"tls_ca_cert": "x"}, "cannot use the certificates", id="ca"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(BuiltinError, match=message):
        ask("http://127.0.0.1:1", **options)
