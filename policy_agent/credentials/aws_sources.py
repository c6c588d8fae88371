"""Find AWS access keys where the configuration says that they are."""

from __future__ import annotations

import configparser
import xml.etree.ElementTree as ET
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from policy_agent.codec import decode_json
from policy_agent.config.aws import (
    AssumeRoleCredentials,
    AwsCredentials,
    EnvironmentCredentials,
    MetadataCredentials,
    ProfileCredentials,
    WebIdentityCredentials,
)
from policy_agent.credentials.aws_keys import AwsKeys, Environ, call, endpoint, region_of
from policy_agent.credentials.files import read_secret
from policy_agent.errors import DocumentError, TransportError
from policy_agent.http_client import Request

_ECS_HOST = "http://169.254.170.2"
_EC2_HOST = "http://169.254.169.254"
_EC2_ROLES = "/latest/meta-data/iam/security-credentials/"
_SESSION_NAME = "policy-agent"


async def find(source: AwsCredentials, environ: Environ, timeout_seconds: float) -> AwsKeys:
    """Return the keys that one source has now.

    Raises:
        TransportError: it has none; the message says what is missing and names no secret.
    """
    match source:
        case EnvironmentCredentials():
            return await _environment(environ, timeout_seconds)
        case ProfileCredentials():
            return _profile(source, environ)
        case MetadataCredentials():
            return await _metadata(source, environ, timeout_seconds)
        case WebIdentityCredentials():
            return await _web_identity(source, environ, timeout_seconds)
        case AssumeRoleCredentials():
            return await _assume_role(source, environ, timeout_seconds)


async def _environment(environ: Environ, timeout_seconds: float) -> AwsKeys:
    region = region_of("", environ)
    # Under SnapStart Lambda gives an endpoint in place of keys, which would end in the snapshot.
    if "AWS_ACCESS_KEY_ID" not in environ and "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environ:
        return await _container(region, environ, timeout_seconds)
    return AwsKeys(
        _variable("AWS_ACCESS_KEY_ID", environ),
        _variable("AWS_SECRET_ACCESS_KEY", environ),
        environ.get("AWS_SESSION_TOKEN") or environ.get("AWS_SECURITY_TOKEN") or "",
        region,
    )


def _variable(name: str, environ: Environ) -> str:
    value = environ.get(name)
    if not value:
        raise TransportError(f"{name} is not set")
    return value


def _profile(source: ProfileCredentials, environ: Environ) -> AwsKeys:
    home = Path(environ.get("HOME", "/")) / ".aws" / "credentials"
    path = source.path or environ.get("AWS_SHARED_CREDENTIALS_FILE") or str(home)
    name = source.profile or environ.get("AWS_PROFILE") or "default"
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(read_secret(path, path))
        section = parser[name]
        return AwsKeys(
            section["aws_access_key_id"],
            section["aws_secret_access_key"],
            section.get("aws_session_token", ""),
            region_of(source.region, environ),
        )
    except configparser.Error as exc:
        raise TransportError(f"{path}: is not a credentials file") from exc
    except KeyError as exc:
        raise TransportError(f"{path}: profile {name}: {exc.args[0]} is missing") from exc


async def _metadata(
    source: MetadataCredentials, environ: Environ, timeout_seconds: float
) -> AwsKeys:
    if not source.role:
        return await _container(source.region, environ, timeout_seconds)
    host = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _EC2_HOST).rstrip("/")
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = await call(Request("PUT", f"{host}/latest/api/token", lifetime), timeout_seconds)
    headers = {"X-aws-ec2-metadata-token": token.decode("latin-1")}
    url = f"{host}{_EC2_ROLES}{quote(source.role)}"
    document = _json(await call(Request("GET", url, headers), timeout_seconds))
    if document.get("Code") != "Success":
        raise TransportError(f"the metadata service has no keys for role {source.role}")
    return _temporary(document, source.region)


async def _container(region: str, environ: Environ, timeout_seconds: float) -> AwsKeys:
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = f"{_ECS_HOST}{relative}" if relative else ""
    url = url or _variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", environ)
    headers = {}
    if path := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        headers["Authorization"] = read_secret(path, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    elif token := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        headers["Authorization"] = token
    return _temporary(_json(await call(Request("GET", url, headers), timeout_seconds)), region)


async def _web_identity(
    source: WebIdentityCredentials, environ: Environ, timeout_seconds: float
) -> AwsKeys:
    region = region_of(source.region, environ)
    path = source.token_file or _variable("AWS_WEB_IDENTITY_TOKEN_FILE", environ)
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "RoleArn": source.role_arn or _variable("AWS_ROLE_ARN", environ),
        "RoleSessionName": source.session_name or _SESSION_NAME,
        "WebIdentityToken": read_secret(path, "web_identity_token_file"),
    }
    request = _sts_request(form, endpoint("sts", region, environ, source.domain))
    return _from_sts(await call(request, timeout_seconds), region)


async def _assume_role(
    source: AssumeRoleCredentials, environ: Environ, timeout_seconds: float
) -> AwsKeys:
    region = region_of(source.region, environ)
    form = {
        "Action": "AssumeRole",
        "RoleArn": source.role_arn or _variable("AWS_ROLE_ARN", environ),
        "RoleSessionName": source.session_name or _SESSION_NAME,
    }
    keys = await find(source.by, environ, timeout_seconds)
    request = _sts_request(form, endpoint("sts", region, environ, source.domain))
    return _from_sts(await call(request, timeout_seconds, keys=keys, service="sts"), region)


def _sts_request(form: dict[str, str], url: str) -> Request:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", url, headers, urlencode({**form, "Version": "2011-06-15"}).encode())


def _from_sts(body: bytes, region: str) -> AwsKeys:
    try:
        root = ET.fromstring(body)  # noqa: S314
    except ET.ParseError as exc:
        raise TransportError("STS answered something that is not XML") from exc
    found = root.find(".//{*}Credentials")
    names = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    texts = {} if found is None else {name: found.findtext(f"{{*}}{name}") for name in names}
    return _temporary({**texts, "Token": texts.get("SessionToken")}, region)


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = decode_json(body)
    except DocumentError as exc:
        raise TransportError("the endpoint for credentials answered no JSON") from exc
    return document if isinstance(document, dict) else {}


def _temporary(document: dict[str, Any], region: str) -> AwsKeys:
    try:
        return AwsKeys(
            access_key=document["AccessKeyId"],
            secret_key=document["SecretAccessKey"],
            session_token=document["Token"],
            region=region,
            ends_at=datetime.fromisoformat(document["Expiration"]).timestamp(),
        )
    except (KeyError, ValueError, TypeError) as exc:
        raise TransportError("the endpoint for credentials answered without keys") from exc
