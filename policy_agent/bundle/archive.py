"""Unpack a bundle archive within limits; nothing is ever written to disk.

Pure. Follows OPA v1.22 v1/bundle/file.go for names and the limit of one file; the limit of the
whole is ours, because OPA has none.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any, Final

from policy_agent.bundle import tar
from policy_agent.errors import BundleFormatError

MAX_ARCHIVE_BYTES: Final = 1 << 29  # 512 MiB: Lambda's /tmp, where the copy goes, by default
MAX_PATH_SEGMENTS: Final = 64  # directories become nested objects, which recursive code walks

# Policies and JSON shrink to a tenth, repetitive data to a fiftieth; deflate reaches 1:1032.
_MAX_RATIO: Final = 100
_ALWAYS_ALLOWED_BYTES: Final = 64 << 20
_NEVER_ALLOWED_BYTES: Final = 2 << 30
_GZIP_MAGIC: Final = b"\x1f\x8b"
# A server that sets Content-Encoding on a .tar.gz may wrap it a second time.
_MAX_LAYERS: Final = 2


def unpack(raw: bytes, *, size_limit_bytes: int) -> dict[str, bytes]:
    """Return path -> content of every file in a tar archive, gzip'd or plain.

    Args:
        size_limit_bytes: of one unpacked file.

    Returns:
        Paths without leading slash or `./`, in the archive's order.

    Raises:
        BundleFormatError: not such an archive, a limit exceeded, a link or device, two files of one
            name, or a name that leads outside; the message names the entry.
    """
    files: dict[str, bytes] = {}
    stream = _opened(raw)
    for name, content in tar.read_files(stream.read, size_limit_bytes=size_limit_bytes):
        path = safe_path(name)
        if path in files:
            raise BundleFormatError(f"bundle read failed: {path}: is in the archive twice")
        files[path] = content
    return files


def safe_path(name: str) -> str:
    """Return a file's path below the bundle's root, without leading slash or `./`.

    Raises:
        BundleFormatError: it leads outside, is empty, nests too deeply or holds a NUL.
    """
    segments = [segment for segment in name.split("/") if segment not in ("", ".")]
    if ".." in segments:
        raise BundleFormatError(f"bundle read failed: {name}: leads outside the bundle")
    if not segments or name.endswith("/") or "\0" in name:
        raise BundleFormatError(f"bundle read failed: {name!r}: not a file name")
    if len(segments) > MAX_PATH_SEGMENTS:
        raise BundleFormatError(f"bundle read failed: {name[:80]}...: nested too deeply")
    return "/".join(segments)


def _opened(raw: bytes) -> io.BufferedReader[Any]:
    if raw[257:262] != b"ustar" and not raw.startswith(_GZIP_MAGIC):
        raise BundleFormatError("bundle read failed: archive read failed: gzip: invalid header")
    limit_bytes = max(_ALWAYS_ALLOWED_BYTES, _MAX_RATIO * len(raw))
    limit_bytes = min(limit_bytes, _NEVER_ALLOWED_BYTES)
    stream: io.BufferedReader[Any] = io.BufferedReader(io.BytesIO(raw))
    for _ in range(_MAX_LAYERS):
        if stream.peek(2).startswith(_GZIP_MAGIC):
            stream = io.BufferedReader(_Unpacked(stream, limit_bytes))
    return stream


class _Unpacked(io.RawIOBase):
    """What comes out of a gzip stream, counted and limited."""

    def __init__(self, packed: io.BufferedReader[Any], limit_bytes: int) -> None:
        self._gzip = gzip.GzipFile(fileobj=packed)
        self._remaining_bytes = limit_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            size_bytes = self._gzip.readinto(buffer)
        except (OSError, EOFError, zlib.error) as exc:
            raise BundleFormatError(f"bundle read failed: archive read failed: {exc}") from exc
        self._remaining_bytes -= size_bytes
        if self._remaining_bytes < 0:
            raise BundleFormatError("bundle read failed: the archive unpacks to too much")
        return size_bytes
