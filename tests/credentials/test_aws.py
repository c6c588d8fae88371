"""Where AWS credentials come from, and what they sign, at the servers that give and check them."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.config.aws import (
    AssumeRoleCredentials,
    AwsSigning,
    EnvironmentCredentials,
    MetadataCredentials,
    ProfileCredentials,
    WebIdentityCredentials,
)
from policy_agent.credentials.aws import AwsSignature
from policy_agent.credentials.aws_sources import find
from policy_agent.errors import TransportError
from policy_agent.http_client import Limits, Request, send
from tests.support import http_server, reply

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAENV",
    "AWS_SECRET_ACCESS_KEY": "env-secret",
    "AWS_REGION": "eu-central-1",
}
ROLE = "arn:aws:iam::123456789012:role/policy-reader"


def found(source, **environ):
    return asyncio.run(find(source, environ, 10))


def temporary(key="ASIATEMP", lifetime_seconds=3600):
    ends = datetime.now(UTC) + timedelta(seconds=lifetime_seconds)
    return {
        "Code": "Success",
        "AccessKeyId": key,
        "SecretAccessKey": "temp-secret",
        "Token": "temp-token",
        "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class KeyEndpoint:
    """Gives temporary keys, as Lambda under SnapStart, ECS and EC2 do."""

    url = ""

    def __init__(self):
        self.seen = []
        self.document = temporary()

    def handle(self, request, _):
        headers = request.headers
        token = headers["Authorization"] or headers["X-aws-ec2-metadata-token"]
        self.seen.append((request.command, request.path, token))
        body = json.dumps(self.document).encode()
        reply(request, 200, b"session" if request.path == "/latest/api/token" else body)


@pytest.fixture
def endpoint():
    endpoint = KeyEndpoint()
    with http_server(endpoint.handle) as url:
        endpoint.url = url
        yield endpoint


def test_the_environment_of_a_function_has_keys():
    keys = found(EnvironmentCredentials(), **KEYS, AWS_SESSION_TOKEN="t")
    assert (keys.access_key, keys.secret_key) == ("AKIAENV", "env-secret")
    assert (keys.session_token, keys.region) == ("t", "eu-central-1")
    assert "env-secret" not in repr(keys)


def test_under_snapstart_the_environment_has_an_endpoint_instead(endpoint):
    environ = {
        "AWS_REGION": "eu-central-1",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoint.url}/2021-04-23/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "restore-token",
    }
    keys = found(EnvironmentCredentials(), **environ)
    assert (keys.access_key, keys.session_token) == ("ASIATEMP", "temp-token")
    assert endpoint.seen == [("GET", "/2021-04-23/credentials", "restore-token")]


def test_a_containers_token_may_be_in_a_file(endpoint, tmp_path):
    (tmp_path / "token").write_text("from a file\n")
    environ = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoint.url}/keys",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    assert found(MetadataCredentials("us-east-1"), **environ).region == "us-east-1"
    assert endpoint.seen == [("GET", "/keys", "from a file")]


def test_ec2_gives_keys_to_those_who_fetch_a_session_token(endpoint):
    source = MetadataCredentials("us-east-1", role="reader")
    keys = found(source, AWS_EC2_METADATA_SERVICE_ENDPOINT=endpoint.url)
    assert keys.access_key == "ASIATEMP"
    assert endpoint.seen == [
        ("PUT", "/latest/api/token", None),
        ("GET", "/latest/meta-data/iam/security-credentials/reader", "session"),
    ]


def test_a_profile_is_read_from_the_shared_file(tmp_path):
    path = tmp_path / "credentials"
    path.write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = B%\n"
        "[ci]\naws_access_key_id = C\naws_secret_access_key = D\naws_session_token = E\n"
    )
    keys = found(ProfileCredentials(str(path)), AWS_REGION="r")
    assert (keys.access_key, keys.secret_key, keys.session_token) == ("A", "B%", "")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_PROFILE": "ci"}
    keys = found(ProfileCredentials(region="s"), **environ)
    assert (keys.access_key, keys.session_token, keys.region) == ("C", "E", "s")


@pytest.mark.parametrize(
    ("source", "environ", "message"),
    [
        (EnvironmentCredentials(), {}, "AWS_REGION is not set"),
        (EnvironmentCredentials(), {"AWS_REGION": "r"}, "AWS_ACCESS_KEY_ID is not set"),
        (ProfileCredentials("/nowhere/x"), {}, "/nowhere/x: cannot be read"),
        (MetadataCredentials("r"), {}, "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set"),
        (WebIdentityCredentials(region="r"), {}, "AWS_WEB_IDENTITY_TOKEN_FILE is not set"),
        (AssumeRoleCredentials(EnvironmentCredentials()), KEYS, "AWS_ROLE_ARN is not set"),
    ],
    ids=["region", "environment", "profile", "container", "web identity", "role"],
)
def test_what_is_missing_is_named(source, environ, message):
    with pytest.raises(TransportError, match=message):
        found(source, **environ)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default\n", "is not a credentials file"),
        ("[other]\n", "profile default: default is missing"),
        ("[default]\naws_access_key_id = A\n", "aws_secret_access_key is missing"),
    ],
)
def test_a_profile_that_cannot_be_used_is_named(tmp_path, text, message):
    (tmp_path / "c").write_text(text)
    with pytest.raises(TransportError, match=message):
        found(ProfileCredentials(str(tmp_path / "c")), AWS_REGION="r")


@pytest.mark.parametrize("document", [{}, [], {**temporary(), "Expiration": "soon"}])
def test_an_endpoint_without_keys_is_an_error(endpoint, document):
    endpoint.document = document
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url}
    with pytest.raises(TransportError, match="answered without keys"):
        found(MetadataCredentials("r"), **environ)


def test_a_role_is_taken_on_with_other_keys(aws):
    source = AssumeRoleCredentials(EnvironmentCredentials(), role_arn=ROLE)
    keys = found(source, **KEYS, AWS_ENDPOINT_URL_STS=aws)
    assert keys.access_key.startswith("ASIA")
    assert keys.region == "eu-central-1"
    assert 0 < keys.ends_at - time.time() <= 3700


def test_a_role_is_taken_on_with_a_web_identity(aws, tmp_path):
    (tmp_path / "token").write_text("header.claims.signature")
    environ = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": ROLE,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": aws,
    }
    keys = found(WebIdentityCredentials(), **environ)
    assert keys.access_key.startswith("ASIA")
    assert keys.session_token


def test_sts_is_asked_where_the_region_and_domain_say():
    source = AssumeRoleCredentials(
        EnvironmentCredentials(), ROLE, region="cn-north-1", domain="amazonaws.invalid"
    )
    with pytest.raises(TransportError, match=r"sts\.cn-north-1\.amazonaws\.invalid"):
        found(source, **KEYS)


def signed(config, environ, url="http://bucket.test/k"):
    signature = AwsSignature(config, "here", environ)
    return signature, asyncio.run(signature.headers(Request("GET", url), 10))


def test_the_first_source_that_has_keys_signs(endpoint):
    config = AwsSigning((ProfileCredentials("/nowhere/x"), EnvironmentCredentials()))
    _, headers = signed(config, KEYS)
    assert "Credential=AKIAENV/" in headers["Authorization"]
    assert "/eu-central-1/s3/aws4_request" in headers["Authorization"]
    assert "env-secret" not in str(headers)
    with pytest.raises(TransportError) as raised:
        signed(config, {})
    assert str(raised.value).startswith("here: no AWS credentials: /nowhere/x: cannot be read")
    assert str(raised.value).endswith("AWS_REGION is not set")


def test_temporary_keys_are_renewed_before_they_end(endpoint, monkeypatch):
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url}
    signature, headers = signed(AwsSigning((MetadataCredentials("r"),)), environ)
    assert headers["x-amz-security-token"] == "temp-token"
    endpoint.document = temporary("ASIANEW")
    asyncio.run(signature.headers(Request("GET", "http://b/k"), 10))
    assert len(endpoint.seen) == 1
    # A freeze of 56 minutes, of which the monotonic clock knows nothing.
    thawed = time.time() + 3360
    monkeypatch.setattr(time, "time", lambda: thawed)
    headers = asyncio.run(signature.headers(Request("GET", "http://b/k"), 10))
    assert "Credential=ASIANEW/" in headers["Authorization"]


def test_a_registry_of_ecr_is_shown_a_token_while_it_lasts(aws, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e9)  # moto's tokens end in 2015
    config = AwsSigning((EnvironmentCredentials(),), service="ecr")
    environ = {**KEYS, "AWS_ENDPOINT_URL_ECR": aws}
    signature, headers = signed(config, environ, "http://registry.test/v2/")
    scheme, token = headers["Authorization"].split()
    assert scheme == "Basic"
    assert base64.b64decode(token).startswith(b"AWS:")
    environ["AWS_ENDPOINT_URL_ECR"] = "http://127.0.0.1:1"
    assert asyncio.run(signature.headers(Request("GET", "http://r"), 10)) == headers


def test_keys_do_not_follow_a_redirect_to_another_host():
    seen = []

    def there(request, _):
        seen.append({name.lower() for name in request.headers})
        reply(request, 200)

    with http_server(there) as target:

        def here(request, _):
            reply(request, 307, Location=target.replace("127.0.0.1", "localhost"))

        with http_server(here) as url:
            environ = {**KEYS, "AWS_SESSION_TOKEN": "t"}
            _, headers = signed(AwsSigning((EnvironmentCredentials(),)), environ, url)
            asyncio.run(send(Request("GET", url, headers), Limits(10, 1000)))
    assert seen
    assert not seen[0] & {"authorization", "x-amz-security-token"}
