"""Read bundles from local files: a directory tree, or an archive on disk.

Does I/O. Follows OPA v1.22 v1/bundle/file.go for which files count, except that hidden ones are
left out: what an editor or a version control system keeps beside policies is not policy.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from policy_agent.bundle.archive import MAX_ARCHIVE_BYTES, safe_path
from policy_agent.bundle.local_file import read_regular_file
from policy_agent.bundle.reader import NO_KEYS, read_bundle, read_files
from policy_agent.config import DEFAULT_BUNDLE_LIMIT_BYTES, Key, Signing
from policy_agent.errors import BundleDownloadError, BundleFormatError
from policy_agent.model import Bundle

# The protobuf manifest is kept so that it is refused by name, not overlooked.
_HIDDEN_BUT_OURS: Final = (".manifest", ".manifest.pb", ".signatures.json")


def read_path(
    name: str,
    path: Path,
    *,
    size_limit_bytes: int = DEFAULT_BUNDLE_LIMIT_BYTES,
    signing: Signing | None = None,
    keys: Mapping[str, Key] = NO_KEYS,
    now: float | None = None,
    lazily: bool = False,
) -> Bundle:
    """Read a bundle from an archive or a directory.

    Args:
        now: seconds since the epoch, None for this moment.
        lazily: large documents may be `LateJson`; the caller knows of it.

    Raises:
        BundleDownloadError: it cannot be read from disk.
        BundleFormatError: it is not a well-formed bundle.
        BundleVerificationError: the signature is missing or does not match.
    """
    if path.is_dir():
        return read_directory(
            name,
            path,
            size_limit_bytes=size_limit_bytes,
            signing=signing,
            keys=keys,
            now=now,
            lazily=lazily,
        )
    raw = _content(path, str(path), MAX_ARCHIVE_BYTES)
    return read_bundle(
        name,
        raw,
        size_limit_bytes=size_limit_bytes,
        signing=signing,
        keys=keys,
        now=now,
        lazily=lazily,
    )


def read_directory(
    name: str,
    path: Path,
    *,
    size_limit_bytes: int = DEFAULT_BUNDLE_LIMIT_BYTES,
    signing: Signing | None = None,
    keys: Mapping[str, Key] = NO_KEYS,
    now: float | None = None,
    lazily: bool = False,
) -> Bundle:
    """Read a bundle from a directory tree, with the checks that an archive gets.

    Args:
        now: seconds since the epoch, None for this moment.
        lazily: large documents may be `LateJson`; the caller knows of it.

    Raises:
        BundleDownloadError: a file cannot be read from disk.
        BundleFormatError: the files are not a well-formed bundle.
        BundleVerificationError: the signature is missing or does not match.
    """
    files = collect_files(path, size_limit_bytes=size_limit_bytes)
    return read_files(name, files, signing=signing, keys=keys, now=now, lazily=lazily)


def collect_files(
    path: Path, *, size_limit_bytes: int = DEFAULT_BUNDLE_LIMIT_BYTES
) -> dict[str, bytes]:
    """Return path -> content of the files below a directory, sorted by path.

    Hidden files and directories are left out but for the manifest and the signature. A link to a
    file inside the directory counts as that file, as in a mounted Kubernetes ConfigMap.

    Raises:
        BundleDownloadError: the directory or a file cannot be read, or is a device.
        BundleFormatError: a link leads outside or to a directory, or a file is too large.
    """
    root = Path(os.path.realpath(path))
    files: dict[str, bytes] = {}
    for directory, names, file_names in os.walk(root, onerror=_refuse_unreadable):
        names[:] = [name for name in names if not name.startswith(".")]
        here = Path(directory)
        for name in (*names, *file_names):
            file = here / name
            if name in names and not file.is_symlink():
                continue
            if name.startswith(".") and name not in _HIDDEN_BUT_OURS:
                continue
            relative = safe_path(file.relative_to(root).as_posix())
            _check_link(file, root, relative)
            files[relative] = _content(file, relative, size_limit_bytes)
    return dict(sorted(files.items()))


def _refuse_unreadable(error: OSError) -> None:
    raise BundleDownloadError(f"{error.filename}: {_reason(error)}") from error


def _check_link(file: Path, root: Path, relative: str) -> None:
    if not file.is_symlink():
        return
    # Path.resolve raises on a loop of links; opening it will say so in our words.
    if not Path(os.path.realpath(file)).is_relative_to(root):
        raise BundleFormatError(f"{relative}: the link leads outside the bundle")
    if file.is_dir():
        raise BundleFormatError(f"{relative}: links to directories are not allowed")


def _content(file: Path, shown: str, limit_bytes: int) -> bytes:
    try:
        content = read_regular_file(file, limit_bytes=limit_bytes)
        if content is None:
            raise BundleFormatError(
                f"bundle read failed: bundle file {shown} size ({file.stat().st_size} bytes) "
                f"exceeds configured size_limit_bytes ({limit_bytes} bytes)"
            )
    except OSError as exc:
        raise BundleDownloadError(f"{shown}: {_reason(exc)}") from exc
    return content


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
