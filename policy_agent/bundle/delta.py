"""Delta bundles: changes to the data of the bundle that is active (OPA v1.22 v1/bundle/store.go).

Pure. All of a delta's operations are applied, or none is. The bundle that is changed stays as it
was: the new one shares every document that no operation touches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from policy_agent import codec
from policy_agent.bundle import documents, roots
from policy_agent.bundle.archive import MAX_PATH_SEGMENTS
from policy_agent.bundle.manifest import read_manifest
from policy_agent.bundle.patch import Operation, patched
from policy_agent.errors import BundleDeltaError, BundleFormatError, DocumentError
from policy_agent.model import Bundle, Manifest

PATCH_NAME: Final = "patch.json"
_OPERATIONS: Final = frozenset({"remove", "replace", "upsert"})
_OTHER_FILES: Final = {".rego": "policy", ".wasm": "wasm"}


class Delta(Struct, frozen=True):
    """The manifest that holds from now on, and the changes that lead to it.

    Attributes:
        base_revision: the only revision that it leads on from, None for any. OPA has no such thing
            and overlooks it.
    """

    manifest: Manifest
    operations: tuple[Operation, ...]
    base_revision: str | None = None


def is_delta(files: Mapping[str, bytes]) -> bool:
    """Tell a delta from a snapshot; one that changes nothing is a delta, too."""
    return PATCH_NAME in files


def read_delta(files: Mapping[str, bytes]) -> Delta:
    """Return the delta in an archive's files.

    Raises:
        BundleFormatError: there is more than patch and manifest, or one of them is malformed.
    """
    for path in sorted(files):
        name = path.rpartition("/")[2]
        suffix = "." + name.rpartition(".")[2]
        kind = "data" if name in documents.DATA_NAMES else _OTHER_FILES.get(suffix)
        if kind is not None:
            raise BundleFormatError(
                f"{path}: delta bundle expected to contain only patch file but {kind} files found"
            )
    manifest = read_manifest(files)
    try:
        document = codec.decode_json(files[PATCH_NAME])
    except DocumentError as exc:
        raise _malformed(str(exc)) from exc
    entries = document.get("data", []) if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise _malformed("must be an object with a list of operations under data")
    operations = tuple(_operation(entry, place) for place, entry in enumerate(entries))
    for operation in operations:
        if not any(roots.is_below(operation.path, root) for root in manifest.roots):
            raise BundleFormatError(
                f"manifest roots {roots.shown(manifest.roots)} do not permit data patch at path "
                f"'{'/'.join(operation.path)}'"
            )
    base_revision = document.get("base_revision")
    if base_revision is not None and not isinstance(base_revision, str):
        raise _malformed("base_revision must be a string")
    return Delta(manifest, operations, base_revision)


def applied(delta: Delta, base: Bundle, *, etag: str | None, size_bytes: int) -> Bundle:
    """Return `base` as the delta makes it.

    Raises:
        BundleDeltaError: the delta was made for another bundle than `base`.
    """
    if set(delta.manifest.roots) != set(base.manifest.roots):
        raise BundleDeltaError(
            f"delta bundle '{base.name}' has manifest roots {roots.shown(delta.manifest.roots)}, "
            f"the active bundle has {roots.shown(base.manifest.roots)}"
        )
    if delta.base_revision not in (None, base.manifest.revision):
        raise BundleDeltaError(
            f"delta bundle '{base.name}' leads on from revision '{delta.base_revision}', "
            f"active is '{base.manifest.revision}'"
        )
    return replace(
        base,
        # How modules are to be read was said by the bundle that brought them.
        manifest=replace(
            delta.manifest,
            rego_version=base.manifest.rego_version,
            file_rego_versions=base.manifest.file_rego_versions,
        ),
        data=patched(base.data, delta.operations),
        etag=etag,
        size_bytes=size_bytes,
        kind="delta",
        raw=b"",
    )


def _operation(entry: Any, place: int) -> Operation:
    facts = entry if isinstance(entry, dict) else {}
    op, text = facts.get("op"), facts.get("path")
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise _malformed(f"data[{place}]: bad patch operation: {op}")
    path = _keys(text) if isinstance(text, str) else ()
    if not path:
        raise _malformed(f"data[{place}]: path must name a document below data")
    if len(path) > MAX_PATH_SEGMENTS:
        raise _malformed(f"data[{place}]: path is nested too deeply")
    if op != "remove" and "value" not in facts:
        raise _malformed(f"data[{place}]: {op} needs a value")
    return Operation(op, path, facts.get("value"))


def _keys(text: str) -> tuple[str, ...]:
    trimmed = text.strip("/")
    keys = trimmed.split("/") if trimmed else []
    # Percent escapes as in OPA's paths, then those of JSON Pointer (RFC 6901, section 4).
    return tuple(unquote(key).replace("~1", "/").replace("~0", "~") for key in keys)


def _malformed(what: str) -> BundleFormatError:
    return BundleFormatError(f"bundle load failed on patch decode: {PATCH_NAME}: {what}")
