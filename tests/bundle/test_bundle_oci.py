"""Bundles in a real OCI registry: open, with passwords, and with tokens."""

import asyncio
import base64
import hashlib
import json
import re
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from policy_agent.bundle.download import Downloaded, NotModified
from policy_agent.bundle.oci import LAYER_TYPE, OciOrigin, Reference
from policy_agent.config import BundleSource, Delays, Service
from policy_agent.config.credentials import Bearer
from policy_agent.errors import BundleDownloadError
from policy_agent.service import ServiceClient
from tests.bundle.archives import bundle
from tests.bundle.test_bundle_manager import Rig
from tests.real_servers import exchange, free_port, program, running
from tests.support import OPA, http_server, needs_opa, reply

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
READER_HASH = "$2b$04$7JVuWxcHDNw/H/defQN7ruACNnKKR4kw7tyyqDYebKsqezVt8qPRy"  # bcrypt of "secret"


def registry(directory, auth=""):
    """Run `registry` (CNCF distribution); returns its context manager and its address."""
    port = free_port()
    (directory / "config.yaml").write_text(
        f"version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/blobs}}}}\n"
        f"http: {{addr: 127.0.0.1:{port}}}\n{auth}"
    )
    command = [program("registry"), "serve", "config.yaml"]
    return running(command, port, directory, OTEL_TRACES_EXPORTER="none"), f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    server, host = registry(tmp_path_factory.mktemp("registry"))
    with server:
        yield host


class Pusher:
    """Uploads blobs and manifests, as `oras push` does."""

    def __init__(self, host, repository, headers=None):
        self.url, self.repository = f"http://{host}", repository
        self.headers = headers or {}

    def blob(self, content):
        path = f"{self.url}/v2/{self.repository}/blobs/uploads/"
        started = exchange("POST", path, headers=self.headers)
        assert started.status == 202, started.body
        location = started.headers["location"]
        joint = "&" if "?" in location else "?"
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        octets = {**self.headers, "Content-Type": "application/octet-stream"}
        done = exchange("PUT", f"{location}{joint}digest={digest}", content, octets)
        assert done.status == 201, done.body
        return {"digest": digest, "size": len(content)}

    def manifest(self, document, tag, media_type=MANIFEST_TYPE):
        raw = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document}).encode()
        url = f"{self.url}/v2/{self.repository}/manifests/{tag}"
        done = exchange("PUT", url, raw, {**self.headers, "Content-Type": media_type})
        assert done.status == 201, done.body
        digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def artifact(self, raw, tag, layer_type=LAYER_TYPE):
        config = {"mediaType": CONFIG_TYPE, **self.blob(b"{}")}
        layer = {"mediaType": layer_type, **self.blob(raw)}
        return self.manifest({"config": config, "layers": [layer]}, tag)


def origin_of(host, name, credentials=None):
    service = Service("ghcr", f"http://{host}", is_registry=True, credentials=credentials)
    return OciOrigin(ServiceClient(service), f"{host}/{name}")


def pull(origin, etag=None):
    return asyncio.run(origin.fetch(etag, 10))


def test_an_artifact_is_pulled_by_its_tag_and_then_confirmed_by_its_digest(host):
    pusher = Pusher(host, "team/orders")
    pusher.artifact(raw := bundle("a"), "latest")
    origin = origin_of(host, "team/orders:latest")
    etag = hashlib.sha256(raw).hexdigest()
    assert pull(origin) == Downloaded(raw, etag)
    assert pull(origin, etag) == NotModified()
    pusher.artifact(raw := bundle("a", revision="r2"), "latest")
    assert pull(origin, etag).raw == raw


def test_a_pinned_digest_stays_what_it_was(host):
    pusher = Pusher(host, "team/pinned")
    pinned = pusher.artifact(first := bundle("a"), "v1")
    pusher.artifact(bundle("a", revision="r2"), "v1")
    assert pull(origin_of(host, f"team/pinned@{pinned['digest']}")).raw == first
    assert pull(origin_of(host, f"team/pinned:v1@{pinned['digest']}")).raw == first


def test_an_index_leads_to_the_bundle_past_what_build_tools_attach(host):
    pusher = Pusher(host, "team/index")
    attached = pusher.artifact(bundle("b"), "sbom")
    other = pusher.artifact(b"wasm", "wasm", layer_type="application/wasm")
    wanted = pusher.artifact(raw := bundle("a"), "bundle")
    unknown = {"os": "unknown", "architecture": "unknown"}
    entries = [{**attached, "platform": unknown}, other, wanted]
    pusher.manifest({"manifests": entries}, "all", INDEX_TYPE)
    assert pull(origin_of(host, "team/index:all")).raw == raw


@pytest.mark.parametrize(
    ("name", "message", "http_code"),
    [
        ("team/nothing:v1", "registry replied with Not Found", 404),
        ("team/other:wasm", f"no layer of type {re.escape(LAYER_TYPE)}", None),
        ("team/other", "invalid reference .*: must be registry/repository:tag", None),
        ("team/other@md5:12", "invalid reference", None),
    ],
)
def test_what_cannot_be_pulled_is_told(host, name, message, http_code):
    Pusher(host, "team/other").artifact(b"wasm", "wasm", layer_type="application/wasm")
    with pytest.raises(BundleDownloadError, match=message) as raised:
        pull(origin_of(host, name))
    assert raised.value.http_code == http_code


@pytest.mark.parametrize(
    ("text", "repository", "wanted"),
    [
        ("ghcr.io/org/repo:v1", "org/repo", "v1"),
        ("localhost:5000/repo:latest", "repo", "latest"),
        (f"r.io/a/b@sha256:{'0' * 64}", "a/b", f"sha256:{'0' * 64}"),
    ],
)
def test_references_are_read_as_docker_reads_them(text, repository, wanted):
    assert Reference.parse(text) == Reference(repository, wanted)


def test_a_manager_takes_a_bundle_from_a_registry(host, tmp_path):
    pusher = Pusher(host, "team/managed")
    pusher.artifact(bundle("a"), "latest")
    service = Service("ghcr", f"http://{host}", is_registry=True)
    source = BundleSource("authz", service, f"{host}/team/managed:latest", Delays(60, 120))
    rig = Rig(tmp_path).build([source])
    rig.start()
    pusher.artifact(bundle("a", revision="r2"), "latest")
    rig.later()
    assert rig.revisions == {"authz": "r2"}
    assert rig.status().to_json()["source"]["location"] == f"{host}/team/managed:latest"
    rig.later()
    assert len(rig.activated) == 2


def test_a_password_is_sent_as_opa_sends_it(tmp_path):
    (tmp_path / "users").write_text(f"reader:{READER_HASH}\n")
    server, host = registry(tmp_path, "auth: {htpasswd: {realm: r, path: users}}\n")
    with server:
        login = base64.b64encode(b"reader:secret").decode()
        pusher = Pusher(host, "private", {"Authorization": f"Basic {login}"})
        pusher.artifact(raw := bundle("a"), "v1")
        assert (
            pull(origin_of(host, "private:v1", Bearer("reader:secret", scheme="Basic"))).raw == raw
        )
        with pytest.raises(BundleDownloadError, match="Unauthorized"):
            pull(origin_of(host, "private:v1", Bearer("reader:wrong", scheme="Basic")))
        with pytest.raises(BundleDownloadError, match="Unauthorized"):
            pull(origin_of(host, "private:v1"))


class TokenServer:
    """Docker's token endpoint: a password for a token that this registry believes."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.asked = []
        self.lifetime = 300

    def jwks(self):
        numbers = self.key.public_key().public_numbers()

        def text(number):
            return base64.urlsafe_b64encode(number.to_bytes(32, "big")).decode().rstrip("=")

        key = {"kty": "EC", "crv": "P-256", "kid": "k", "x": text(numbers.x), "y": text(numbers.y)}
        return {"keys": [{**key, "alg": "ES256", "use": "sig"}]}

    def token(self, actions):
        access = [{"type": "repository", "name": "guarded", "actions": actions}]
        now = int(time.time())
        claims = {"iss": "tokens", "aud": "registry", "sub": "reader", "access": access}
        times = {"iat": now, "nbf": now - 5, "exp": now + 300}
        return jwt.encode({**claims, **times}, self.key, "ES256", {"kid": "k"})

    def handle(self, request, _):
        self.asked.append((request.path, request.headers["Authorization"]))
        login = base64.b64encode(b"reader:secret").decode()
        if request.headers["Authorization"] != f"Basic {login}":
            reply(request, 403)
            return
        document = {"token": self.token(["pull"]), "expires_in": self.lifetime}
        reply(request, 200, json.dumps(document).encode())


@pytest.fixture
def guarded(tmp_path):
    tokens = TokenServer()
    (tmp_path / "jwks.json").write_text(json.dumps(tokens.jwks()))
    with http_server(tokens.handle) as realm:
        server, host = registry(
            tmp_path,
            f"auth: {{token: {{realm: '{realm}/token?client=a', service: registry, "
            f"issuer: tokens, jwks: jwks.json}}}}\n",
        )
        with server:
            headers = {"Authorization": f"Bearer {tokens.token(['pull', 'push'])}"}
            yield tokens, host, Pusher(host, "guarded", headers)


def test_a_token_is_fetched_when_the_registry_asks_for_one_and_kept(guarded):
    tokens, host, pusher = guarded
    pusher.artifact(raw := bundle("a"), "v1")
    origin = origin_of(host, "guarded:v1", Bearer("reader:secret", scheme="Basic"))
    answer = pull(origin)
    assert answer.raw == raw
    assert pull(origin, answer.etag) == NotModified()
    path, _ = tokens.asked[0]
    assert path == "/token?client=a&service=registry&scope=repository%3Aguarded%3Apull"
    assert len(tokens.asked) == 1


def test_a_token_that_is_about_to_end_is_not_used_again(guarded):
    tokens, host, pusher = guarded
    tokens.lifetime = 5
    pusher.artifact(bundle("a"), "v1")
    origin = origin_of(host, "guarded:v1", Bearer("reader:secret", scheme="Basic"))
    pull(origin)
    assert len(tokens.asked) == 2, "one for the manifest, one for the layer"


def test_who_gets_no_token_is_told_so(guarded):
    _, host, _ = guarded
    with pytest.raises(BundleDownloadError, match=r"token endpoint .* answered 403 Forbidden"):
        pull(origin_of(host, "guarded:v1", Bearer("reader:wrong", scheme="Basic")))


class LyingRegistry:
    """Serves a manifest and a layer that are not what the digests say."""

    def __init__(self, raw, manifest=None):
        self.raw = raw
        layer = {"mediaType": LAYER_TYPE, "digest": f"sha256:{'0' * 64}", "size": len(raw)}
        self.manifest = json.dumps(manifest or {"layers": [layer]}).encode()
        self.digest = f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"
        self.requests = 0

    def handle(self, request, _):
        self.requests += 1
        if "/manifests/" in request.path:
            reply(request, 200, self.manifest, Docker_Content_Digest=self.digest)
        else:
            reply(request, 200, self.raw)


def lied_to(lying, name="r:v1"):
    with http_server(lying.handle) as url:
        host = url.removeprefix("http://")
        with pytest.raises(BundleDownloadError) as raised:
            pull(origin_of(host, name))
    return str(raised.value)


def test_bytes_that_are_not_those_of_the_digest_are_refused():
    assert "layer's bytes are not those of sha256:000" in lied_to(LyingRegistry(bundle("a")))
    lying = LyingRegistry(bundle("a"))
    lying.digest = f"sha256:{'1' * 64}"
    assert "manifest's bytes are not those of sha256:111" in lied_to(lying)
    pinned = f"r@sha256:{'2' * 64}"
    assert "manifest's bytes are not those of sha256:222" in lied_to(LyingRegistry(b""), pinned)


@pytest.mark.parametrize("manifest", [[1], {"layers": 3}, {"layers": [3]}, {"manifests": "x"}])
def test_a_malformed_manifest_is_an_error(manifest):
    assert "failed to pull" in lied_to(LyingRegistry(b"", manifest))


def test_an_index_of_itself_ends():
    entries = [{"digest": f"sha256:{at:064x}"} for at in range(200)]
    lying = LyingRegistry(b"", {"manifests": entries})
    lying.digest = ""
    assert "not those of sha256:000" in lied_to(lying)
    assert lying.requests == 2


@pytest.mark.opa
@needs_opa[1]
def test_opa_pulls_the_same_artifact(host, tmp_path):
    """What these tests push is what OPA takes."""
    Pusher(host, "team/both").artifact(bundle("a"), "latest")
    port = free_port()
    config = {
        "services": {"r": {"url": f"http://{host}", "type": "oci"}},
        "bundles": {"authz": {"service": "r", "resource": f"{host}/team/both:latest"}},
        "persistence_directory": str(tmp_path),
    }
    (tmp_path / "opa.json").write_text(json.dumps(config))
    command = [str(OPA), "run", "-s", "-a", f"127.0.0.1:{port}", "-c", str(tmp_path / "opa.json")]
    command += ["--skip-version-check", "--ready-timeout", "10"]
    with running(command, port, tmp_path):
        answer = exchange("GET", f"http://127.0.0.1:{port}/v1/data/a")
        assert json.loads(answer.body)["result"] == {"allow": True}
