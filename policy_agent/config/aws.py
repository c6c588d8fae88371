"""AWS credentials and what they sign: `s3_signing`, with OPA's keys (v1.22 v1/plugins/rest/aws.go).

What is left out of the configuration comes from the environment when a request is signed.
"""

from __future__ import annotations

from msgspec import Struct

from policy_agent.config.section import Section


class EnvironmentCredentials(Struct, frozen=True):
    """The variables that Lambda and AWS's tools set."""


class ProfileCredentials(Struct, frozen=True):
    """A profile of AWS's shared credentials file."""

    path: str = ""
    profile: str = ""
    region: str = ""


class MetadataCredentials(Struct, frozen=True):
    """The metadata endpoint of EC2 (with a role) or of a container (without)."""

    region: str
    role: str = ""


class WebIdentityCredentials(Struct, frozen=True):
    """A role taken on with a token from a file, as in EKS."""

    role_arn: str = ""
    token_file: str = ""
    region: str = ""
    session_name: str = ""
    domain: str = ""


class AssumeRoleCredentials(Struct, frozen=True):
    """A role taken on by means of other credentials."""

    by: AwsCredentials
    role_arn: str = ""
    region: str = ""
    session_name: str = ""
    domain: str = ""


AwsCredentials = (
    EnvironmentCredentials
    | ProfileCredentials
    | MetadataCredentials
    | WebIdentityCredentials
    | AssumeRoleCredentials
)


class AwsSigning(Struct, frozen=True):
    """Requests signed with AWS credentials.

    Attributes:
        sources: tried in this order until one has credentials; at least one.
        service: AWS's name of the service; `ecr` stands for a registry's token instead.
    """

    sources: tuple[AwsCredentials, ...]
    service: str = "s3"


def read_aws_signing(section: Section, service_type: str) -> AwsSigning:
    """Read `s3_signing`.

    Args:
        service_type: `oci` for a registry.
    """
    section.refuse("sso_credentials")
    if section.text("signature_version", "4") != "4":
        section.problem("signature_version", "must be 4")
    is_registry = service_type == "oci"
    service = section.text("service", "ecr" if is_registry else "s3").lower()
    if (service == "ecr") != is_registry:
        section.problem("service", "ecr and the type oci go together")
    sources = _sources(section)
    if not sources:
        section.problem(
            "environment_credentials", "is required, or another kind of AWS credentials"
        )
    section.finish()
    return AwsSigning(sources, service)


def _sources(section: Section) -> tuple[AwsCredentials, ...]:
    sources: list[AwsCredentials] = []
    if section.has("environment_credentials"):
        section.section("environment_credentials").finish()
        sources.append(EnvironmentCredentials())
    if section.has("assume_role_credentials"):
        sources += _assume_role(section.section("assume_role_credentials"))
    if section.has("web_identity_credentials"):
        sources.append(_web_identity(section.section("web_identity_credentials")))
    if section.has("profile_credentials"):
        sources.append(_profile(section.section("profile_credentials")))
    if section.has("metadata_credentials"):
        sources.append(_metadata(section.section("metadata_credentials")))
    return tuple(sources)


def _assume_role(section: Section) -> list[AssumeRoleCredentials]:
    signing = section.section("aws_signing")
    signing.refuse("sso_credentials", "assume_role_credentials")
    by = _sources(signing)
    signing.finish()
    if not by:
        section.problem("aws_signing", "must have credentials to take on the role with")
    roles = [
        AssumeRoleCredentials(
            source,
            role_arn=section.text("iam_role_arn"),
            region=section.text("aws_region"),
            session_name=section.text("session_name"),
            domain=section.text("aws_domain"),
        )
        for source in by
    ]
    section.finish()
    return roles


def _web_identity(section: Section) -> WebIdentityCredentials:
    credentials = WebIdentityCredentials(
        role_arn=section.text("iam_role_arn"),
        token_file=section.text("web_identity_token_file"),
        region=section.text("aws_region"),
        session_name=section.text("session_name"),
        domain=section.text("aws_domain"),
    )
    section.finish()
    return credentials


def _profile(section: Section) -> ProfileCredentials:
    credentials = ProfileCredentials(
        path=section.text("path"),
        profile=section.text("profile"),
        region=section.text("aws_region"),
    )
    section.finish()
    return credentials


def _metadata(section: Section) -> MetadataCredentials:
    credentials = MetadataCredentials(
        region=section.text("aws_region", required=True), role=section.text("iam_role")
    )
    section.finish()
    return credentials
