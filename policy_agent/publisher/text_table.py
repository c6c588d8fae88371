"""Tables of text in the frames that OPA's commands draw.

Pure.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a centred header over rows aligned to the left."""
    heads = [[line.strip() for line in name.splitlines()] for name in header]
    body = [list(row) for row in rows]
    widths = [
        max(map(_width, [*head, *(row[column] for row in body)]))
        for column, head in enumerate(heads)
    ]
    lines = [_rule("┌┬┐", widths)]
    for index in range(max(map(len, heads))):
        cells = [head[index] if index < len(head) else "" for head in heads]
        lines.append(_row([_centred(cell, w) for cell, w in zip(cells, widths, strict=True)]))
    lines.append(_rule("├┼┤", widths))
    lines += [_row([_left(cell, w) for cell, w in zip(row, widths, strict=True)]) for row in body]
    lines.append(_rule("└┴┘", widths))
    return "".join(f"{line}\n" for line in lines)


def plain_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return a table of names, aligned to the left, and figures, aligned to the right."""
    widths = [max(_width(row[column]) for row in rows) for column in (0, 1)]
    lines = [_rule("┌┬┐", widths)]
    for name, figure in rows:
        lines.append(_row([_left(name, widths[0]), figure.rjust(widths[1])]))
    lines.append(_rule("└┴┘", widths))
    return "".join(f"{line}\n" for line in lines)


def _rule(corners: str, widths: Sequence[int]) -> str:
    return corners[0] + corners[1].join("─" * (width + 2) for width in widths) + corners[2]


def _row(cells: Sequence[str]) -> str:
    return "│" + "│".join(f" {cell} " for cell in cells) + "│"


def _left(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _centred(text: str, width: int) -> str:
    gap = width - _width(text)
    return " " * (gap // 2) + text + " " * (gap - gap // 2)


def _width(text: str) -> int:
    """Return the columns that a terminal needs: two for East Asian wide characters."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
