"""How a service knows us: at most one method, with OPA's keys (v1.22 v1/plugins/rest).

What these name is used by `policy_agent.credentials`, which is imported only where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final, Union

from msgspec import Struct, field

from policy_agent.config.keys import Key
from policy_agent.config.section import Section
from policy_agent.record import Record

if TYPE_CHECKING:
    from policy_agent.config.aws import AwsSigning

JWT_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_METHODS: Final = ("bearer", "client_tls", "oauth2", "s3_signing")


class Bearer(Record, frozen=True):
    """A bearer token, or a file that holds one and is read each time."""

    unshown: ClassVar[frozenset[str]] = frozenset({"token"})

    token: str = ""
    token_path: str = ""
    scheme: str = "Bearer"


class ClientTls(Record, frozen=True):
    """A client certificate and its key, in PEM files.

    Attributes:
        passphrase: of the key, "" when it is not encrypted.
        reread_seconds: how long the files are taken not to have changed.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"passphrase"})

    cert: str
    private_key: str
    passphrase: str = ""
    reread_seconds: float = 0


class ClientAssertion(Record, frozen=True):
    """A token that proves who the client is, ready-made (RFC 7523, section 2.2)."""

    unshown: ClassVar[frozenset[str]] = frozenset({"token"})

    token: str = ""
    token_path: str = ""
    kind: str = JWT_ASSERTION


class SignedAssertion(Struct, frozen=True):
    """A token that we sign ourselves, as client assertion or as authorization grant (RFC 7523)."""

    key: Key
    claims: Mapping[str, object] = field(default_factory=dict)
    include_jti: bool = False
    thumbprint: str = ""
    kind: str = JWT_ASSERTION


class OAuth2(Record, frozen=True):
    """An access token by the client credentials flow or the JWT bearer grant.

    Attributes:
        client_secret: "" when an assertion takes its place.
        parameters: added to the form of the token request.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"client_secret", "headers", "parameters"})

    token_url: str
    grant_type: str = "client_credentials"
    client_id: str = ""
    client_secret: str = ""
    assertion: ClientAssertion | SignedAssertion | None = None
    scopes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


Credentials = Union[Bearer, ClientTls, OAuth2, "AwsSigning"]


def read_credentials(
    section: Section, keys: Mapping[str, Key], service_type: str
) -> Credentials | None:
    """Read `credentials` of a service."""
    section.refuse("azure_managed_identity", "gcp_metadata", "plugin")
    given = [method for method in _METHODS if section.has(method)]
    if len(given) > 1:
        section.problem(given[1], f"a service has one method, and there is {given[0]} already")
    credentials: Credentials | None = None
    if "bearer" in given:
        credentials = _bearer(section.section("bearer"))
    if "client_tls" in given:
        credentials = _client_tls(section.section("client_tls"))
    if "oauth2" in given:
        credentials = _oauth2(section.section("oauth2"), keys)
    if "s3_signing" in given:
        from policy_agent.config.aws import read_aws_signing  # 3 ms of CPU

        credentials = read_aws_signing(section.section("s3_signing"), service_type)
    section.finish()
    return credentials


def _bearer(section: Section) -> Bearer:
    bearer = Bearer(
        token=section.text("token"),
        token_path=section.text("token_path"),
        scheme=section.text("scheme", "Bearer"),
    )
    if bool(bearer.token) == bool(bearer.token_path):
        section.problem("token", "there must be exactly one of token and token_path")
    section.finish()
    return bearer


def _client_tls(section: Section) -> ClientTls:
    client_tls = ClientTls(
        cert=section.text("cert", required=True),
        private_key=section.text("private_key", required=True),
        passphrase=section.text("private_key_passphrase"),
        reread_seconds=section.number("cert_reread_interval_seconds", 0),
    )
    for key in ("ca_cert", "system_ca_required"):
        if section.has(key):
            section.problem(key, f"is the service's tls.{key}")
            section.ignore(key)
    section.finish()
    return client_tls


def _oauth2(section: Section, keys: Mapping[str, Key]) -> OAuth2:
    section.refuse("aws_kms", "aws_signing", "azure_keyvault", "azure_signing")
    oauth2 = OAuth2(
        token_url=section.text("token_url", required=True),
        grant_type=section.choice("grant_type", ("client_credentials", "jwt_bearer")),
        client_id=section.text("client_id"),
        client_secret=section.text("client_secret"),
        assertion=_assertion(section, keys),
        scopes=section.texts("scopes"),
        headers=section.strings("additional_headers"),
        parameters=section.strings("additional_parameters"),
    )
    if oauth2.token_url and not oauth2.token_url.startswith("https://"):
        section.problem("token_url", "must be an https URL")
    if oauth2.grant_type == "jwt_bearer":
        if not isinstance(oauth2.assertion, SignedAssertion):
            section.problem("signing_key", "is required with grant_type jwt_bearer")
    elif not oauth2.client_id and not isinstance(oauth2.assertion, SignedAssertion):
        section.problem("client_id", "is required")
    section.finish()
    return oauth2


def _assertion(
    section: Section, keys: Mapping[str, Key]
) -> ClientAssertion | SignedAssertion | None:
    names = ("client_secret", "signing_key", "client_assertion", "client_assertion_path")
    if sum(bool(section.text(name)) for name in names) != 1:
        section.problem("client_secret", f"there must be exactly one of {', '.join(names)}")
    ready = ClientAssertion(
        token=section.text("client_assertion"),
        token_path=section.text("client_assertion_path"),
        kind=section.text("client_assertion_type", JWT_ASSERTION),
    )
    claims, include_jti = section.values("additional_claims"), section.flag("include_jti_claim")
    thumbprint = section.text("thumbprint")
    if key_id := section.text("signing_key"):
        key = keys.get(key_id)
        if key is not None and key.private_key:
            return SignedAssertion(key, claims, include_jti, thumbprint)
        section.problem("signing_key", "is not among keys, or has no private_key there")
    return ready if ready.token or ready.token_path else None
