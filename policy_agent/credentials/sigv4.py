"""Sign a request to AWS, version 4.

Pure. As OPA signs (v1.22 internal/providers/aws/signing_v4.go): all headers but those that proxies
change, and the query as it is. The built-in function `providers.aws.sign_req` is this code, too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Final

from msgspec import Struct

from policy_agent.record import Record

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
_UNSIGNED_HEADERS: Final = frozenset(("authorization", "user-agent", "x-amzn-trace-id"))
_HASH_HEADER_SERVICES: Final = ("s3", "glacier")


class ToSign(Struct, frozen=True):
    """The parts of a request that are signed.

    Attributes:
        path: escaped, as it is sent.
        payload_hash: SHA-256 of the body in hexadecimal, or `UNSIGNED_PAYLOAD`.
    """

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    payload_hash: str


class Signer(Record, frozen=True):
    """Credentials, and the service and region that a signature holds for."""

    unshown: ClassVar[frozenset[str]] = frozenset({"secret_key", "session_token"})

    access_key: str
    secret_key: str
    session_token: str
    region: str
    service: str

    def headers(self, request: ToSign, at: datetime) -> dict[str, str]:
        """Return the headers that sign `request`, `host` among them.

        Args:
            at: in UTC.
        """
        added = {"host": request.host, "x-amz-date": f"{at:%Y%m%dT%H%M%SZ}"}
        if self.service in _HASH_HEADER_SERVICES:
            added["x-amz-content-sha256"] = request.payload_hash
        if self.session_token:
            added["x-amz-security-token"] = self.session_token
        signed = dict(added)
        for name, text in request.headers.items():
            if name.lower() not in _UNSIGNED_HEADERS:
                signed[name.lower()] = text
        names = sorted(signed)
        name_list = ";".join(names)
        lines = [request.method, request.path, request.query]
        lines += [f"{name}:{signed[name]}" for name in names]
        canonical = "\n".join([*lines, "", name_list, request.payload_hash])
        scope = f"{at:%Y%m%d}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = "\n".join(("AWS4-HMAC-SHA256", added["x-amz-date"], scope, digest))
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope},"
            f"SignedHeaders={name_list},Signature={_mac(self._key(at), to_sign).hex()}"
        )
        return {"Authorization": authorization, **added}

    def _key(self, at: datetime) -> bytes:
        key = f"AWS4{self.secret_key}".encode()
        for part in (f"{at:%Y%m%d}", self.region, self.service, "aws4_request"):
            key = _mac(key, part)
        return key


def _mac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
