"""Connections that show and demand certificates."""

import asyncio
import time

import pytest

from policy_agent.config import Service
from policy_agent.config.credentials import ClientTls
from policy_agent.credentials.tls import TlsFiles
from policy_agent.errors import TransportError
from policy_agent.service import ServiceClient
from tests.certificates import Authority
from tests.support import http_server, reply


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def names():
    return []


@pytest.fixture
def demanding(authority, names):
    """A server that wants a certificate of ours and keeps its name."""

    def handle(request, _):
        names.append(request.connection.getpeercert()["subject"][0][0][1])
        reply(request, 200, b"ok")

    with http_server(handle, authority.asking_context()) as url:
        yield url


def ask(client):
    return asyncio.run(client.request("GET", "/b")).body


def client_of(url, ca, files=None, **facts):
    credentials = ClientTls(files.cert, files.key, **facts) if files else None
    return ServiceClient(Service("s", url, ca_cert=ca, credentials=credentials))


@pytest.mark.parametrize("passphrase", ["", "opensesame"], ids=["plain", "encrypted"])
def test_the_certificate_is_shown(authority, demanding, names, passphrase):
    files = authority.issue("agent", passphrase=passphrase)
    assert ask(client_of(demanding, authority.ca, files, passphrase=passphrase)) == b"ok"
    assert names == ["agent"]


def test_a_rotated_certificate_is_used_from_the_next_connection(authority, demanding, names):
    files = authority.issue("agent")
    client = client_of(demanding, authority.ca, files)
    ask(client)
    renewed = authority.issue("renewed")
    for old, new in ((files.cert, renewed.cert), (files.key, renewed.key)):
        with open(new, "rb") as source, open(old, "wb") as target:
            target.write(source.read())
    ask(client)
    assert names == ["agent", "renewed"]


def test_within_the_reread_interval_files_are_not_looked_at(authority, monkeypatch):
    files = authority.issue("agent")
    credentials = ClientTls(files.cert, files.key, reread_seconds=60)
    tls = TlsFiles(Service("s", "https://s", credentials=credentials))
    first = tls.context()
    with open(files.cert, "w"):
        pass
    assert tls.context() is first
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with pytest.raises(TransportError, match="do not fit"):
        tls.context()


def test_without_a_certificate_the_server_hangs_up(authority, demanding, names):
    # What the server says may be lost with the connection that it closes at once.
    with pytest.raises(TransportError, match=r"^localhost:\d+: "):
        ask(client_of(demanding, authority.ca))
    assert names == []


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda files: files.cert, r"client_tls: certificate, key and passphrase do not fit"),
        (lambda files: files.key, r"client_tls: certificate, key and passphrase do not fit"),
    ],
    ids=["certificate", "key"],
)
def test_files_that_do_not_fit_are_named(authority, demanding, break_it, message):
    files = authority.issue("agent")
    with open(break_it(files), "w") as file:
        file.write("nothing")
    with pytest.raises(TransportError, match=message):
        ask(client_of(demanding, authority.ca, files))


def test_a_wrong_passphrase_is_told_and_never_asked_for(authority, demanding):
    files = authority.issue("agent", passphrase="right")
    for passphrase in ("", "wrong"):
        with pytest.raises(TransportError, match="passphrase do not fit") as raised:
            ask(client_of(demanding, authority.ca, files, passphrase=passphrase))
        assert "wrong" not in str(raised.value)


def test_missing_files_are_named_by_their_setting(authority, demanding):
    files = authority.issue("agent")
    missing = ClientTls(files.cert, files.key + "x")
    with pytest.raises(TransportError, match=r"services\.s\.credentials\.client_tls\.private_key"):
        TlsFiles(Service("s", demanding, credentials=missing)).context()
    with pytest.raises(TransportError, match=r"services\.s\.tls\.ca_cert: cannot be read"):
        ask(client_of(demanding, authority.ca + "x"))
    with pytest.raises(TransportError, match=r"services\.s\.tls\.ca_cert: has no PEM"):
        ask(client_of(demanding, files.key))


@pytest.mark.parametrize(
    ("name", "days", "message"),
    [
        ("localhost", 0, "certificate has expired"),
        ("elsewhere", 1, "certificate is not valid for 'localhost'"),
    ],
)
def test_a_server_certificate_that_is_wrong_is_refused(authority, name, days, message):
    context = authority.server_context(name, days=days)
    with http_server(lambda request, _: reply(request, 200), context) as url:
        with pytest.raises(TransportError, match=f"is not trusted: .*{message}"):
            ask(client_of(url, authority.ca))
        insecure = Service("s", url, allow_insecure_tls=True)
        assert asyncio.run(ServiceClient(insecure).request("GET", "/")).status == 200


def test_only_the_configured_authority_is_trusted_unless_the_systems_is_asked_for(authority):
    only = TlsFiles(Service("s", "https://s", ca_cert=authority.ca)).context()
    assert len(only.get_ca_certs()) == 1
    service = Service("s", "https://s", ca_cert=authority.ca, system_ca_required=True)
    assert len(TlsFiles(service).context().get_ca_certs()) > 1


def test_a_redirect_may_not_leave_tls(authority):
    with http_server(lambda request, _: reply(request, 200)) as plain:

        def handle(request, _):
            reply(request, 302, Location=plain)

        with (
            http_server(handle, authority.server_context()) as url,
            pytest.raises(TransportError, match=r"redirected from https to .* without TLS"),
        ):
            ask(client_of(url, authority.ca))
