"""Turn the files of a source directory into a bundle, or say why they are none.

Pure. Follows `opa build -b` of OPA v1.22 but for one thing: data files are shipped as they are
rather than merged into one, so that every number keeps its digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from policy_agent import codec
from policy_agent.bundle.documents import DATA_NAMES
from policy_agent.bundle.file_glob import matches
from policy_agent.bundle.manifest import parse_manifest
from policy_agent.bundle.reader import PLAN_NAME, read_bundle, read_files
from policy_agent.bundle.verify import SIGNATURES_NAME
from policy_agent.model import Bundle
from policy_agent.publisher.archive import pack
from policy_agent.publisher.signature import Signer, signature_file

MANIFEST_PATH: Final = ".manifest"
# Files that a reader refuses are kept, so that it does; a signature of the source is void.
_SHIPPED_SUFFIXES: Final = (".rego", ".manifest", ".manifest.pb")
_SHIPPED_NAMES: Final = (*DATA_NAMES, "patch.json")


def build(
    name: str,
    files: Mapping[str, bytes],
    *,
    revision: str | None = None,
    rego_version: int = 1,
    ignore: Sequence[str] = (),
    signer: Signer | None = None,
    plan_of: Callable[[Bundle], bytes] | None = None,
) -> Bundle:
    """Return the bundle, whose `raw` is the archive, read back the way an agent reads it.

    Args:
        name: of the bundle, for messages.
        files: path below the source directory -> content.
        revision: None keeps that of the source's manifest.
        rego_version: of the modules, where the source's manifest says nothing.
        ignore: patterns of file and directory names to leave out, `*_test.rego`.
        signer: None leaves the bundle unsigned.
        plan_of: makes the bundle's ready plan; None leaves it without one.

    Raises:
        BundleFormatError: the files are not a well-formed bundle.
        ConfigError: the signing key is too small for its algorithm.
    """
    shipped = {
        path: content
        for path, content in files.items()
        if _is_shipped(path) and not _is_ignored(path, ignore)
    }
    shipped[MANIFEST_PATH] = _manifest(files.get(MANIFEST_PATH, b"{}"), revision, rego_version)
    if plan_of is not None:
        shipped[PLAN_NAME] = plan_of(read_files(name, shipped))
    bundle = read_bundle(name, pack(shipped))
    if signer is None:
        return bundle
    raw = pack(shipped | {SIGNATURES_NAME: signature_file(shipped, signer)})
    return replace(bundle, raw=raw, size_bytes=len(raw))


def _is_shipped(path: str) -> bool:
    return path.endswith(_SHIPPED_SUFFIXES) or path.rpartition("/")[2] in _SHIPPED_NAMES


def _is_ignored(path: str, patterns: Sequence[str]) -> bool:
    return any(matches(segment, pattern) for segment in path.split("/") for pattern in patterns)


def _manifest(raw: bytes, revision: str | None, rego_version: int) -> bytes:
    source = parse_manifest(raw)
    document = codec.decode_json(raw) | {
        "revision": source.revision if revision is None else revision,
        "roots": list(source.roots),
        "rego_version": rego_version if source.rego_version is None else source.rego_version,
    }
    return codec.encode_json(document)
