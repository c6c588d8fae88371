"""Sign requests with AWS credentials, or have them exchanged for a registry's token.

The ways to find credentials, their order and their settings are OPA's (v1.22 v1/plugins/rest/
aws.go). Beyond OPA, the environment may name an endpoint in place of keys, as Lambda's does under
SnapStart, and AWS's variables for endpoints are honoured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from policy_agent.codec import decode_json
from policy_agent.config.aws import AwsSigning
from policy_agent.credentials.aws_keys import AwsKeys, Environ, call, endpoint
from policy_agent.credentials.aws_sources import find
from policy_agent.errors import DocumentError, TransportError
from policy_agent.http_client import Request

RENEW_SECONDS = 300  # before the end, as in OPA
_ECR_HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken",
}


class AwsSignature:
    """Signs requests; keys that end are renewed five minutes before."""

    def __init__(self, config: AwsSigning, setting: str, environ: Environ = os.environ) -> None:
        self._config = config
        self._setting = setting
        self._environ = environ
        self._keys: AwsKeys | None = None
        self._registry_token = ""
        self._token_ends_at = 0.0

    async def headers(self, request: Request, timeout_seconds: float) -> Mapping[str, str]:
        """Return the headers of the signature, or of a registry's token.

        Raises:
            TransportError: no source has credentials; the message has each one's reason.
        """
        if self._config.service != "ecr":
            keys = await self._current(timeout_seconds)
            return keys.signature(request, self._config.service)
        if self._token_ends_at - time.time() < RENEW_SECONDS:
            await self._ask_registry(await self._current(timeout_seconds), timeout_seconds)
        return {"Authorization": f"Basic {self._registry_token}"}

    async def _current(self, timeout_seconds: float) -> AwsKeys:
        if self._keys is not None and self._keys.ends_at - time.time() > RENEW_SECONDS:
            return self._keys
        reasons = []
        for source in self._config.sources:
            try:
                self._keys = await find(source, self._environ, timeout_seconds)
            except TransportError as exc:
                reasons.append(str(exc))
            else:
                return self._keys
        raise TransportError(f"{self._setting}: no AWS credentials: {'; '.join(reasons)}")

    async def _ask_registry(self, keys: AwsKeys, timeout_seconds: float) -> None:
        url = endpoint("ecr", keys.region, self._environ)
        body = await call(
            Request("POST", url, _ECR_HEADERS, b"{}"), timeout_seconds, keys=keys, service="ecr"
        )
        try:
            token = decode_json(body)["authorizationData"][0]
            self._registry_token = token["authorizationToken"]
            self._token_ends_at = float(token["expiresAt"])
        except (DocumentError, LookupError, TypeError, ValueError) as exc:
            raise TransportError(f"{self._setting}: ECR gave no token") from exc
