"""Pack files into a bundle archive; equal files give equal bytes.

Pure. Nothing of the machine enters the archive: no time, owner or order of directory entries.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from typing import Final

COMPRESSION_LEVEL: Final = 9
FILE_MODE: Final = 0o600  # as in `opa build`


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a gzip'd tar of `files`, path -> content, in the order of their paths."""
    packed = io.BytesIO()
    # GzipFile, not gzip.compress: the latter's header names the operating system.
    with (
        gzip.GzipFile("", "wb", COMPRESSION_LEVEL, packed, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = FILE_MODE
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
