"""A problem of the text with the line it is in, as OPA shows it.

Pure. Follows OPA v1.22 v1/ast/parser_ext.go (ParserErrorDetail).
"""

from __future__ import annotations

from typing import ClassVar

from policy_agent.errors import PolicyProblem


class SyntaxProblem(PolicyProblem, frozen=True):
    """A problem at a place in a text.

    Attributes:
        source: the whole text.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"source"})

    source: str = ""

    def excerpt(self) -> tuple[str, int]:
        """Return the line of the last character at or before the place, and its index in bytes."""
        if not self.source or self.location is None:
            return "", 0
        rows = self.source.split("\n")
        before = "\n".join(rows[: self.location.row - 1])
        before += "\n" * (self.location.row > 1)
        at_row = rows[self.location.row - 1] if self.location.row <= len(rows) else ""
        before += at_row[: max(self.location.col - 1, 0)]
        # What stands at the place counts too, unless the text ends there or it is blank.
        prefix = (before + self.source[len(before) : len(before) + 1]).rstrip()
        start = max(prefix.rfind("\n"), prefix.rfind("\r")) + 1
        line = self.source[start:].partition("\n")[0].partition("\r")[0]
        return line, max(len(prefix[start:-1].encode()), 0)

    def __str__(self) -> str:
        """Render as OPA does: the line and a mark below it."""
        line, index = self.excerpt()
        shown = line.lstrip("\t")
        indent = " " * max(index - len(line) + len(shown), 0)
        return f"{PolicyProblem.__str__(self)}\n\t{shown}\n\t{indent}^"

    def to_json(self) -> dict[str, object]:
        """Return OPA's JSON object for one error."""
        line, index = self.excerpt()
        return {**PolicyProblem.to_json(self), "details": {"line": line, "idx": index}}
