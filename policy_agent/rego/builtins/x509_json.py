"""Certificates and keys in the JSON shape of Go's crypto/x509, which OPA's policies see.

Pure. Importing this loads cryptography.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import SignatureAlgorithmOID as Algorithm

_SIGNATURES: Final = {
    Algorithm.RSA_WITH_MD5: 2,
    Algorithm.RSA_WITH_SHA1: 3,
    Algorithm.RSA_WITH_SHA256: 4,
    Algorithm.RSA_WITH_SHA384: 5,
    Algorithm.RSA_WITH_SHA512: 6,
    Algorithm.ECDSA_WITH_SHA1: 9,
    Algorithm.ECDSA_WITH_SHA256: 10,
    Algorithm.ECDSA_WITH_SHA384: 11,
    Algorithm.ECDSA_WITH_SHA512: 12,
    Algorithm.ED25519: 16,
}
_PSS: Final = {"sha256": 13, "sha384": 14, "sha512": 15}
_NAME_LISTS: Final = {
    "Country": "2.5.4.6",
    "Organization": "2.5.4.10",
    "OrganizationalUnit": "2.5.4.11",
    "Locality": "2.5.4.7",
    "Province": "2.5.4.8",
    "StreetAddress": "2.5.4.9",
    "PostalCode": "2.5.4.17",
}
_NAME_TEXTS: Final = {"CommonName": "2.5.4.3", "SerialNumber": "2.5.4.5"}
_KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
EXTENDED_KEY_USAGES: Final = {
    "2.5.29.37.0": 0,
    **{f"1.3.6.1.5.5.7.3.{number}": number for number in range(1, 10)},
    "1.3.6.1.4.1.311.10.3.3": 10,
    "2.16.840.1.113730.4.1": 11,
    "1.3.6.1.4.1.311.2.1.22": 12,
    "1.3.6.1.4.1.311.61.1.1": 13,
}
_HANDLED: Final = frozenset(
    (*(f"2.5.29.{number}" for number in (14, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54)),)
)


def base64(raw: bytes | None) -> str | None:
    """Return bytes as Go's JSON writes them."""
    return None if raw is None else b64encode(raw).decode()


def _oid(dotted: str) -> list[int]:
    return [int(part) for part in dotted.split(".")]


def _or_none(items: Iterable[Any]) -> list[Any] | None:
    return list(items) or None


def name_json(name: x509.Name) -> dict[str, Any]:
    """Return a subject or issuer."""
    attributes = [(each.oid.dotted_string, each.value) for each in name]
    shape: dict[str, Any] = {
        key: _or_none(value for oid, value in attributes if oid == wanted)
        for key, wanted in _NAME_LISTS.items()
    }
    for key, wanted in _NAME_TEXTS.items():
        shape[key] = next((value for oid, value in reversed(attributes) if oid == wanted), "")
    shape["Names"] = _or_none({"Type": _oid(oid), "Value": value} for oid, value in attributes)
    shape["ExtraNames"] = None
    return shape


def public_key_json(key: Any) -> tuple[int, Any]:
    """Return Go's number for a key's algorithm and the key."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return 1, {"N": numbers.n, "E": numbers.e}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        return 3, {"Curve": {}, "X": point.x, "Y": point.y}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return 4, base64(key.public_bytes_raw())
    return 0, None


def private_key_json(key: Any) -> Any:
    """Return a private key."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        return {
            **public_key_json(key.public_key())[1],
            "D": numbers.d,
            "Primes": [numbers.p, numbers.q],
            "Precomputed": {
                "Dp": numbers.dmp1,
                "Dq": numbers.dmq1,
                "Qinv": numbers.iqmp,
                "CRTValues": [],
            },
        }
    if isinstance(key, ec.EllipticCurvePrivateKey):
        secret = key.private_numbers().private_value
        return {**public_key_json(key.public_key())[1], "D": secret}
    return base64(key.private_bytes_raw() + key.public_key().public_bytes_raw())


def _url_json(uri: str) -> dict[str, Any]:
    parts = urlsplit(uri)
    return {
        "Scheme": parts.scheme,
        "Opaque": "" if parts.netloc or parts.path.startswith("/") else parts.path,
        "User": None,
        "Host": parts.netloc,
        "Path": parts.path if parts.netloc or parts.path.startswith("/") else "",
        "RawPath": "",
        "OmitHost": False,
        "ForceQuery": False,
        "RawQuery": parts.query,
        "Fragment": parts.fragment,
        "RawFragment": "",
    }


def _extensions(found: x509.Extensions) -> dict[str, Any]:
    return {each.oid.dotted_string: each.value for each in found}


def _alternative_names(values: dict[str, Any]) -> dict[str, Any]:
    names = values.get("2.5.29.17")

    def of(kind: Any) -> list[Any]:
        return [] if names is None else names.get_values_for_type(kind)

    return {
        "DNSNames": _or_none(of(x509.DNSName)),
        "EmailAddresses": _or_none(of(x509.RFC822Name)),
        "IPAddresses": _or_none(map(str, of(x509.IPAddress))),
        "URIs": _or_none(map(_url_json, of(x509.UniformResourceIdentifier))),
    }


def _signature_algorithm(signed: Any) -> int:
    oid = signed.signature_algorithm_oid
    if oid == Algorithm.RSASSA_PSS:
        return _PSS.get(signed.signature_hash_algorithm.name, 0)
    return _SIGNATURES.get(oid, 0)


def _signed_json(signed: Any, tbs: bytes, tbs_name: str, version: int) -> dict[str, Any]:
    """Return what certificates and requests have in common."""
    key = signed.public_key()
    algorithm, shown = public_key_json(key)
    return {
        "Raw": base64(signed.public_bytes(Encoding.DER)),
        tbs_name: base64(tbs),
        "RawSubjectPublicKeyInfo": base64(
            key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ),
        "RawSubject": base64(signed.subject.public_bytes()),
        "Signature": base64(signed.signature),
        "SignatureAlgorithm": _signature_algorithm(signed),
        "PublicKeyAlgorithm": algorithm,
        "PublicKey": shown,
        "Version": version,
        "Subject": name_json(signed.subject),
        "Extensions": _or_none(map(_extension_json, signed.extensions)),
        "ExtraExtensions": None,
        **_alternative_names(_extensions(signed.extensions)),
    }


def _extension_json(extension: x509.Extension[Any]) -> dict[str, Any]:
    return {
        "Id": _oid(extension.oid.dotted_string),
        "Critical": extension.critical,
        "Value": base64(extension.value.public_bytes()),
    }


def certificate_json(certificate: x509.Certificate) -> dict[str, Any]:
    """Return a certificate."""
    values = _extensions(certificate.extensions)
    version = certificate.version.value + 1
    unhandled = [
        _oid(each.oid.dotted_string)
        for each in certificate.extensions
        if each.critical and each.oid.dotted_string not in _HANDLED
    ]
    before, after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return {
        **_signed_json(
            certificate, certificate.tbs_certificate_bytes, "RawTBSCertificate", version
        ),
        "RawIssuer": base64(certificate.issuer.public_bytes()),
        "SerialNumber": certificate.serial_number,
        "Issuer": name_json(certificate.issuer),
        "NotBefore": f"{before:%Y-%m-%dT%H:%M:%SZ}",
        "NotAfter": f"{after:%Y-%m-%dT%H:%M:%SZ}",
        "UnhandledCriticalExtensions": unhandled or None,
        **_usages(values),
        **_identifiers(values),
        **_name_constraints(certificate),
        **_policies(values),
    }


def _usages(values: dict[str, Any]) -> dict[str, Any]:
    usage = values.get("2.5.29.15")
    bits = 0
    if usage is not None:
        bits = sum(1 << bit for bit, name in enumerate(_KEY_USAGES) if getattr(usage, name))
        if usage.key_agreement:
            bits |= usage.encipher_only << 7 | usage.decipher_only << 8
    purposes = [each.dotted_string for each in values.get("2.5.29.37", ())]
    known = [EXTENDED_KEY_USAGES[each] for each in purposes if each in EXTENDED_KEY_USAGES]
    unknown = [_oid(each) for each in purposes if each not in EXTENDED_KEY_USAGES]
    basic = values.get("2.5.29.19")
    longest = 0
    if basic is not None:
        longest = -1 if basic.path_length is None else basic.path_length
    return {
        "KeyUsage": bits,
        "ExtKeyUsage": known or None,
        "UnknownExtKeyUsage": unknown or None,
        "BasicConstraintsValid": basic is not None,
        "IsCA": basic is not None and basic.ca,
        "MaxPathLen": longest,
        "MaxPathLenZero": basic is not None and longest == 0,
    }


def _identifiers(values: dict[str, Any]) -> dict[str, Any]:
    subject, authority = values.get("2.5.29.14"), values.get("2.5.29.35")
    access = [
        (each.access_method.dotted_string, each.access_location.value)
        for each in values.get("1.3.6.1.5.5.7.1.1", ())
        if isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]
    points = [
        name.value
        for point in values.get("2.5.29.31", ())
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier)
    ]
    return {
        "SubjectKeyId": base64(subject and subject.digest),
        "AuthorityKeyId": base64(authority and authority.key_identifier),
        "OCSPServer": _or_none(url for oid, url in access if oid == "1.3.6.1.5.5.7.48.1"),
        "IssuingCertificateURL": _or_none(
            url for oid, url in access if oid == "1.3.6.1.5.5.7.48.2"
        ),
        "CRLDistributionPoints": points or None,
    }


def _name_constraints(certificate: x509.Certificate) -> dict[str, Any]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        permitted, excluded, critical = [], [], False
    else:
        permitted = found.value.permitted_subtrees or []
        excluded = found.value.excluded_subtrees or []
        critical = found.critical
    shape: dict[str, Any] = {"PermittedDNSDomainsCritical": critical}
    for prefix, names in (("Permitted", permitted), ("Excluded", excluded)):
        for suffix, kind in (
            ("DNSDomains", x509.DNSName),
            ("EmailAddresses", x509.RFC822Name),
            ("URIDomains", x509.UniformResourceIdentifier),
        ):
            shape[prefix + suffix] = _or_none(
                name.value for name in names if isinstance(name, kind)
            )
        shape[f"{prefix}IPRanges"] = _or_none(
            {"IP": str(name.value.network_address), "Mask": base64(name.value.netmask.packed)}
            for name in names
            if isinstance(name, x509.IPAddress)
            and isinstance(name.value, IPv4Network | IPv6Network)
        )
    return shape


def _policies(values: dict[str, Any]) -> dict[str, Any]:
    policies = [each.policy_identifier.dotted_string for each in values.get("2.5.29.32", ())]
    limits = values.get("2.5.29.36")
    any_policy = values.get("2.5.29.54")
    counts = {
        "RequireExplicitPolicy": limits and limits.require_explicit_policy,
        "InhibitPolicyMapping": limits and limits.inhibit_policy_mapping,
        "InhibitAnyPolicy": any_policy and any_policy.skip_certs,
    }
    shape: dict[str, Any] = {
        "Policies": policies or None,
        "PolicyIdentifiers": _or_none(map(_oid, policies)),
        "PolicyMappings": None,
    }
    for name, count in counts.items():
        shape[name] = count or 0
        shape[f"{name}Zero"] = count == 0
    return shape


def uri_strings(certificate: dict[str, Any]) -> list[str] | None:
    """Return a certificate's URIs as texts."""
    uris = certificate["URIs"]
    if uris is None:
        return None
    return [_url_text(uri) for uri in uris]


def _url_text(uri: dict[str, Any]) -> str:
    query = f"?{uri['RawQuery']}" if uri["RawQuery"] else ""
    fragment = f"#{uri['Fragment']}" if uri["Fragment"] else ""
    place = uri["Opaque"] or f"//{uri['Host']}{uri['Path']}"
    return f"{uri['Scheme']}:{place}{query}{fragment}"


def request_json(request: x509.CertificateSigningRequest) -> dict[str, Any]:
    """Return a certificate signing request."""
    shape = _signed_json(request, request.tbs_certrequest_bytes, "RawTBSCertificateRequest", 0)
    listed = shape["Extensions"] or []
    wanted = [{"Type": each["Id"], "Value": each["Value"]} for each in listed]
    # Go shows only attributes that hold lists of extensions, without their critical flags.
    kind = _oid("1.2.840.113549.1.9.14")
    shape["Attributes"] = [{"Type": kind, "Value": [wanted]}] if wanted else None
    return shape
