"""Base64 as Go reads it, with Go's words for what it refuses.

Pure. Source: Go encoding/base64; OPA v1.22 v1/topdown/encoding.go.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import a2b_base64
from typing import Final

from policy_agent.rego.builtins.go_text import to_bytes

_COMMON: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_STANDARD: Final = _COMMON + b"+/"
_URL: Final = _COMMON + b"-_"
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_PAD: Final = ord("=")
_MOST_PADDING: Final = 2


class Base64Error(ValueError):
    """A text is not base64; the message is Go's."""


def decode_standard(text: str) -> bytes:
    """Decode padded base64 of the standard alphabet; line ends are skipped.

    Raises:
        Base64Error: another character, or padding is missing or in the wrong place.
    """
    return _decode(text, _STANDARD)


def decode_url(text: str) -> bytes:
    """Decode base64 of the URL alphabet; padding may be left out altogether.

    Raises:
        Base64Error: as `decode_standard`.
    """
    if not text.endswith("="):
        over = len(to_bytes(text)) % 4
        if over == 1:
            raise Base64Error(f"illegal base64url string: {text}")
        text += "=" * (-over % 4)
    return _decode(text, _URL)


def encode_url(raw: bytes) -> str:
    """Encode as base64 of the URL alphabet without padding."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str, alphabet: bytes) -> bytes:
    raw = to_bytes(text)
    unpadded = raw.rstrip(b"=")
    is_padded_right = len(raw) % 4 == 0 and len(raw) - len(unpadded) <= _MOST_PADDING
    # Almost always; looking at each byte is for finding what is wrong, and for line ends.
    if not is_padded_right or unpadded.translate(None, alphabet):
        _check(raw, alphabet)
    return a2b_base64(raw.translate(_TO_STANDARD))


def _check(raw: bytes, alphabet: bytes) -> None:
    quantum = 0
    for at, byte in enumerate(raw):
        if byte in b"\r\n":
            continue
        if byte in alphabet:
            quantum = (quantum + 1) % 4
        elif byte == _PAD and quantum >= 2:
            _check_padding(raw, at, quantum)
            break
        else:
            raise Base64Error(f"illegal base64 data at input byte {at}")
    else:
        if quantum:
            lines = raw.replace(b"\r", b"").replace(b"\n", b"")
            raise Base64Error(f"illegal base64 data at input byte {len(lines) - quantum}")


def _check_padding(raw: bytes, at: int, quantum: int) -> None:
    """Refuse what follows the first padding character but its second and line ends."""
    position = at + 1
    if quantum == 2:
        position = _after_line_ends(raw, position)
        if position == len(raw):
            raise Base64Error(f"illegal base64 data at input byte {len(raw)}")
        if raw[position] != _PAD:
            raise Base64Error(f"illegal base64 data at input byte {position - 1}")
        position += 1
    position = _after_line_ends(raw, position)
    if position < len(raw):
        raise Base64Error(f"illegal base64 data at input byte {position}")


def _after_line_ends(raw: bytes, position: int) -> int:
    while position < len(raw) and raw[position] in b"\r\n":
        position += 1
    return position
