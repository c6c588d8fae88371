"""Where and how `policy-agent run` listens: real processes, real sockets."""

import contextlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys

import httpx
import pytest
from cryptography import x509
from cryptography.x509 import NameOID

from policy_agent.errors import ConfigError
from policy_agent.listening import open_listeners
from policy_agent.server.tls import ServerTls, TlsFiles, distinguished_name
from tests.server.certificates import Authority
from tests.support import wait_until

AGENT = [sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())", "run"]


def free_ports(count):
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def running(tmp_path, *flags):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "app.rego").write_text("package app\n\nallow := true\n")
    state = f"persistence_directory={tmp_path}/state"
    process = subprocess.Popen(
        [*AGENT, "-b", "policies", "--set", state, *flags], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def answer_of(client, path="/v1/data/app/allow"):
    with contextlib.suppress(httpx.TransportError):
        return client.get(path)
    return None


def test_everything_is_served_on_each_address_and_diagnostics_alone_on_theirs(tmp_path):
    first, second, diagnostic = free_ports(3)
    path = tmp_path / "agent.sock"
    with running(
        tmp_path,
        *("--addr", f"127.0.0.1:{first},http://127.0.0.1:{second}", "--addr", f"unix://{path}"),
        *("--unix-socket-perm", "700", "--diagnostic-addr", f"127.0.0.1:{diagnostic}"),
        *("--ready-timeout", "20"),
    ):
        with httpx.Client(base_url=f"http://127.0.0.1:{first}") as client:
            wait_until(lambda: answer_of(client))
            # It listens only once it is ready.
            assert client.get("/v1/data/app/allow").json() == {"result": True}
        with httpx.Client(base_url=f"http://127.0.0.1:{second}") as client:
            assert client.get("/v1/data/app/allow").json() == {"result": True}
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://agent") as client:
            assert client.post("/v1/data/app/allow", json={}).json()["result"] is True
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with httpx.Client(base_url=f"http://127.0.0.1:{diagnostic}") as client:
            assert client.get("/health?bundles").json() == {}
            assert "http_request_duration_seconds" in client.get("/metrics").text
            assert client.get("/v1/data/app/allow").status_code == 404


def test_it_ends_when_it_is_not_ready_in_time(tmp_path):
    [port] = free_ports(1)
    command = [*AGENT, "--addr", f"127.0.0.1:{port}", "--ready-timeout", "5", "-b", "none"]
    done = subprocess.run(
        [*command, "--set", f"persistence_directory={tmp_path}/state"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "not ready in 5 s: one or more bundles are not activated: none" in done.stderr


def test_addresses_without_a_scheme_are_https_once_there_is_a_certificate(tmp_path):
    secure, plain = free_ports(2)
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost", (NameOID.COMMON_NAME, "first"))
    with running(
        tmp_path,
        *("--addr", f"127.0.0.1:{secure}", "--addr", f"http://127.0.0.1:{plain}"),
        *("--tls-cert-file", str(certificate), "--tls-private-key-file", str(key)),
        *("--tls-cert-refresh-period", "0.02"),
    ):
        context = ssl.create_default_context(cafile=authority.file)
        with httpx.Client(base_url=f"https://127.0.0.1:{secure}", verify=context) as client:
            wait_until(lambda: answer_of(client, "/health?bundles"))
            wait_until(lambda: client.get("/v1/data/app/allow").json() == {"result": True})
        with httpx.Client(base_url=f"http://127.0.0.1:{plain}") as client:
            assert client.get("/v1/data/app/allow").json() == {"result": True}

        def served_name():
            with (
                socket.create_connection(("127.0.0.1", secure)) as connection,
                context.wrap_socket(connection, server_hostname="127.0.0.1") as tls,
            ):
                return x509.load_der_x509_certificate(
                    tls.getpeercert(True) or b""
                ).subject.rfc4514_string()

        assert served_name() == "CN=first"
        authority.issue("localhost", (NameOID.COMMON_NAME, "second"))
        wait_until(lambda: served_name() == "CN=second")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ftp://127.0.0.1:1", "scheme other than"),
        ("https://127.0.0.1:0", "needs --tls-cert-file"),
        ("127.0.0.1:none", "cannot listen"),
        ("unix:///none/agent.sock", "No such file"),
    ],
)
def test_an_address_that_cannot_be_had_is_named_and_nothing_stays_open(address, problem):
    [port] = free_ports(1)
    addresses = [f"127.0.0.1:{port}", address]
    with pytest.raises(ConfigError, match=problem):
        open_listeners(addresses, has_certificate=False, unix_permissions=0o755)
    socket.create_server(("127.0.0.1", port)).close()


def test_an_abstract_socket_has_no_file():
    name = f"@policy-agent-{os.getpid()}"
    [listener] = open_listeners([f"unix://{name}"], has_certificate=False, unix_permissions=0o755)
    assert listener.sock.getsockname() == b"\0" + name[1:].encode()
    listener.sock.close()


def test_a_certificate_that_cannot_be_used_is_named(tmp_path):
    authority = Authority(tmp_path)
    certificate, _ = authority.issue("a", (NameOID.COMMON_NAME, "a"))
    _, other_key = authority.issue("b", (NameOID.COMMON_NAME, "b"))
    with pytest.raises(ConfigError, match=r"a\.pem"):
        ServerTls(TlsFiles(certificate, other_key))
    with pytest.raises(ConfigError, match="No such file"):
        ServerTls(TlsFiles(tmp_path / "none.pem", other_key))


EMPTY = dict.fromkeys(
    ("SerialNumber", "CommonName", "PostalCode", "StreetAddress", "Province", "Locality",
     "OrganizationalUnit", "Organization", "Country"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"CommonName": "bob", "Organization": ["B", "A"]}, "CN=bob,O=B+O=A"),
        ({"CommonName": " a "}, "CN=\\ a\\ "),
        ({"CommonName": "#a,b"}, "CN=\\#a\\,b"),
        ({"CommonName": " "}, "CN=\\ "),
        ({}, ""),
    ],
)
def test_a_subject_is_written_as_go_writes_it(fields, text):
    assert distinguished_name({**EMPTY, **fields}) == text
