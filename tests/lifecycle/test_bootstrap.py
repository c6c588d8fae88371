import json
import socket

import pytest

from policy_agent.lifecycle.bootstrap import RefusedError, idle, listen, register
from tests.support import http_server, reply


def api_of(url):
    return url.removeprefix("http://")


def test_register_asks_for_both_events_under_the_files_name():
    seen = []

    def handle(request, body):
        seen.append((request.path, request.headers["Lambda-Extension-Name"], json.loads(body)))
        reply(request, 200, b'{"functionName":"f"}', Lambda_Extension_Identifier="id-1")

    with http_server(handle) as url:
        registration = register(api_of(url), "policy-agent")
    assert seen == [
        ("/2020-01-01/extension/register", "policy-agent", {"events": ["INVOKE", "SHUTDOWN"]})
    ]
    assert registration.identifier == "id-1"
    assert registration.function == b'{"functionName":"f"}'


def test_where_invoke_is_refused_shutdown_alone_is_registered():
    def handle(request, body):
        if "INVOKE" in json.loads(body)["events"]:
            reply(request, 403, b'{"errorType":"Extension.InvalidEventType"}')
        else:
            reply(request, 200, b"{}", Lambda_Extension_Identifier="id-1")

    with http_server(handle) as url:
        assert register(api_of(url), "policy-agent").events == ("SHUTDOWN",)


def test_a_refusal_names_its_reason():
    with (
        http_server(lambda request, body: reply(request, 403, b'{"errorType":"X.Y"}')) as url,
        pytest.raises(RefusedError, match=r"403.*X\.Y"),
    ):
        register(api_of(url), "policy-agent")


def test_idling_asks_for_events_until_shutdown():
    events = [b'{"eventType":"INVOKE"}', b'{"eventType":"INVOKE"}', b'{"eventType":"SHUTDOWN"}']
    asked = []

    def handle(request, body):
        if request.path.endswith("/register"):
            reply(request, 200, b"{}", Lambda_Extension_Identifier="id-1")
        else:
            asked.append(request.headers["Lambda-Extension-Identifier"])
            reply(request, 200, events.pop(0))

    with http_server(handle) as url:
        assert idle(register(api_of(url), "policy-agent")) == 0
    assert asked == ["id-1"] * 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "", "[::1]"])
def test_the_port_accepts_before_anything_is_served(host, unused_port):
    listener = listen(f"{host}:{unused_port}")
    assert listener is not None
    with socket.create_connection(("::1" if ":" in host else "127.0.0.1", unused_port)):
        pass
    listener.close()


def test_an_address_that_cannot_be_had_is_none(unused_port):
    with socket.create_server(("127.0.0.1", unused_port)):
        assert listen(f"127.0.0.1:{unused_port}") is None
    assert listen("127.0.0.1:http") is None
    assert listen("nonsense") is None
