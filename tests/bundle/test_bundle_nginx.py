"""Bundles behind nginx: TLS, client certificates, compression, ranges, and what goes wrong."""

import asyncio
import random

import pytest

from policy_agent.bundle.download import HttpOrigin, _Partial
from policy_agent.config import BundleSource, Delays, Service
from policy_agent.config.credentials import ClientTls
from policy_agent.service import ServiceClient
from tests.bundle.archives import bundle
from tests.bundle.test_bundle_manager import START, Rig, at
from tests.certificates import Authority
from tests.real_servers import free_port, nginx
from tests.support import make_bundle

CONFIG = """
server {{
    listen 127.0.0.1:{plain};
    location /moved/authz {{ return 301 /bundles/authz; }}
    location /loop {{ return 302 /loop; }}
    location /away {{ return 307 http://localhost:{plain}/bundles/authz; }}
    location /forbidden {{ return 403; }}
    location /missing {{ return 404; }}
    location /failing {{ return 500; }}
    location /busy {{ return 503; }}
    location /gone {{ proxy_pass http://127.0.0.1:1; }}
    location /login {{ default_type text/html; return 200 "<html>Please sign in"; }}
    location /text {{ default_type text/plain; return 200 "not a bundle"; }}
    location /zipped/ {{
        alias {directory}/www/bundles/; gzip on; gzip_types *; gzip_min_length 1;
        default_type application/x-tar;
    }}
    location /slow/ {{ alias {directory}/www/bundles/; limit_rate 1000; }}
    location /stuck/ {{ alias {directory}/www/bundles/; limit_rate 10; }}
}}
server {{
    listen 127.0.0.1:{tls} ssl; server_name localhost;
    ssl_certificate {server.cert}; ssl_certificate_key {server.key};
    ssl_client_certificate {ca}; ssl_verify_client optional;
    location /bundles/ {{ }}
    location /mine/ {{
        if ($ssl_client_verify != SUCCESS) {{ return 403; }}
        alias {directory}/www/bundles/;
    }}
    location /downgrade {{ return 302 http://127.0.0.1:{plain}/bundles/authz; }}
}}
"""


class Site:
    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority(directory)
        self.agent = self.authority.issue("agent")
        plain, tls = free_port(), free_port()
        self.plain, self.tls = f"http://127.0.0.1:{plain}", f"https://localhost:{tls}"
        self.config = CONFIG.format(
            plain=plain,
            tls=tls,
            directory=directory,
            server=self.authority.issue("localhost"),
            ca=self.authority.ca,
        )

    def publish(self, raw):
        unfinished = self.directory / "www" / "unfinished"
        unfinished.write_bytes(raw)
        unfinished.replace(self.directory / "www" / "bundles" / "authz")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("nginx"))
    (site.directory / "www" / "bundles").mkdir(parents=True)
    with nginx(site.directory, site.config):
        yield site


@pytest.fixture
def rig(site, tmp_path):
    site.publish(bundle("a"))
    return Rig(tmp_path)


def source(url, resource, **facts):
    service = Service("s", url, **facts)
    return BundleSource("authz", service, resource, Delays(60, 120), persist=False)


def test_a_static_file_is_confirmed_and_replaced(rig, site):
    rig.build([source(site.plain, "bundles/authz")]).start()
    rig.later()
    assert rig.status().last_successful_download_at == at(START)
    site.publish(bundle("a", revision="second"))
    rig.later()
    assert rig.revisions == {"authz": "second"}
    log = (site.directory / "access.log").read_text()
    assert '"GET /bundles/authz HTTP/1.1" 304' in log


@pytest.mark.parametrize("resource", ["moved/authz", "away"])
def test_a_redirect_leads_to_the_bundle(rig, site, resource):
    rig.build([source(site.plain, resource)]).start()
    assert rig.revisions == {"authz": "r1"}


def test_a_bundle_compressed_on_the_way_is_read(rig, site):
    site.publish(make_bundle({"p.rego": "package a"}, revision="r3"))
    rig.build([source(site.plain, "zipped/authz")]).start()
    assert rig.revisions == {"authz": "r3"}


@pytest.mark.parametrize(
    ("resource", "message", "http_code"),
    [
        ("forbidden", "server replied with Forbidden", 403),
        ("missing", "server replied with Not Found", 404),
        ("failing", "server replied with Internal Server Error", 500),
        ("busy", "server replied with Service Unavailable", 503),
        ("gone", "server replied with Bad Gateway", 502),
        ("loop", "request failed: stopped after 10 redirects", None),
        ("login", "server replied with an HTML page: is it the right URL, ", 200),
        ("text", "bundle read failed: archive read failed: gzip: invalid header", None),
        ("stuck/authz", "request failed: 127.0.0.1:", None),
    ],
)
def test_each_fault_is_told_and_leaves_what_is_active(rig, site, resource, message, http_code):
    rig.build([source(site.plain, "bundles/authz")]).start()
    active, slot = rig.manager.snapshot, rig.manager._slots["authz"]
    faulty = Rig(rig.directory).build([source(site.plain, resource)])
    slot.remote.origins = faulty.manager._slots["authz"].remote.origins
    site.publish(bundle("a", revision="never seen"))
    rig.later(timeout_seconds=0.5)
    assert rig.manager.snapshot is active
    status = rig.status().to_json()
    assert (status["code"], status["active_revision"]) == ("bundle_error", "r1")
    assert status["message"].startswith(message)
    assert status.get("http_code") == http_code
    assert rig.manager.due(), "the first retry is immediate"


def test_a_certificate_is_shown_where_one_is_wanted(rig, site):
    mine = ClientTls(site.agent.cert, site.agent.key)
    trusting = {"ca_cert": site.authority.ca}
    rig.build([source(site.tls, "mine/authz", credentials=mine, **trusting)]).start()
    assert rig.revisions == {"authz": "r1"}
    without = Rig(rig.directory).build([source(site.tls, "mine/authz", **trusting)])
    without.start()
    assert without.status().http_code == 403


@pytest.mark.parametrize(
    ("resource", "facts", "message"),
    [
        ("bundles/authz", {}, "its certificate is not trusted: unable to get local issuer"),
        ("downgrade", {"ca_cert": True}, "redirected from https to 127.0.0.1"),
    ],
)
def test_a_connection_that_is_not_safe_is_not_used(rig, site, resource, facts, message):
    if facts:
        facts = {"ca_cert": site.authority.ca}
    rig.build([source(site.tls, resource, **facts)]).start()
    assert rig.revisions is None
    assert message in rig.status().message


def test_nginx_gives_the_rest_of_a_bundle_that_was_cut(site):
    raw = bytes(range(256)) * 2000
    site.publish(raw)
    origin = HttpOrigin(ServiceClient(Service("s", site.plain)), "bundles/authz")
    etag = str(asyncio.run(origin.fetch(None, 5)).etag)
    origin._partial = _Partial(etag, raw[:300_000])
    assert asyncio.run(origin.fetch(None, 5)).raw == raw
    log = (site.directory / "access.log").read_text().splitlines()
    assert '" 206 212000 ' in log[-1]
    origin._partial = _Partial('"another"', raw[:300_000])
    assert asyncio.run(origin.fetch(None, 5)).raw == raw


def test_a_slow_download_gets_there_over_several_attempts(rig, site):
    """Each attempt is cut by its time limit, as by a freeze, and the next one goes on."""
    numbers = random.Random(1).choices(range(1 << 30), k=300)
    site.publish(bundle("a", revision="slow", data={"numbers": numbers}))
    rig.build([source(site.plain, "slow/authz")])
    for _ in range(8):
        asyncio.run(rig.manager.refresh(0.3))
        rig.now += 1000
        if rig.revisions:
            break
    assert rig.revisions == {"authz": "slow"}
    log = (site.directory / "access.log").read_text()
    assert '"GET /slow/authz HTTP/1.1" 206' in log
