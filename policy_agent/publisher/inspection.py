"""Say what is in a bundle without running it, as `opa inspect` does.

Pure. Follows OPA v1.22 internal/bundle/inspect, but for `capabilities`, which needs a compiler.
Bundles that this engine would not run (Wasm, Rego v2) are inspected all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from policy_agent import codec
from policy_agent.bundle.documents import DATA_NAMES
from policy_agent.bundle.manifest import read_manifest
from policy_agent.bundle.package_name import package_name
from policy_agent.bundle.verify import SIGNATURES_NAME
from policy_agent.errors import BundleFormatError, DocumentError
from policy_agent.model import JsonObject
from policy_agent.rego.lexer import KEYWORDS

_OPTIONAL_KEYS: Final = ("wasm", "rego_version", "file_rego_versions", "metadata")
_NOT_RUN_HERE: Final = ("wasm", "rego_version", "file_rego_versions")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)

Shown = Callable[[str], str]


def inspect_bundle(files: Mapping[str, bytes], *, shown: Shown = str) -> JsonObject:
    """Return a bundle's summary, the JSON of `opa inspect -f json`.

    Args:
        files: path below the bundle's root -> content.
        shown: how a path is printed.

    Raises:
        BundleFormatError: the manifest, the signature or a module is malformed.
    """
    manifest = _manifest(files)
    resolvers = _resolvers(manifest.get("wasm", []), shown)
    if resolvers:
        manifest["wasm"] = resolvers
    info: JsonObject = {"manifest": manifest, "signatures_config": _signatures(files)}
    if wasm := [_wasm_module(shown(path), resolvers) for path in files if path.endswith(".wasm")]:
        info["wasm_modules"] = wasm
    if namespaces := _grouped(_namespaces(files, resolvers, shown)):
        info["namespaces"] = namespaces
    return info


def inspect_module(path: str, content: bytes) -> JsonObject:
    """Return the summary of a single Rego file.

    Raises:
        BundleFormatError: it does not begin with a package.
    """
    return {"signatures_config": {}, "namespaces": {_package(path, content): [path]}}


def _manifest(files: Mapping[str, bytes]) -> JsonObject:
    runnable, written = dict(files), {}
    for path in files:
        if path.endswith(".manifest"):
            written = _json_object(path, files[path])
            kept = {key: value for key, value in written.items() if key not in _NOT_RUN_HERE}
            runnable[path] = codec.encode_json(kept)
    checked = read_manifest(runnable)
    optional = {
        key: written[key] for key in _OPTIONAL_KEYS if written.get(key) not in (None, {}, [])
    }
    return {"revision": checked.revision, "roots": list(checked.roots), **optional}


def _resolvers(wasm: Any, shown: Shown) -> list[JsonObject]:
    resolvers: list[JsonObject] = []
    for resolver in wasm if isinstance(wasm, list) else [None]:
        facts = resolver if isinstance(resolver, dict) else {}
        if not all(isinstance(facts.get(key), str) for key in ("entrypoint", "module")):
            raise BundleFormatError("manifest: wasm must be a list of entrypoints and modules")
        resolvers.append(facts | {"module": shown(facts["module"].lstrip("/"))})
    return resolvers


def _signatures(files: Mapping[str, bytes]) -> JsonObject:
    for path, content in files.items():
        if path.rpartition("/")[2] == SIGNATURES_NAME:
            document = _json_object(path, content)
            return {key: document[key] for key in ("signatures", "plugin") if document.get(key)}
    return {}


def _json_object(path: str, content: bytes) -> JsonObject:
    try:
        document = codec.decode_json(content)
    except DocumentError as exc:
        raise BundleFormatError(f"{path}: {exc}") from exc
    if not isinstance(document, dict):
        raise BundleFormatError(f"{path}: must be an object")
    return document


def _wasm_module(path: str, resolvers: list[JsonObject]) -> JsonObject:
    entrypoints = [
        _reference(resolver["entrypoint"].strip("/").split("/"))
        for resolver in resolvers
        if resolver["module"] == path
    ]
    return {"path": path, "url": path, "entrypoints": entrypoints or None}


def _namespaces(
    files: Mapping[str, bytes], resolvers: list[JsonObject], shown: Shown
) -> Iterator[tuple[str, str]]:
    for path, content in files.items():
        if path.endswith(".rego"):
            yield _package(path, content), shown(path)
    for path in files:
        *directory, name = path.split("/")
        if name in DATA_NAMES:
            yield ".".join(("data", *directory)), shown(path)
    for resolver in resolvers:
        segments = resolver["entrypoint"].strip("/").split("/")
        yield ".".join(("data", *segments)), resolver["module"]


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for namespace, path in pairs:
        grouped.setdefault(namespace, []).append(path)
    return grouped


def _package(path: str, content: bytes) -> str:
    try:
        package = package_name(content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise BundleFormatError(f"{path}: is not UTF-8 at byte {exc.start}") from exc
    if package is None:
        raise BundleFormatError(f"{path}: package expected")
    return _reference(package)


def _reference(segments: Iterable[str]) -> str:
    parts = ["data"]
    for segment in segments:
        is_plain = _NAME.fullmatch(segment) and segment not in KEYWORDS
        parts.append(f".{segment}" if is_plain else f"[{codec.encode_json(segment).decode()}]")
    return "".join(parts)
