"""Base documents: where a data file goes below `data`, and how several become one tree.

Pure. Follows OPA v1.22 v1/bundle/bundle.go and internal/merge: objects merge, anything else
conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from policy_agent import codec
from policy_agent.bundle import roots
from policy_agent.bundle.yaml_size import decode_yaml
from policy_agent.errors import BundleFormatError, DocumentError
from policy_agent.late_json import opened, read_late
from policy_agent.model import JsonObject

_YAML_NAMES: Final = ("data.yaml", "data.yml")
DATA_NAMES: Final = ("data.json", *_YAML_NAMES)


def parse_data_file(path: str, raw: bytes, owned: Sequence[str] | None = None) -> Any:
    """Return the JSON value in a data file, YAML by its name.

    Args:
        path: in the bundle.
        raw: the content.
        owned: the bundle's roots, so that large documents within them may be `LateJson`; None to
            parse everything.

    Raises:
        BundleFormatError: it cannot be parsed; the message names the file.
    """
    *directory, name = path.split("/")
    try:
        if name in _YAML_NAMES:
            return decode_yaml(raw)
        if owned is None:
            return codec.decode_json(raw)
        return read_late(raw, tuple(directory), lambda at: _is_owned(at, owned))
    except DocumentError as exc:
        raise BundleFormatError(f"bundle load failed on {path}: {exc}") from exc


def tree_at(path: Sequence[str], value: Any) -> Any:
    """Return `value` wrapped in one object for each segment of `path`."""
    for segment in reversed(path):
        value = {segment: value}
    return value


def merged(one: JsonObject, other: JsonObject) -> JsonObject | None:
    """Return both objects as one without changing either, None when they conflict."""
    result = dict(one)
    for key, value in other.items():
        if key not in result:
            result[key] = value
            continue
        present, value = opened(result[key]), opened(value)
        if not isinstance(present, dict) or not isinstance(value, dict):
            return None
        if (inner := merged(present, value)) is None:
            return None
        result[key] = inner
    return result


def outside_roots(value: Any, path: tuple[str, ...], owned: Sequence[str]) -> str | None:
    """Return where a document leaves its bundle's roots, None when it stays inside.

    Args:
        value: the document at `path`; an object there may hold the way to a root.

    Returns:
        The first path outside, `/acl/u`.
    """
    if _is_owned(path, owned):
        return None
    if not isinstance(value, dict) or not any(roots.is_above(path, root) for root in owned):
        return "/" + "/".join(path)
    for key in sorted(value):
        if outside := outside_roots(value[key], (*path, key), owned):
            return outside
    return None


def _is_owned(path: tuple[str, ...], owned: Sequence[str]) -> bool:
    return any(roots.is_below(path, root) for root in owned)
