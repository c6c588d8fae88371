"""Credentials as OPA's configuration has them, and what is said of wrong ones."""

import pytest

from policy_agent.config import parse_config
from policy_agent.config.aws import (
    AssumeRoleCredentials,
    AwsSigning,
    EnvironmentCredentials,
    MetadataCredentials,
    ProfileCredentials,
    WebIdentityCredentials,
)
from policy_agent.config.credentials import Bearer, ClientTls, OAuth2, SignedAssertion
from policy_agent.errors import ConfigError

KEYS = {"signer": {"private_key": "pem", "algorithm": "ES256"}, "verifier": {"key": "pem"}}


def service_of(credentials, **facts):
    service = {"url": "https://s", "credentials": credentials, **facts}
    return parse_config({"services": {"s": service}, "keys": KEYS}).services["s"]


def problems_of(credentials, **facts):
    with pytest.raises(ConfigError) as caught:
        service_of(credentials, **facts)
    return caught.value.problems


def oauth2(**facts):
    return {"oauth2": {"token_url": "https://t", "client_id": "c", "client_secret": "x", **facts}}


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"bearer": {"token": "t"}}, Bearer("t"), id="bearer"),
        pytest.param(
            {"client_tls": {"cert": "c", "private_key": "k", "private_key_passphrase": "p",
                            "cert_reread_interval_seconds": 5}},
            ClientTls("c", "k", "p", 5), id="client_tls",
        ),
        pytest.param(
            oauth2(scopes=["a"], additional_headers={"h": "1"}, additional_parameters={"p": "2"}),
            OAuth2("https://t", client_id="c", client_secret="x", scopes=("a",),
                   headers={"h": "1"}, parameters={"p": "2"}),
            id="client secret",
        ),
        pytest.param(
            {"s3_signing": {"environment_credentials": {}}},
            AwsSigning((EnvironmentCredentials(),)), id="aws environment",
        ),
        pytest.param(
            {"s3_signing": {
                "service": "execute-api",
                "metadata_credentials": {"aws_region": "r", "iam_role": "i"},
                "profile_credentials": {"path": "p", "profile": "q", "aws_region": "r"},
                "web_identity_credentials": {"aws_region": "r", "session_name": "n"},
                "assume_role_credentials": {
                    "iam_role_arn": "arn", "aws_region": "r",
                    "aws_signing": {"environment_credentials": {}},
                },
            }},
            AwsSigning(
                (
                    AssumeRoleCredentials(EnvironmentCredentials(), "arn", "r"),
                    WebIdentityCredentials(region="r", session_name="n"),
                    ProfileCredentials("p", "q", "r"),
                    MetadataCredentials("r", "i"),
                ),
                "execute-api",
            ),
            id="every aws source in OPA's order",
        ),
    ],
)  # fmt: skip
def test_opas_credentials_are_understood(credentials, expected):
    assert service_of(credentials).credentials == expected


def test_an_assertion_is_signed_with_a_key_of_the_configuration():
    settings = {
        "token_url": "https://t", "grant_type": "jwt_bearer", "signing_key": "signer",
        "additional_claims": {"aud": ["x"]}, "include_jti_claim": True,
    }  # fmt: skip
    assertion = service_of({"oauth2": settings}).credentials.assertion
    assert isinstance(assertion, SignedAssertion)
    assert (assertion.key.private_key, assertion.key.algorithm) == ("pem", "ES256")
    assert (assertion.claims, assertion.include_jti) == ({"aud": ["x"]}, True)


def test_a_registry_signs_for_ecr():
    signing = {"s3_signing": {"environment_credentials": {}}}
    service = service_of(signing, type="oci")
    assert service.is_registry
    assert service.credentials == AwsSigning((EnvironmentCredentials(),), "ecr")


def test_trust_is_read():
    service = service_of({}, tls={"ca_cert": "/ca.pem", "system_ca_required": True})
    assert (service.ca_cert, service.system_ca_required) == ("/ca.pem", True)


@pytest.mark.parametrize(
    ("credentials", "problem"),
    [
        ({"bearer": {}}, "bearer.token: there must be exactly one of token and token_path"),
        (
            {"bearer": {"token": "t"}, "client_tls": {"cert": "c", "private_key": "k"}},
            "client_tls: a service has one method, and there is bearer already",
        ),
        ({"client_tls": {"cert": "c"}}, "client_tls.private_key: is required"),
        (
            {"client_tls": {"cert": "c", "private_key": "k", "ca_cert": "x"}},
            "client_tls.ca_cert: is the service's tls.ca_cert",
        ),
        (oauth2(token_url="http://t"), "oauth2.token_url: must be an https URL"),
        (oauth2(client_id=""), "oauth2.client_id: is required"),
        (
            oauth2(client_assertion="a"),
            "oauth2.client_secret: there must be exactly one of client_secret, signing_key, "
            "client_assertion, client_assertion_path",
        ),
        (
            oauth2(client_secret="", signing_key="verifier"),
            "oauth2.signing_key: is not among keys, or has no private_key there",
        ),
        (
            oauth2(grant_type="jwt_bearer"),
            "oauth2.signing_key: is required with grant_type jwt_bearer",
        ),
        (oauth2(aws_kms={"name": "k"}), "oauth2.aws_kms: is not supported by this version"),
        (
            {"s3_signing": {}},
            "s3_signing.environment_credentials: is required, or another kind of AWS credentials",
        ),
        (
            {"s3_signing": {"metadata_credentials": {}}},
            "s3_signing.metadata_credentials.aws_region: is required",
        ),
        (
            {"s3_signing": {"assume_role_credentials": {"iam_role_arn": "a"}}},
            "s3_signing.assume_role_credentials.aws_signing: "
            "must have credentials to take on the role with",
        ),
        (
            {"s3_signing": {"service": "ecr", "environment_credentials": {}}},
            "s3_signing.service: ecr and the type oci go together",
        ),
        (
            {"s3_signing": {"signature_version": "4a", "environment_credentials": {}}},
            "s3_signing.signature_version: must be 4",
        ),
        (
            {"s3_signing": {"sso_credentials": {"profile": "p"}, "environment_credentials": {}}},
            "s3_signing.sso_credentials: is not supported by this version",
        ),
        ({"gcp_metadata": {"scopes": ["a"]}}, "gcp_metadata: is not supported by this version"),
        (
            {"azure_managed_identity": {"client_id": "c"}},
            "azure_managed_identity: is not supported by this version",
        ),
    ],
)
def test_wrong_credentials_are_named(credentials, problem):
    assert f"services.s.credentials.{problem}" in problems_of(credentials)


def test_no_problem_shows_a_secret():
    wrong = {"bearer": {"token": "hunter2", "token_path": "x"}, **oauth2(client_secret=7)}
    assert "hunter2" not in " ".join(problems_of(wrong))
    assert "hunter2" not in repr(service_of({"bearer": {"token": "hunter2"}}))
