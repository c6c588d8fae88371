"""Pack events into bodies that the receiver's size limit allows: gzip JSON arrays, or lines.

Pure. OPA guesses an uncompressed size, and decodes and repacks what turns out too large (v1.22
v1/plugins/logs/encoder.go), which loses chunks. Here the compressor itself is asked: as long as
the worst case fits, an event is added; after that what is pending is forced out, so that its size
is known, and an event that may not fit is tried on a copy of the compressor. Each event is
compressed at most twice however many there are.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence

from msgspec import Struct

from policy_agent.audit_chain import ChainKey, audit_of, sealed
from policy_agent.codec import decode_json, encode_json
from policy_agent.decision_log.batch import JSON_ARRAY, Form
from policy_agent.errors import DocumentError
from policy_agent.model import JsonObject

_LEVEL = 6  # zlib's and OPA's default: 12 % smaller than 1 at twice its 4 ms a megabyte
_GZIP_FORMAT = 31  # zlib's wbits for the largest window with a gzip header and trailer
_END_BYTES = 16  # "]" in a block of its own and gzip's trailer
_FULL = 0.9  # OPA too calls a chunk full from here on
_STUB_KEYS = ("labels", "decision_id", "path", "timestamp", "bundles")


class Chunk(Struct, frozen=True):
    """One upload.

    Attributes:
        body: the events in the form asked for.
        count: how many of the given events it stands for, from the first on; at least 1.
        without_cache: its one event had to give up its `nd_builtin_cache`.
        stubbed: its one event had to be replaced by its stub.
    """

    body: bytes
    count: int
    without_cache: bool = False
    stubbed: bool = False


def pack(
    events: Sequence[bytes], limit_bytes: int, key: ChainKey, form: Form = JSON_ARRAY
) -> Chunk:
    """Return the longest chunk that the limit allows, give or take a tenth.

    An event that is too large alone goes without its `nd_builtin_cache`, else as a stub, whose
    chunk is the only one that may be larger than the limit.

    Args:
        events: at least one, each a JSON object.
        limit_bytes: the largest body, compressed if the form is.
        key: seals what replaces an event.
    """
    fill = _fill if form.is_gzip else _join
    body, count = fill(events, limit_bytes, form)
    if count:
        return Chunk(body, count)
    fields = _decoded(events[0])
    if fields.pop("nd_builtin_cache", None) is not None:
        fields["erased"] = [*fields.get("erased", ()), "/nd_builtin_cache"]
        smaller = sealed(fields, audit_of(fields), key)
        body, count = fill([encode_json(smaller)], limit_bytes, form)
        if count:
            return Chunk(body, count, without_cache=True)
    stub = make_stub(events[0], {"oversize_bytes": len(events[0])}, key)
    return Chunk(pack_alone(stub, form), 1, stubbed=True)


def pack_alone(event: bytes, form: Form = JSON_ARRAY) -> bytes:
    """Return the chunk of one event, whatever its size."""
    fill = _fill if form.is_gzip else _join
    body, _ = fill([event], sys.maxsize, form)
    return body


def make_stub(event: bytes, note: JsonObject, key: ChainKey) -> bytes:
    """Return what of an event says that there was a decision, without what makes it large.

    Args:
        note: goes under `custom`, and says why it is a stub.
        key: seals the stub, which keeps the event's number and chain value.
    """
    fields = _decoded(event)
    stub = {key: fields[key] for key in _STUB_KEYS if key in fields}
    stub |= {"erased": ["/input", "/result"], "custom": note}
    return encode_json(sealed(stub, audit_of(fields), key))


def _join(events: Sequence[bytes], limit_bytes: int, form: Form) -> tuple[bytes, int]:
    size_bytes = len(form.opening) + len(form.closing)
    count = 0
    for event in events:
        size_bytes += len(event) + (len(form.between) if count else 0)
        if size_bytes > limit_bytes:
            break
        count += 1
    return form.opening + form.between.join(events[:count]) + form.closing, count


def _fill(events: Sequence[bytes], limit_bytes: int, form: Form) -> tuple[bytes, int]:
    room_bytes = limit_bytes - _END_BYTES
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    parts: list[bytes] = []
    known_bytes = pending_bytes = count = 0
    for event in events:
        piece = (form.between if count else form.opening) + event
        if known_bytes + _worst_bytes(pending_bytes + len(piece)) > room_bytes:
            parts.append(deflate.flush(zlib.Z_SYNC_FLUSH))
            known_bytes += len(parts[-1])
            pending_bytes = 0
            if known_bytes > _FULL * room_bytes:
                break
        if known_bytes + _worst_bytes(pending_bytes + len(piece)) > room_bytes:
            trial = deflate.copy()
            compressed = trial.compress(piece) + trial.flush(zlib.Z_SYNC_FLUSH)
            if known_bytes + len(compressed) > room_bytes:
                break
            deflate = trial
        else:
            compressed = deflate.compress(piece)
            pending_bytes += len(piece)
        parts.append(compressed)
        known_bytes += len(compressed)
        count += 1
    parts.append(deflate.compress(form.closing) + deflate.flush())
    return b"".join(parts), count


def _worst_bytes(plain_bytes: int) -> int:
    """Bound what deflate makes of so many bytes (zlib's deflateBound, for any of its variants)."""
    return plain_bytes + (plain_bytes >> 3) + 64


def _decoded(event: bytes) -> JsonObject:
    try:
        fields = decode_json(event)
    except DocumentError:
        return {}
    return fields if isinstance(fields, dict) else {}
