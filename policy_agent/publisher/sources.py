"""Load policies and data from paths as OPA's commands do: files, directories and bundles.

Does I/O. Follows OPA v1.22 v1/loader/loader.go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from policy_agent import codec
from policy_agent.bundle.directory import read_path
from policy_agent.bundle.documents import merged, tree_at
from policy_agent.bundle.file_glob import matches
from policy_agent.errors import (
    BundleDownloadError,
    BundleFormatError,
    DocumentError,
    PolicyError,
    PolicyProblem,
)
from policy_agent.model import Bundle, JsonObject
from policy_agent.rego.compile.signatures import OPA_BUILTINS, Signature
from policy_agent.rego.parse import parse_module

_YAML: Final = (".yaml", ".yml")
_ARCHIVE: Final = ".tar.gz"
_REGO: Final = ".rego"


@dataclass(slots=True)
class Sources:
    """What was loaded.

    Attributes:
        modules: file -> Rego source.
        data: the base documents.
        rego_versions: file -> the version of Rego it is in, where a bundle's manifest says so.
    """

    modules: dict[str, str] = field(default_factory=dict)
    data: JsonObject = field(default_factory=dict)
    rego_versions: dict[str, int] = field(default_factory=dict)
    _documents: list[tuple[str, JsonObject]] = field(default_factory=list, init=False)

    def add_data(self, path: str, place: Sequence[str], value: Any) -> None:
        """Merge a document into the data.

        Raises:
            BundleFormatError: it is no object, or its values are there already.
        """
        document = tree_at(place, value)
        if not isinstance(document, dict):
            raise BundleFormatError(f"{path}: document must be of type object")
        data = merged(self.data, document)
        if data is None:
            raise BundleFormatError(f"{path}: merge error: {self._conflict(document)}")
        self.data = data
        self._documents.append((path, document))

    def _conflict(self, document: JsonObject) -> str:
        for path, loaded in self._documents:
            if keys := _conflicting_keys(loaded, document):
                where = ".".join(("data", *keys))
                return f"conflicting values at {where}, also defined in {path}"
        return "conflicting values, data from multiple files must not overlap"


def load_paths(
    paths: Iterable[str], *, into: Sources, rego_only: bool = False, ignore: Sequence[str] = ()
) -> None:
    """Load every policy and document below paths; data lies where its directory says.

    Args:
        paths: files and directories; `a.b:path` puts its documents below `data.a.b`.
        into: what to add to.
        rego_only: leave out what does not end in `.rego`.
        ignore: names of files and directories to leave out, as patterns.

    Raises:
        BundleDownloadError: a path cannot be read.
        BundleFormatError: a document cannot be parsed, or contradicts another.
    """
    seen: set[tuple[tuple[str, ...], str]] = set()
    for argument in paths:
        prefix, path = _split_prefix(argument)
        for file, place, is_named in _files(path, prefix, ignore, is_named=True):
            key = (place, os.path.normpath(file))
            if key in seen or (rego_only and not file.endswith(_REGO)):
                continue
            seen.add(key)
            _load_file(file, place, into, is_named=is_named)


def load_bundles(paths: Iterable[str], *, into: Sources) -> None:
    """Load bundles, archives or directories, unverified.

    Raises:
        BundleError: one is not a bundle, or contradicts another.
    """
    for path in paths:
        if not os.path.lexists(path):
            message = f'error reading "{path}": stat {path}: no such file or directory'
            raise BundleDownloadError(message)
        _add_bundle(path, read_path(Path(path).name, Path(path)), into)


def load_schemas(path: str | None) -> Mapping[str, Any]:
    """Return the JSON schemas of a file, or of each file of a directory, by name.

    Raises:
        BundleDownloadError: a file cannot be read.
        BundleFormatError: a file is no JSON or YAML.
    """
    if not path:
        return {}
    if not os.path.isdir(path):
        return {"schema": _document(path)}
    schemas = {}
    for file, place, _ in _files(path, (), (), is_named=True):
        name = os.path.splitext(os.path.basename(file))[0]
        schemas[".".join(("schema", *place, name))] = _document(file)
    return schemas


def load_builtins(path: str | None, *, is_v0: bool) -> Mapping[str, Signature]:
    """Return the built-in functions that a capabilities file allows, all of them without one.

    Args:
        path: the file.
        is_v0: whether the policies are written in Rego v0, for which no feature is needed.

    Raises:
        BundleDownloadError: the file cannot be read.
        BundleFormatError: it is no capabilities file.
        PolicyError: it does not allow Rego v1.
    """
    if not path:
        return OPA_BUILTINS
    document = _document(path)
    listed = document.get("builtins") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise BundleFormatError(f"{path}: builtins must be a list of objects")
    if not is_v0 and "rego_v1" not in (document.get("features") or ()):
        message = "illegal capabilities: rego_v1 feature required for parsing v1 Rego"
        raise PolicyError([PolicyProblem("rego_parse_error", message)])
    names = [each.get("name") for each in listed]
    return {name: OPA_BUILTINS[name] for name in names if name in OPA_BUILTINS}


def read_document(path: str) -> Any:
    """Return the JSON or YAML document in a file, such as the input.

    Raises:
        BundleDownloadError: it cannot be read.
        BundleFormatError: it is neither.
    """
    try:
        return codec.decode_document(_read(path))
    except DocumentError as exc:
        raise BundleFormatError(f"unable to parse input: {exc}") from exc


def _conflicting_keys(one: Any, other: Any) -> tuple[str, ...]:
    for key in sorted(one.keys() & other.keys()):
        if not isinstance(one[key], dict) or not isinstance(other[key], dict):
            return (key,)
        if keys := _conflicting_keys(one[key], other[key]):
            return (key, *keys)
    return ()


def _split_prefix(argument: str) -> tuple[tuple[str, ...], str]:
    prefix, colon, path = argument.partition(":")
    if not colon or not prefix or path.startswith("//"):
        return (), argument.removeprefix("file://")
    return tuple(prefix.split(".")), path


def _files(
    path: str, place: tuple[str, ...], ignore: Sequence[str], *, is_named: bool
) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Iterate over the files at a path, where their data belongs, and whether each was named."""
    if not is_named and any(matches(os.path.basename(path), pattern) for pattern in ignore):
        return
    if not os.path.isdir(path):
        if is_named and not os.path.lexists(path):
            raise BundleDownloadError(f"stat {path}: no such file or directory")
        yield path, place, is_named
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    inner = place if is_named else (*place, os.path.basename(path))
    for name in names:
        below = os.path.normpath(os.path.join(path, name))
        yield from _files(below, inner, ignore, is_named=False)


def _load_file(file: str, place: tuple[str, ...], into: Sources, *, is_named: bool) -> None:
    if file.endswith(_REGO):
        into.modules[file] = _text(file)
    elif file.endswith((".json", *_YAML)):
        into.add_data(file, place, _document(file))
    elif file.endswith(_ARCHIVE):
        _add_bundle(file, read_path(os.path.basename(file), Path(file)), into)
    elif is_named:
        _load_unknown(file, place, into)


def _load_unknown(file: str, place: tuple[str, ...], into: Sources) -> None:
    """Load a file whose name does not tell its kind."""
    source = _text(file)
    try:
        parse_module(file, source)
    except PolicyError:
        try:
            document = codec.decode_document(source.encode())
        except DocumentError as exc:
            raise BundleFormatError(f"{file}: can't recognize file type") from exc
        into.add_data(file, place, document)
    else:
        into.modules[file] = source


def _add_bundle(path: str, bundle: Bundle, into: Sources) -> None:
    base = path if os.path.isdir(path) else ""
    for name, source in bundle.modules.items():
        into.modules[os.path.join(base, name)] = source
    for name, version in bundle.rego_versions.items():
        into.rego_versions[os.path.join(base, name)] = version
    into.add_data(path, (), bundle.data)


def _document(file: str) -> Any:
    raw = _read(file)
    try:
        return codec.decode_yaml(raw) if file.endswith(_YAML) else codec.decode_json(raw)
    except DocumentError as exc:
        raise BundleFormatError(f"{file}: {exc}") from exc


def _text(file: str) -> str:
    return _read(file).decode("utf-8", "replace")


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise _unreadable(file, exc) from exc


def _unreadable(path: str, error: OSError) -> BundleDownloadError:
    reason = (error.strerror or type(error).__name__).lower()
    return BundleDownloadError(f"open {path}: {reason}")
