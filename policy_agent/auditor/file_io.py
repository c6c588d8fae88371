"""Let pyiceberg write local files durably: each is on disk before a commit can point to it.

pyiceberg's own writer leaves files in the page cache; after a power cut the catalog, which SQLite
does sync, would name files that are empty while the spooled bodies are already deleted.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from pyarrow.fs import LocalFileSystem
from pyiceberg.io import OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from policy_agent.auditor.durable import make_directory, sync_directory


def local_path(location: str) -> Path:
    """Return the path of a `file:` URL or plain path, the forms that local tables hold."""
    return Path(urlsplit(location).path)


class DurableFileIO(PyArrowFileIO):
    """pyiceberg's file access, except that new local files are synced when they are closed."""

    def new_output(self, location: str) -> PyArrowFile:
        """Return a file to be created at a `file:` location."""
        return _DurableFile(location, path=str(local_path(location)), fs=LocalFileSystem())


class _DurableFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        path = local_path(self.location)
        make_directory(path.parent)
        return cast(OutputStream, io.BufferedWriter(_SyncedFile(path, "w" if overwrite else "x")))


class _SyncedFile(io.FileIO):
    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._path = path

    def close(self) -> None:
        if self.closed:
            return
        try:
            os.fsync(self.fileno())
        finally:
            super().close()
        sync_directory(self._path.parent)
