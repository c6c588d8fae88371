"""An OAuth 2.0 access token, asked for when there is none that lasts (RFC 6749, 4.4; RFC 7523).

As OPA v1.22 does it (v1/plugins/rest/auth.go). A token's end is a wall-clock time, so one that ran
out while the sandbox was frozen is not sent.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

from policy_agent import http_client
from policy_agent.codec import decode_json
from policy_agent.config.credentials import ClientAssertion, OAuth2, SignedAssertion
from policy_agent.credentials.files import read_secret
from policy_agent.credentials.tls import TlsFiles
from policy_agent.errors import DocumentError, TransportError
from policy_agent.http_client import Limits, Request

MIN_LIFETIME_SECONDS = 10
_ASSERTION_LIFETIME_SECONDS = 600
_MAX_ANSWER_BYTES = 1 << 20
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class AccessToken:
    """Holds one access token and renews it."""

    def __init__(self, config: OAuth2, setting: str, tls: TlsFiles) -> None:
        self._config = config
        self._setting = setting
        self._tls = tls
        self._token = ""
        self._ends_at = 0.0

    async def headers(self, request: Request, timeout_seconds: float) -> Mapping[str, str]:
        """Return the `Authorization` header.

        Raises:
            TransportError: the token endpoint gave no token.
        """
        if self._ends_at - time.time() < MIN_LIFETIME_SECONDS:
            self._token, self._ends_at = await self._ask(timeout_seconds)
        return {"Authorization": f"Bearer {self._token}"}

    async def _ask(self, timeout_seconds: float) -> tuple[str, float]:
        config = self._config
        headers = {"Content-Type": "application/x-www-form-urlencoded", **config.headers}
        if config.client_secret:
            login = f"{config.client_id}:{config.client_secret}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        body = urlencode(self._form()).encode()
        request = Request("POST", config.token_url, headers, body)
        limits = Limits(timeout_seconds, _MAX_ANSWER_BYTES)
        asked_at = time.time()
        try:
            answer = await http_client.send(request, limits, tls=self._tls.context())
        except TransportError as exc:
            raise TransportError(f"{self._setting}.token_url: {exc}") from exc
        if answer.status != 200:
            raise self._refused(f"answered {answer.status} {answer.reason}")
        try:
            document = decode_json(answer.body)
        except DocumentError as exc:
            raise self._refused("answered something that is not JSON") from exc
        if not isinstance(document, dict):
            raise self._refused("answered something that is not an object")
        token, kind = document.get("access_token"), document.get("token_type")
        if not isinstance(token, str) or not token or str(kind).lower() != "bearer":
            raise self._refused("gave no bearer token")
        lifetime = document.get("expires_in")
        lifetime_seconds = float(lifetime) if isinstance(lifetime, int | float) else 0.0
        return token.strip(), asked_at + lifetime_seconds

    def _form(self) -> dict[str, str]:
        config, form = self._config, {}
        if config.scopes:
            form["scope"] = " ".join(config.scopes)
        form |= config.parameters
        form["grant_type"] = "client_credentials"
        if config.assertion is None:
            return form
        token = self._token_of(config.assertion)
        if config.grant_type == "jwt_bearer":
            return {**form, "grant_type": _JWT_BEARER, "assertion": token}
        form |= {"client_assertion_type": config.assertion.kind, "client_assertion": token}
        return {**form, "client_id": config.client_id} if config.client_id else form

    def _token_of(self, assertion: ClientAssertion | SignedAssertion) -> str:
        if isinstance(assertion, SignedAssertion):
            return self._signed(assertion)
        if assertion.token_path:
            return read_secret(assertion.token_path, f"{self._setting}.client_assertion_path")
        return assertion.token

    def _signed(self, assertion: SignedAssertion) -> str:
        # 60 ms of CPU that only this way of asking should cost.
        import jwt

        now = int(time.time())
        claims: dict[str, object] = {"iat": now, "exp": now + _ASSERTION_LIFETIME_SECONDS}
        claims |= assertion.claims
        if self._config.scopes:
            claims["scope"] = " ".join(self._config.scopes)
        if assertion.include_jti:
            claims["jti"] = str(uuid.uuid4())
        headers = {}
        if assertion.thumbprint:
            digest = bytes.fromhex(assertion.thumbprint)
            headers["x5t"] = base64.urlsafe_b64encode(digest).decode()
        key = assertion.key
        try:
            return jwt.encode(claims, key.private_key, key.algorithm, headers)
        except (jwt.PyJWTError, ValueError, TypeError) as exc:
            msg = f"keys.{key.id}.private_key: cannot be used with {key.algorithm}"
            raise TransportError(msg) from exc

    def _refused(self, what: str) -> TransportError:
        return TransportError(f"{self._setting}.token_url: the token endpoint {what}")
