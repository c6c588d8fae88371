"""Archives for the tests of this folder, well-formed and hostile."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

RULE = "package {package}\n\nallow := true\n"


def module(package: str) -> bytes:
    return RULE.format(package=package).encode()


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **facts: Any):
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content


def tar_of(
    entries: Iterable[tuple[tarfile.TarInfo, bytes]], tar_format: int = tarfile.PAX_FORMAT
) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tar_format) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def archive(files: Mapping[str, bytes]) -> bytes:
    return gzip.compress(tar_of(entry(path, content) for path, content in files.items()), 1)


def bundle(
    package: str, *, revision: str = "r1", data: Any = None, roots: list[str] | None = None
) -> bytes:
    """One module, a manifest that owns its package, and data below it."""
    root = package.replace(".", "/")
    files = {
        ".manifest": json.dumps({"revision": revision, "roots": roots or [root]}).encode(),
        f"{root}/policy.rego": module(package),
    }
    if data is not None:
        files[f"{root}/data.json"] = json.dumps(data).encode()
    return archive(files)
