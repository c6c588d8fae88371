"""Print a bundle's summary as the tables of `opa inspect`.

Pure. Widths and truncation follow OPA v1.22 cmd/inspect.go and internal/strings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from policy_agent import codec
from policy_agent.model import JsonObject

_MAX_WIDTH: Final = 50
_ELLIPSIS: Final = "..."

_Row = tuple[str, str]


def inspection_text(info: JsonObject) -> str:
    """Return the text for the JSON of `inspection`, "" when there is nothing to show."""
    text = ""
    if rows := list(_manifest_rows(info.get("manifest", {}))):
        text += "MANIFEST:\n" + _table(("FIELD", "VALUE"), rows)
    namespaces = sorted(info.get("namespaces", {}).items())
    if rows := [(name, _short_path(path)) for name, paths in namespaces for path in paths]:
        text += "NAMESPACES:\n" + _table(("NAMESPACE", "FILE"), rows)
    return text


def _manifest_rows(manifest: JsonObject) -> Iterator[_Row]:
    if "rego_version" in manifest:
        yield "Rego Version", _short(str(manifest["rego_version"]))
    if manifest.get("revision"):
        yield "Revision", _short(manifest["revision"])
    roots = manifest.get("roots", [])
    if roots != [""]:
        yield from (("Roots", _short_path(root)) for root in sorted(roots))
    if manifest.get("metadata"):
        yield "Metadata", _short(codec.encode_json(manifest["metadata"]).decode())


def _short(text: str) -> str:
    return text if len(text) < _MAX_WIDTH else text[: _MAX_WIDTH - len(_ELLIPSIS)] + _ELLIPSIS


def _short_path(path: str) -> str:
    """Return a path with as much of its middle left out as the width asks for."""
    if len(path) < _MAX_WIDTH:
        return path
    directory = path.rpartition("/")[0].removeprefix("/")
    middle = directory.partition("/")[2] or directory
    kept = max(0, _MAX_WIDTH - len(_ELLIPSIS) - (len(path) - len(middle)))
    left_out = middle[: len(middle) - kept]
    return path.replace(left_out, _ELLIPSIS, 1) if len(left_out) > len(_ELLIPSIS) else path


def _table(titles: _Row, rows: Sequence[_Row]) -> str:
    widths = [max(len(row[column]) for row in (titles, *rows)) + 2 for column in (0, 1)]
    rules = ["─" * width for width in widths]
    head = [_centred(title, width) for title, width in zip(titles, widths, strict=True)]
    lines = [
        f"┌{'┬'.join(rules)}┐",
        f"│{'│'.join(head)}│",
        f"├{'┼'.join(rules)}┤",
    ]
    above = ""
    for name, value in rows:
        # A name stands once for the rows that share it.
        shown = "" if name == above else name
        lines.append(f"│ {shown:{widths[0] - 1}}│ {value:{widths[1] - 1}}│")
        above = name
    lines.append(f"└{'┴'.join(rules)}┘\n")
    return "\n".join(lines)


def _centred(title: str, width: int) -> str:
    left = (width - len(title)) // 2
    return (" " * left + title).ljust(width)
