"""Whether certificates form a chain from a trusted one to a leaf, by the rules of Go's verifier.

Pure. Source: Go crypto/x509 (verify.go). Importing this loads cryptography.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from msgspec import Struct

from policy_agent.rego.builtins.networks import parse_address
from policy_agent.rego.builtins.x509_json import EXTENDED_KEY_USAGES, certificate_json

_MAX_SIGNATURE_CHECKS: Final = 100
_ANY_USAGE: Final = 0
_CERT_SIGN: Final = 1 << 5


class Wanted(Struct, frozen=True):
    """What a chain must be good for.

    Attributes:
        at: the time of the check.
        usages: numbers of extended key usages of which one is enough.
        dns_name: a host the leaf must be valid for, "" for any.
    """

    at: datetime
    usages: tuple[int, ...] = (1,)
    dns_name: str = ""


def verified_chain(
    certificates: list[x509.Certificate], wanted: Wanted
) -> list[x509.Certificate] | None:
    """Return a chain from the last certificate to the first, None if there is none.

    The first is trusted, those between may be used.
    """
    root, *intermediates, leaf = certificates
    if not _is_current(leaf, wanted) or not _names(leaf, wanted.dns_name):
        return None
    if leaf == root:
        chain: list[x509.Certificate] | None = [leaf]
    else:
        chain = _Search(root, intermediates, wanted).extend([leaf])
    return chain if chain is not None and _is_usable(chain, wanted.usages) else None


class _Search:
    def __init__(
        self, root: x509.Certificate, intermediates: list[x509.Certificate], wanted: Wanted
    ) -> None:
        self._root, self._intermediates, self._wanted = root, intermediates, wanted
        self._checks = 0

    def extend(self, chain: list[x509.Certificate]) -> list[x509.Certificate] | None:
        """Return the chain completed up to the root."""
        if self._issued(self._root, chain):
            return [*chain, self._root]
        for candidate in self._intermediates:
            if candidate not in chain and self._issued(candidate, chain):
                found = self.extend([*chain, candidate])
                if found is not None:
                    return found
        return None

    def _issued(self, parent: x509.Certificate, chain: list[x509.Certificate]) -> bool:
        child = chain[-1]
        if parent.subject != child.issuer or not _is_current(parent, self._wanted):
            return False
        shape = certificate_json(parent)
        if not shape["IsCA"] and (shape["Version"] == 3 or shape["BasicConstraintsValid"]):
            return False
        if shape["KeyUsage"] and not shape["KeyUsage"] & _CERT_SIGN:
            return False
        if shape["BasicConstraintsValid"] and 0 <= shape["MaxPathLen"] < len(chain) - 1:
            return False
        self._checks += 1
        if self._checks > _MAX_SIGNATURE_CHECKS:
            return False
        try:
            child.verify_directly_issued_by(parent)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return _allows_names(shape, chain[0])


def _is_current(certificate: x509.Certificate, wanted: Wanted) -> bool:
    unhandled = certificate_json(certificate)["UnhandledCriticalExtensions"]
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not unhandled and begins <= wanted.at <= ends


def _is_usable(chain: list[x509.Certificate], usages: tuple[int, ...]) -> bool:
    if _ANY_USAGE in usages:
        return True
    left = set(usages)
    for certificate in chain:
        try:
            found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        except x509.ExtensionNotFound:
            continue
        numbers = {EXTENDED_KEY_USAGES.get(each.dotted_string) for each in found.value}
        if _ANY_USAGE not in numbers:
            left &= numbers
    return bool(left)


def _allows_names(parent: dict[str, object], leaf: x509.Certificate) -> bool:
    """Return whether an authority's constraints allow the leaf's host names."""
    permitted, excluded = parent["PermittedDNSDomains"], parent["ExcludedDNSDomains"]
    for name in _dns_names(leaf):
        if any(_within(name, domain) for domain in _texts(excluded)):
            return False
        if permitted and not any(_within(name, domain) for domain in _texts(permitted)):
            return False
    return True


def _texts(value: object) -> list[str]:
    return value if isinstance(value, list) else []


def _within(name: str, domain: str) -> bool:
    name, domain = name.lower(), domain.lower()
    if not domain or domain.startswith("."):
        return name.endswith(domain)
    return name == domain or name.endswith(f".{domain}")


def _dns_names(certificate: x509.Certificate) -> list[str]:
    return _texts(certificate_json(certificate)["DNSNames"])


def _names(leaf: x509.Certificate, host: str) -> bool:
    if not host:
        return True
    address = parse_address(host.removeprefix("[").removesuffix("]"))
    if address is not None:
        return str(address) in _texts(certificate_json(leaf)["IPAddresses"])
    wanted = host.lower().removesuffix(".").split(".")
    for name in _dns_names(leaf):
        labels = name.lower().removesuffix(".").split(".")
        first_fits = labels[0] in ("*", wanted[0])
        if len(labels) == len(wanted) and first_fits and labels[1:] == wanted[1:]:
            return True
    return False
