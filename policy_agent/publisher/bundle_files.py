"""Read the files of a bundle, a directory or an archive, without judging what is in them.

Does I/O.
"""

from __future__ import annotations

from pathlib import Path

from policy_agent.bundle.archive import MAX_ARCHIVE_BYTES, unpack
from policy_agent.bundle.directory import collect_files
from policy_agent.bundle.local_file import read_regular_file
from policy_agent.config import DEFAULT_BUNDLE_LIMIT_BYTES
from policy_agent.errors import BundleDownloadError, BundleFormatError


def read_bundle_files(path: Path) -> dict[str, bytes]:
    """Return path below the bundle's root -> content, the files that an agent would see.

    Raises:
        BundleDownloadError: it cannot be read from disk.
        BundleFormatError: it is no archive, or holds what no bundle may.
    """
    if not path.is_dir():
        raw = read_file(path, MAX_ARCHIVE_BYTES)
        return unpack(raw, size_limit_bytes=DEFAULT_BUNDLE_LIMIT_BYTES)
    files = collect_files(path)
    for name in files:
        try:
            name.encode()
        except UnicodeEncodeError as exc:
            raise BundleFormatError(f"{name!r}: the name is not UTF-8") from exc
    return files


def read_file(path: Path, limit_bytes: int) -> bytes:
    """Return a file's content.

    Raises:
        BundleDownloadError: it cannot be read.
        BundleFormatError: it is larger than `limit_bytes`.
    """
    try:
        content = read_regular_file(path, limit_bytes=limit_bytes)
    except OSError as exc:
        raise BundleDownloadError(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
    if content is None:
        raise BundleFormatError(f"{path}: is larger than {limit_bytes} bytes")
    return content
