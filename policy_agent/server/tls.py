"""Serve over TLS, and tell who the client is by its certificate.

Imported only when TLS is asked for: `ssl` and `cryptography` cost a cold start much.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct

from policy_agent.errors import ConfigError
from policy_agent.model import JsonObject
from policy_agent.server.access import Peer

log = logging.getLogger(__name__)

MIN_VERSIONS: Final = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
DescribeCertificate = Callable[[bytes], JsonObject]
# The order of Go's pkix.Name, from the end.
_SUBJECT: Final = (
    ("SerialNumber", "SERIALNUMBER"),
    ("CommonName", "CN"),
    ("PostalCode", "POSTALCODE"),
    ("StreetAddress", "STREET"),
    ("Province", "ST"),
    ("Locality", "L"),
    ("OrganizationalUnit", "OU"),
    ("Organization", "O"),
    ("Country", "C"),
)


class TlsFiles(Struct, frozen=True):
    """Where the server's certificate is.

    Attributes:
        ca_certificate: of those who sign clients' certificates; None for the system's.
        requires_client: whether a client must show a certificate.
    """

    certificate: Path
    private_key: Path
    ca_certificate: Path | None = None
    min_version: str = "1.2"
    requires_client: bool = False


class ServerTls:
    """A TLS context whose files may change while it serves."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            ConfigError: they cannot be read, or do not belong together.
        """
        self._files = files
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = MIN_VERSIONS[files.min_version]
        if files.requires_client:
            self.context.verify_mode = ssl.CERT_REQUIRED
        self._seen: list[int] = []
        self._load()

    def _load(self) -> None:
        files = self._files
        try:
            self._seen = self._times()
            self.context.load_cert_chain(files.certificate, files.private_key)
            if files.ca_certificate is not None:
                self.context.load_verify_locations(files.ca_certificate)
            elif files.requires_client:
                self.context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        except (OSError, ssl.SSLError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            raise ConfigError([f"TLS: cannot use {files.certificate}: {reason}"]) from exc

    def _times(self) -> list[int]:
        files = (self._files.certificate, self._files.private_key, self._files.ca_certificate)
        return [os.stat(file).st_mtime_ns for file in files if file is not None]

    async def keep_fresh(self, period_seconds: float) -> None:
        """Look at the files again and again; new connections get what they hold by then."""
        while True:
            await asyncio.sleep(period_seconds)
            try:
                if self._times() != self._seen:
                    self._load()
                    log.info("The TLS certificate was read again")
            except (OSError, ConfigError) as exc:
                log.error("The TLS certificate in use stays: %s", exc)


def identify_by(describe: DescribeCertificate) -> Callable[[bytes], Peer]:
    """Return what tells a client by its certificate in DER.

    Args:
        describe: a DER certificate -> OPA's JSON of it.
    """
    return lambda raw: _peer(raw, describe)


def _peer(raw: bytes, describe: DescribeCertificate) -> Peer:
    certificate = describe(raw)
    return Peer(distinguished_name(certificate["Subject"]), [certificate])


def distinguished_name(subject: JsonObject) -> str:
    """Return a certificate's subject as Go writes it: `CN=bob,O=Example`.

    Args:
        subject: OPA's JSON of it, Go's pkix.Name.
    """
    parts = []
    for field, short in _SUBJECT:
        value = subject[field] or []
        values = [value] if isinstance(value, str) else value
        if values:
            parts.append("+".join(f"{short}={_escaped(each)}" for each in values))
    return ",".join(parts)


def _escaped(text: str) -> str:
    escaped = re.sub(r'([,+"\\<>;])', r"\\\1", text)
    if text[:1] in ("#", " "):
        escaped = "\\" + escaped
    return escaped[:-1] + "\\ " if len(text) > 1 and text.endswith(" ") else escaped
