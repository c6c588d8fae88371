"""Whom a service's connections trust, and the certificate that they show.

The files are read again for each connection and a changed one is used from then on, so that
certificates can be rotated under a running agent (as in OPA v1.22 v1/plugins/rest/auth_tls.go,
which does so for the client's own only).
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from policy_agent.config import Service
from policy_agent.errors import TransportError

if TYPE_CHECKING:
    import ssl

    from policy_agent.config.credentials import ClientTls


class TlsFiles:
    """The TLS side of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._setting = f"services.{service.name}"
        self._client = _certificate_of(service)
        self._context: ssl.SSLContext | None = None
        self._digest = b""
        self._read_at = 0.0

    def context(self) -> ssl.SSLContext:
        """Return the settings for a connection that is about to be made.

        Raises:
            TransportError: a certificate or key cannot be read or does not fit.
        """
        reread_seconds = self._client.reread_seconds if self._client else 0
        if self._context is not None and time.monotonic() - self._read_at < reread_seconds:
            return self._context
        digest = self._digest_of_files()
        if self._context is None or digest != self._digest:
            self._context, self._digest = self._load(), digest
        self._read_at = time.monotonic()
        return self._context

    def _digest_of_files(self) -> bytes:
        files = {"tls.ca_cert": self._service.ca_cert}
        if self._client:
            files["credentials.client_tls.cert"] = self._client.cert
            files["credentials.client_tls.private_key"] = self._client.private_key
        digest = hashlib.sha256()
        for setting, path in files.items():
            if path:
                try:
                    digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
                except OSError as exc:
                    msg = f"{self._setting}.{setting}: cannot be read: {exc.strerror}"
                    raise TransportError(msg) from exc
        return digest.digest()

    def _load(self) -> ssl.SSLContext:
        import ssl

        service = self._service
        try:
            context = ssl.create_default_context(cafile=service.ca_cert or None)
        except OSError as exc:
            msg = f"{self._setting}.tls.ca_cert: has no PEM certificates"
            raise TransportError(msg) from exc
        if service.ca_cert and service.system_ca_required:
            context.load_default_certs()
        if service.allow_insecure_tls:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self._client:
            self._show(context, self._client)
        return context

    def _show(self, context: ssl.SSLContext, client: ClientTls) -> None:
        try:
            # Were the passphrase None, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(client.cert, client.private_key, client.passphrase)
        except (OSError, ValueError) as exc:
            msg = (
                f"{self._setting}.credentials.client_tls: certificate, key and passphrase "
                f"do not fit: {getattr(exc, 'reason', None) or type(exc).__name__}"
            )
            raise TransportError(msg) from exc


def _certificate_of(service: Service) -> ClientTls | None:
    if service.credentials is None:
        return None
    from policy_agent.config.credentials import ClientTls

    return service.credentials if isinstance(service.credentials, ClientTls) else None
