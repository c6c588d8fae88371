"""The files of a layer or a function, zipped or unpacked, with their mode bits."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from policy_agent.errors import DoctorError


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One regular file.

    Attributes:
        name: below the package's root, with slashes.
        mode: Unix permission bits, None where the zip holds none.
        size_bytes: unpacked.
        read: returns the contents.
    """

    name: str
    mode: int | None
    size_bytes: int
    read: Callable[[], bytes]


def read_package(path: Path) -> list[PackedFile]:
    """Return every regular file of a zip archive or a directory, sorted by name.

    Raises:
        DoctorError: it is neither, or cannot be read.
    """
    try:
        if path.is_dir():
            return _directory(path)
        return _archive(path)
    except zipfile.BadZipFile as exc:
        raise DoctorError(f"{path}: neither a directory nor a zip archive") from exc
    except OSError as exc:
        raise DoctorError(f"{path}: cannot be read: {exc.strerror}") from exc


def _directory(root: Path) -> list[PackedFile]:
    files = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            status = path.stat()
            name = path.relative_to(root).as_posix()
            files.append(PackedFile(name, status.st_mode & 0o777, status.st_size, path.read_bytes))
    return files


def _archive(path: Path) -> list[PackedFile]:
    def reader(name: str) -> Callable[[], bytes]:
        def read() -> bytes:
            with zipfile.ZipFile(path) as archive:
                return archive.read(name)

        return read

    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    return [
        PackedFile(
            entry.filename,
            (entry.external_attr >> 16 & 0o777) or None,
            entry.file_size,
            reader(entry.filename),
        )
        for entry in sorted(entries, key=lambda entry: entry.filename)
    ]
