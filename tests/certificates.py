"""A certificate authority for tests: certificates of localhost and of clients, in PEM files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Files:
    """Paths of a certificate and its key."""

    cert: str
    key: str


class Authority:
    """Issues certificates below a directory; `ca` is the file to trust."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test {name}")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        built = _builder(self._name, self._name, self._key).add_extension(constraints, True)
        self.ca = str(directory / f"{name}.pem")
        Path(self.ca).write_bytes(_pem(built.sign(self._key, hashes.SHA256())))

    def issue(self, name: str, *, passphrase: str = "", days: int = 1) -> Files:
        """Issue a certificate of `name`, which is its DNS name, too; expired when `days` is 0."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        built = _builder(subject, self._name, key, days).add_extension(names, False)
        files = Files(str(self.directory / f"{name}.crt"), str(self.directory / f"{name}.key"))
        Path(files.cert).write_bytes(_pem(built.sign(self._key, hashes.SHA256())))
        protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            protection = serialization.BestAvailableEncryption(passphrase.encode())
        encoded = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
        )
        Path(files.key).write_bytes(encoded)
        return files

    def server_context(self, name: str = "localhost", *, days: int = 1) -> ssl.SSLContext:
        """Return what a TLS server of `name` runs on."""
        files = self.issue(name, days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.cert, files.key)
        return context

    def asking_context(self) -> ssl.SSLContext:
        """Return what a TLS server runs on that wants its clients' certificates from here."""
        context = self.server_context()
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int = 1
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days - 0.5))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
