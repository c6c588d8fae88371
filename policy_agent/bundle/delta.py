"""Delta bundles: changes to the data of the bundle that is active (OPA v1.22 v1/bundle/store.go).

Pure. All of a delta's operations are applied, or none is. The bundle that is changed stays as it
was: the new one shares every document that no operation touches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

from policy_agent import codec
from policy_agent.bundle import documents, roots
from policy_agent.bundle.manifest import read_manifest
from policy_agent.errors import BundleDeltaError, BundleFormatError, DocumentError
from policy_agent.model import Bundle, JsonObject, Manifest

PATCH_NAME: Final = "patch.json"
_OPERATIONS: Final = frozenset({"remove", "replace", "upsert"})
_OTHER_FILES: Final = {".rego": "policy", ".wasm": "wasm"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One change.

    Attributes:
        op: `upsert` sets a value and makes the objects above it; in an array it inserts. `replace`
            and `remove` need something to be there.
        path: the keys down to the document, array indices as text.
    """

    op: str
    path: tuple[str, ...]
    value: Any = None


@dataclass(frozen=True, slots=True)
class Delta:
    """The manifest that holds from now on, and the changes that lead to it."""

    manifest: Manifest
    operations: tuple[Operation, ...]


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
    return Delta(manifest, operations)


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
    data = base.data
    for operation in delta.operations:
        data = _changed(data, operation, 0)
    return replace(
        base,
        # How modules are to be read was said by the bundle that brought them.
        manifest=replace(
            delta.manifest,
            rego_version=base.manifest.rego_version,
            file_rego_versions=base.manifest.file_rego_versions,
        ),
        data=data,
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
    if op != "remove" and "value" not in facts:
        raise _malformed(f"data[{place}]: {op} needs a value")
    return Operation(op, path, facts.get("value"))


def _keys(text: str) -> tuple[str, ...]:
    trimmed = text.strip("/")
    keys = trimmed.split("/") if trimmed else []
    # Percent escapes as in OPA's paths, then those of JSON Pointer (RFC 6901, section 4).
    return tuple(unquote(key).replace("~1", "/").replace("~0", "~") for key in keys)


def _changed(document: Any, operation: Operation, depth: int) -> Any:
    key, is_last = operation.path[depth], depth == len(operation.path) - 1
    if isinstance(document, dict):
        return _changed_object(document, operation, depth, key, is_last=is_last)
    if isinstance(document, list):
        return _changed_array(document, operation, depth, key, is_last=is_last)
    raise _missing(operation)


def _changed_object(
    document: JsonObject, operation: Operation, depth: int, key: str, *, is_last: bool
) -> JsonObject:
    if key not in document and operation.op != "upsert":
        raise _missing(operation)
    if not is_last:
        return {**document, key: _changed(document.get(key, {}), operation, depth + 1)}
    if operation.op == "remove":
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: operation.value}


def _changed_array(
    document: Sequence[Any], operation: Operation, depth: int, key: str, *, is_last: bool
) -> list[Any]:
    items = list(document)
    if is_last and operation.op == "upsert" and key in ("-", str(len(items))):
        return [*items, operation.value]
    if not key.isascii() or not key.isdigit() or int(key) >= len(items):
        raise _missing(operation)
    index = int(key)
    if not is_last:
        items[index] = _changed(items[index], operation, depth + 1)
    elif operation.op == "upsert":
        items.insert(index, operation.value)
    elif operation.op == "replace":
        items[index] = operation.value
    else:
        del items[index]
    return items


def _missing(operation: Operation) -> BundleDeltaError:
    return BundleDeltaError(
        f"{PATCH_NAME}: {operation.op} /{'/'.join(operation.path)}: "
        "the active bundle has no such document"
    )


def _malformed(what: str) -> BundleFormatError:
    return BundleFormatError(f"bundle load failed on patch decode: {PATCH_NAME}: {what}")
