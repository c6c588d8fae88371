"""Make requests to a service acceptable to it: tokens, signatures, certificates.

One module a method; `authorizer_of` imports the one that a service is configured for. Credentials
belong to a service, so bundles, decision logs and status reports all have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from policy_agent.config import Service
from policy_agent.credentials.tls import TlsFiles
from policy_agent.http_client import Request


class Authorizer(Protocol):
    """What vouches for us to one service."""

    async def headers(self, request: Request, timeout_seconds: float) -> Mapping[str, str]:
        """Return the headers to add to a request.

        Args:
            timeout_seconds: for asking others, such as a token endpoint.

        Raises:
            TransportError: the credentials cannot be had; the message names no secret.
        """


class Nobody:
    """The authorizer of a service that wants none, or a certificate only."""

    async def headers(self, request: Request, timeout_seconds: float) -> Mapping[str, str]:
        """Return nothing."""
        return {}


def authorizer_of(service: Service, tls: TlsFiles) -> Authorizer:
    """Return what authorizes requests to `service`.

    Args:
        tls: the service's, which its token endpoint is trusted by, too.
    """
    credentials, where = service.credentials, f"services.{service.name}.credentials"
    if credentials is None:
        return Nobody()
    from policy_agent.config.credentials import Bearer, ClientTls, OAuth2

    if isinstance(credentials, ClientTls):
        return Nobody()
    if isinstance(credentials, Bearer):
        from policy_agent.credentials.bearer import BearerToken

        # OPA's registries are given `user:password` with the scheme Basic, not yet encoded.
        return BearerToken(credentials, f"{where}.bearer", in_base64=service.is_registry)
    if isinstance(credentials, OAuth2):
        from policy_agent.credentials.oauth2 import AccessToken

        return AccessToken(credentials, f"{where}.oauth2", tls)
    from policy_agent.credentials.aws import AwsSignature

    return AwsSignature(credentials, f"{where}.s3_signing")
