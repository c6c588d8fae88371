"""Find bundles below a directory by name; touches the disk, and reads a file once per version."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policy_agent.errors import BundleError
from policy_agent.publisher.etag import strong_etag

SUFFIX: Final = ".tar.gz"

_Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """One version of a bundle file.

    Attributes:
        version: what changes when the file is replaced: time, size and inode.
    """

    raw: bytes
    etag: str
    version: _Version


class BundleStore:
    """The `*.tar.gz` files below a directory, which may be replaced at any time."""

    def __init__(self, directory: Path) -> None:
        """Open the store.

        Raises:
            BundleError: `directory` is not a directory.
        """
        if not directory.is_dir():
            raise BundleError(f"{directory}: is not a directory")
        self._directory = directory
        self._cache: dict[str, StoredBundle] = {}

    def find(self, name: str) -> StoredBundle | None:
        """Return the bundle's current version, None when there is no such file in the directory.

        Args:
            name: `orders` or `teams/orders`, with or without `.tar.gz`.

        Raises:
            BundleError: the file is there and cannot be read.
        """
        name = name.removesuffix(SUFFIX)
        cached = self._cache.pop(name, None)
        path = self._path(name)
        if path is None:
            return None
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            if cached is None or cached.version != _version(status):
                cached = _read(path)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise BundleError(f"bundle {name} cannot be read: {exc.strerror}") from exc
        self._cache[name] = cached
        return cached

    def _path(self, name: str) -> Path | None:
        segments = f"{name}{SUFFIX}".split("/")
        if any(segment.startswith(".") or not segment for segment in segments) or "\0" in name:
            return None
        try:
            # Each time, because a whole directory is published by switching a link to it.
            root = self._directory.resolve(strict=True)
            path = root.joinpath(*segments).resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        # Links are followed only within the directory, so that none opens the rest of the disk.
        return path if path.is_relative_to(root) else None


def _version(status: os.stat_result) -> _Version:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> StoredBundle:
    # Version and content come from one open file: a replacement in between is seen next time.
    with path.open("rb") as file:
        version = _version(os.fstat(file.fileno()))
        raw = file.read()
    return StoredBundle(raw, strong_etag(raw), version)
