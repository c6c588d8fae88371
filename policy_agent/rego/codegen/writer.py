"""Write Python source line by line, remembering which plan statement each line stands for.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from policy_agent.rego.plan import NOWHERE, Location

INDENT = "    "


class SourceWriter:
    """Lines of source with their indentation.

    Attributes:
        location: where lines written from now on come from.
    """

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.location: Location = NOWHERE
        self._lines: list[tuple[str, Location]] = []

    def line(self, text: str) -> None:
        """Write one line at the current depth."""
        self._lines.append((INDENT * self.depth + text, self.location))

    @contextmanager
    def block(self, *head: str) -> Iterator[None]:
        """Write a compound statement's head; what is written inside becomes its suite."""
        for text in head:
            self.line(text)
        self.depth += 1
        start = len(self._lines)
        yield
        if len(self._lines) == start:
            self.line("pass")
        self.depth -= 1

    def mark(self) -> tuple[int, int]:
        """Return the current place, for `insert`."""
        return len(self._lines), self.depth

    def insert(self, mark: tuple[int, int], text: str) -> None:
        """Write a line at an earlier place; later marks must not be used afterwards."""
        index, depth = mark
        self._lines.insert(index, (INDENT * depth + text, self.location))

    def extend(self, other: SourceWriter) -> None:
        """Append the lines of another writer."""
        self._lines += other._lines

    @property
    def text(self) -> str:
        """Return the source."""
        return "".join(f"{text}\n" for text, _ in self._lines)

    @property
    def locations(self) -> list[Location]:
        """Return the plan location of each line."""
        return [location for _, location in self._lines]
