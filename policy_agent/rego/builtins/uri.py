"""URIs: `uri.parse` and `uri.is_valid`.

Pure. What is a URI, how it is split and the words of its errors are those of Go's net/url (1.26),
which OPA v1.22 v1/topdown/uri.go uses; RFC 3986 and RFC 6874 are what it follows.
"""

from __future__ import annotations

import ipaddress
import re
import string
from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.go_text import from_bytes, quote, to_bytes
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.values import Value

_UNRESERVED: Final = frozenset((string.ascii_letters + string.digits + "-_.~").encode())
_IN_PATH: Final = _UNRESERVED | frozenset(b"$&+,/:;=@")
_IN_HOST: Final = _UNRESERVED | frozenset(b"!\"$&'()*+,:;<=>[]")
_IN_USERINFO: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*\Z")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.*)\Z", re.DOTALL)
_PORT: Final = re.compile(r"(?::[0-9]*)?\Z")
_CONTROL: Final = re.compile("[\0-\x1f\x7f]")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")
_ASCII_BYTES: Final = 0x80
_STRICT_SCHEMES: Final = ("http", "https")


class _UriError(Exception):
    """The text is no URI; the message is Go's."""


def parse(text: Value) -> Value:
    """Return the parts of a URI that are there: scheme, hostname, port, path, query, fragment."""
    uri = operands.need_string(text, 1)
    whole, _, fragment = uri.partition("#")
    shown = whole
    try:
        parts = _split(whole)
        if fragment:
            shown = uri
            parts["fragment"] = _unescape(fragment)
    except _UriError as exc:
        raise BuiltinError(f"parse {quote(shown)}: {exc}") from exc
    return parts


def is_valid(text: Value) -> bool:
    """Return whether a text is a URI; an empty one is not taken for one."""
    if not isinstance(text, str) or not text:
        return False
    try:
        parse(text)
    except BuiltinError:
        return False
    return True


def _split(uri: str) -> dict[str, Value]:
    if _CONTROL.search(uri):
        raise _UriError("net/url: invalid control character in URL")
    if uri == "*":
        return {"path": "*", "raw_path": "*"}
    scheme, rest = _scheme(uri)
    rest, _, query = rest.partition("?")
    parts: dict[str, Value] = {"scheme": scheme, "raw_query": query}
    if not rest.startswith("/"):
        if scheme:
            return _present(parts)
        if ":" in rest.partition("/")[0]:
            raise _UriError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, below = rest[2:].partition("/")
        parts |= _authority(scheme, authority)
        rest = slash + below
    path = _unescape(rest)
    parts["path"] = path
    parts["raw_path"] = path if _escape(path) == rest else rest
    return _present(parts)


def _present(parts: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in parts.items() if value}


def _scheme(uri: str) -> tuple[str, str]:
    if uri.startswith(":"):
        raise _UriError("missing protocol scheme")
    found = _SCHEME.match(uri)
    return (found[1].lower(), found[2]) if found else ("", uri)


def _authority(scheme: str, authority: str) -> dict[str, Value]:
    userinfo, at, host = authority.rpartition("@")
    host = _host(scheme, host)
    if at:
        if not _IN_USERINFO.match(userinfo):
            raise _UriError("net/url: invalid userinfo")
        _unescape(userinfo)
    if host.startswith("["):
        name, _, port = host[1:].rpartition("]")
    else:
        name, colon, port = host.rpartition(":")
        if not colon:
            name, port = host, ""
        port = colon + port
    return {"hostname": name, "port": port.removeprefix(":")}


def _host(scheme: str, host: str) -> str:
    bracket = host.rfind("[")
    if bracket > 0:
        raise _UriError("invalid IP-literal")
    if bracket == 0:
        return _ip_literal(host)
    first, last = host.find(":"), host.rfind(":")
    if first >= 0:
        _check_port(host[first if scheme in _STRICT_SCHEMES else last :])
    return _unescape_host(host)


def _ip_literal(host: str) -> str:
    name, closed, port = host[1:].rpartition("]")
    if not closed:
        raise _UriError("missing ']' in host")
    _check_port(port)
    address, zoned, zone = name.partition("%25")
    unescaped = _unescape_host(address)
    if zoned:
        unescaped += _unescape_host(zoned + zone, zone=True)
    try:
        valid = ipaddress.ip_address(unescaped).version == 6
    except ValueError:
        reason = "unable to parse IP"
        raise _UriError(f"invalid host: ParseAddr({quote(unescaped)}): {reason}") from None
    if not valid:
        raise _UriError("invalid IP-literal")
    return f"[{unescaped}]{port}"


def _check_port(port: str) -> None:
    if not _PORT.match(port):
        raise _UriError(f"invalid port {quote(port)} after host")


def _unescape(text: str) -> str:
    raw = to_bytes(text)
    for found in _ESCAPE.finditer(raw):
        if found[1] is None:
            raise _invalid_escape(raw, found.start())
    return from_bytes(_ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), raw))


def _unescape_host(text: str, *, zone: bool = False) -> str:
    raw = to_bytes(text)
    place = 0
    while place < len(raw):
        byte = raw[place]
        if byte == ord("%"):
            found = _ESCAPE.match(raw, place)
            if found is None or found[1] is None:
                raise _invalid_escape(raw, place)
            value = int(found[1], 16)
            # Escapes may not introduce what could not be written plainly (RFC 6874).
            plain = value == ord(" ") or value in _IN_HOST if zone else value >= _ASCII_BYTES
            if found[0] != b"%25" and not plain:
                raise _invalid_escape(raw, place)
            place += 3
            continue
        if byte < _ASCII_BYTES and byte not in _IN_HOST:
            raise _UriError(f"invalid character {quote(chr(byte))} in host name")
        place += 1
    return _unescape(text)


def _invalid_escape(raw: bytes, place: int) -> _UriError:
    return _UriError(f"invalid URL escape {quote(from_bytes(raw[place : place + 3]))}")


def _escape(path: str) -> str:
    return "".join(chr(b) if b in _IN_PATH else f"%{b:02X}" for b in to_bytes(path))


BUILTINS: Final = {
    "uri.is_valid": Builtin("uri.is_valid", is_valid),
    "uri.parse": Builtin("uri.parse", parse),
}
