"""Find and check a bundle's manifest (OPA v1.22 v1/bundle/bundle.go, Manifest).

Pure. Refusals use OPA's words. What OPA runs and this engine cannot is refused by name rather than
left undefined: Rego v2, Wasm entrypoints, protobuf manifests.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

from policy_agent import codec
from policy_agent.bundle import roots
from policy_agent.bundle.archive import MAX_PATH_SEGMENTS
from policy_agent.errors import BundleFormatError, DocumentError
from policy_agent.model import JsonObject, Manifest

_SUFFIX: Final = ".manifest"
_KNOWN_REGO_VERSIONS: Final = (0, 1, 2)
_RUNNABLE_REGO_VERSIONS: Final = (0, 1)


def read_manifest(files: Mapping[str, bytes]) -> Manifest:
    """Return the manifest among a bundle's files, the default one when there is none.

    Raises:
        BundleFormatError: several manifests, or one with wrong or unsupported values.
    """
    found = sorted(path for path in files if path.endswith((_SUFFIX, _SUFFIX + ".pb")))
    if len(found) > 1:
        names = " and ".join(f'"{path}"' for path in found[:2])
        raise BundleFormatError(f"bundle contains multiple manifest files: {names}")
    if not found:
        return Manifest()
    if found[0].endswith(".pb"):
        raise BundleFormatError(f"{found[0]}: protobuf manifests are not supported")
    return parse_manifest(files[found[0]])


def parse_manifest(raw: bytes) -> Manifest:
    """Return the manifest in a JSON text; unknown keys are ignored.

    Raises:
        BundleFormatError: not a JSON object, or with wrong or unsupported values.
    """
    try:
        document = codec.decode_json(raw)
    except DocumentError as exc:
        raise _wrong(str(exc)) from exc
    if not isinstance(document, dict):
        raise _wrong("must be an object")
    if document.get("wasm"):
        raise BundleFormatError("manifest has wasm entrypoints, which this engine does not run")
    manifest = Manifest(
        revision=_typed(document, "revision", str, ""),
        roots=_roots(_typed(document, "roots", list, [""])),
        rego_version=_typed(document, "rego_version", int, None),
        file_rego_versions=_typed(document, "file_rego_versions", dict, {}),
        metadata=_typed(document, "metadata", dict, {}),
    )
    _check_rego_version(manifest.rego_version, "")
    for pattern, version in sorted(manifest.file_rego_versions.items()):
        if type(version) is not int:
            raise _wrong("file_rego_versions must map patterns to integers")
        _check_rego_version(version, f" for file '{pattern}'")
    return manifest


def _typed(document: JsonObject, key: str, kind: type, default: Any) -> Any:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _wrong(f"{key} must be {_KIND_NAMES[kind]}")
    return value


_KIND_NAMES: Final = {str: "a string", list: "a list", int: "an integer", dict: "an object"}


def _roots(values: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise _wrong("roots must be a list of strings")
    trimmed = tuple(value.strip("/") for value in values)
    for root in trimmed:
        if len(roots.segments(root)) > MAX_PATH_SEGMENTS:
            raise _wrong("roots: nested too deeply")
    for one, other in combinations(trimmed, 2):
        if roots.overlap(one, other):
            raise BundleFormatError(f"manifest has overlapped roots: '{one}' and '{other}'")
    return trimmed


def _check_rego_version(version: int | None, where: str) -> None:
    if version is None or version in _RUNNABLE_REGO_VERSIONS:
        return
    if version in _KNOWN_REGO_VERSIONS:
        raise BundleFormatError(
            f"manifest has rego-version {version}{where}, which this engine does not run; "
            "only versions 0 and 1 are supported"
        )
    raise BundleFormatError(f"manifest has unknown rego-version {version}{where}")


def _wrong(what: str) -> BundleFormatError:
    return BundleFormatError(f"bundle load failed on manifest decode: {what}")
