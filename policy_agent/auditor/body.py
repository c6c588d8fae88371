"""Take an uploaded body apart: gzip, then a JSON array, then its entries as text.

Pure. OPA v1.22 sends one gzip member of one JSON array (v1/plugins/logs/encoder.go); members may
be concatenated, as `cat` of several files does.
"""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import DocumentError, RequestError

# OPA's default upload is 32 KB compressed, about 250 KB of JSON, so this leaves room for uploads
# configured 250 times larger and still bounds what a hostile body can make us hold.
MAX_DECOMPRESSED_BYTES: Final = 64 << 20

_GZIP_ONLY: Final = 31  # zlib: largest window, gzip header required
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def gunzip(body: bytes, limit_bytes: int = MAX_DECOMPRESSED_BYTES) -> bytes:
    """Decompress all members of a gzip file.

    Raises:
        RequestError: not gzip, cut short, or more than `limit_bytes` when decompressed.
    """
    parts: list[bytes] = []
    left_bytes = limit_bytes
    while body or not parts:
        member = zlib.decompressobj(_GZIP_ONLY)
        try:
            part = member.decompress(body, left_bytes + 1)
        except zlib.error as exc:
            raise RequestError(f"the body is not gzip: {exc}") from exc
        left_bytes -= len(part)
        if left_bytes < 0:
            raise RequestError(f"the body is larger than {limit_bytes} bytes when decompressed")
        if not member.eof:
            raise RequestError("the body is not whole: its gzip data is cut short")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)


def split_entries(text: bytes) -> list[bytes]:
    """Return the entries of a JSON array, each as its own text, unchanged where it can be.

    Raises:
        RequestError: not JSON, nested too deeply, or not an array.
    """
    try:
        return [bytes(entry) for entry in _split(text)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _split_leniently(text)


def _split_leniently(text: bytes) -> list[bytes]:
    try:
        document = decode_json(text)
    except DocumentError as exc:
        raise RequestError(f"the body is not JSON: {exc}") from exc
    if not isinstance(document, list):
        raise RequestError("the body is not a JSON array of events")
    return [encode_json(entry) for entry in document]
