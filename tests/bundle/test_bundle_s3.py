"""Bundles in S3: in an S3 server that checks every signature, and in moto."""

import asyncio

import pytest

from policy_agent.bundle.download import Downloaded, HttpOrigin, NotModified
from policy_agent.config import Service
from policy_agent.config.aws import AwsSigning, EnvironmentCredentials
from policy_agent.errors import BundleDownloadError
from policy_agent.service import ServiceClient
from tests.bundle.archives import bundle
from tests.real_servers import moto, use_aws_keys, versitygw

ACCESS_KEY, SECRET_KEY = "AKIABUNDLES", "s3cret/+key"
NAMES = ("orders.tar.gz", "team a/ärger=1+1.tar.gz")


@pytest.fixture(scope="module", params=["versitygw", "moto"])
def s3(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "moto":
        server = moto(directory)
    else:
        server = versitygw(directory, ACCESS_KEY, SECRET_KEY)
    with server as url:
        yield url


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    use_aws_keys(monkeypatch, ACCESS_KEY, SECRET_KEY)


def client_of(url, **facts):
    signing = AwsSigning((EnvironmentCredentials(),))
    return ServiceClient(Service("s3", url, credentials=signing, **facts))


def put(client, resource, body=b""):
    answer = asyncio.run(client.request("PUT", resource, body=body))
    assert answer.status == 200 or b"AlreadyOwnedByYou" in answer.body, answer.body
    return answer


@pytest.mark.parametrize("name", NAMES, ids=["plain", "escaped"])
def test_a_bundle_is_fetched_and_then_confirmed_by_its_etag(s3, name):
    client = client_of(s3, headers={"X-Team": "policy"})
    put(client, "policies")
    put(client, f"policies/{name}", raw := bundle("a"))
    origin = HttpOrigin(client, f"policies/{name}")
    answer = asyncio.run(origin.fetch(None, 10))
    assert isinstance(answer, Downloaded)
    assert answer.raw == raw
    assert asyncio.run(origin.fetch(answer.etag, 10)) == NotModified()
    put(client, f"policies/{name}", raw := bundle("a", revision="r2"))
    assert asyncio.run(origin.fetch(answer.etag, 10)).raw == raw


def test_an_object_that_claims_to_be_gzip_encoded_is_read(s3):
    """What S3's tools set on a .tar.gz, and what OPA cannot read."""
    from policy_agent.http_client import Limits, Request

    client, raw = client_of(s3), bundle("a")
    put(client, "encoded")
    url = client.url_of("encoded/b.tar.gz")
    request = Request("PUT", url, {"Content-Encoding": "gzip"}, raw)
    assert asyncio.run(client.send(request, Limits(10, 10000))).status == 200
    assert asyncio.run(HttpOrigin(client, "encoded/b.tar.gz").fetch(None, 10)).raw == raw


def test_a_missing_object_is_told(s3):
    client = client_of(s3)
    put(client, "empty")
    with pytest.raises(BundleDownloadError, match="Not Found") as raised:
        asyncio.run(HttpOrigin(client, "empty/nothing.tar.gz").fetch(None, 10))
    assert raised.value.http_code == 404


def test_wrong_keys_are_refused(tmp_path, monkeypatch):
    with versitygw(tmp_path, ACCESS_KEY, SECRET_KEY) as url:
        put(client_of(url), "policies")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
        with pytest.raises(BundleDownloadError, match="Forbidden") as raised:
            asyncio.run(HttpOrigin(client_of(url), "policies/b").fetch(None, 10))
    assert raised.value.http_code == 403


def test_a_download_from_s3_that_was_cut_goes_on(s3):
    """What is left to fetch is asked for with a signature over the range."""
    from policy_agent.bundle.download import _Partial

    client, raw = client_of(s3), bytes(range(256)) * 4000
    put(client, "large")
    etag = put(client, "large/b.tar.gz", raw).headers["etag"]
    origin = HttpOrigin(client, "large/b.tar.gz")
    origin._partial = _Partial(etag, raw[:500_000])
    assert asyncio.run(origin.fetch(None, 10)) == Downloaded(raw, etag)
