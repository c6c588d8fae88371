"""How the nodes of a module are written: their text, with parentheses, and the rows it takes.

Pure. Texts are those of the locations of OPA's syntax tree (v1/ast/parser.go): the text of a term
includes the parentheses around it.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import Node, alternatives
from policy_agent.rego.extents import Extents
from policy_agent.rego.lexer import TokenKind

T = TypeVar("T", bound=Node)

_TERMS = (
    *(ast.Scalar, ast.Var, ast.Ref, ast.ArrayTerm, ast.SetTerm, ast.ObjectTerm),
    *(ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension),
    *(ast.Call, ast.TemplateString),
)


class Written(Extents):
    """The texts of one module's nodes."""

    def __init__(self, file: str, source: str) -> None:
        super().__init__(file, source)
        self._source = source
        self._moved: dict[int, str] = {}

    def moved(self, term: T, head: ast.Head) -> T:
        """Return a term in the place of a head, as OPA takes the value after `else`."""
        there = replace(term, location=head.location)
        self._moved[id(there)] = self.text(head)
        return there

    def is_in_quotes(self, index: int) -> bool:
        """Return whether a part of the package's path is written in quotes."""
        parts = (token for token in self._tokens[1:] if token.text not in (".", "[", "]"))
        return next(islice(parts, index, None)).kind is TokenKind.STRING

    def text(self, node: Node) -> str:
        """Return the text of a node."""
        if id(node) in self._moved:
            return self._moved[id(node)]
        if isinstance(node, ast.Head):
            return self._between(self._at(node.location), self.last_of_head(node))
        if isinstance(node, ast.Rule):
            return self._between(self._at(node.location), self._last_of_rule(node))
        if isinstance(node, _TERMS):
            return self._between(*self._term(node))
        return self._between(self._at(node.location), self._last(node))

    def end_row(self, node: Node) -> int:
        """Return the row of a node's last line, counted from that of its first."""
        row: int = node.location.row
        return row + self.text(node).count("\n")

    def closing_row(self, node: Node, brackets: str, *, skip: str = "") -> int:
        """Return the row of the bracket that closes the first one in a node's text.

        Args:
            node: what is looked at.
            brackets: the opening and the closing one.
            skip: a pair of brackets to be passed first.
        """
        return closing_row(self.text(node), node.location.row, brackets, skip)

    def distance(self, one: Node, other: Node) -> int:
        """Return how many characters after the first node's beginning the second begins."""
        first, second = self._at(one.location), self._at(other.location)
        return self._tokens[second].start - self._tokens[first].start

    def is_in_parentheses(self, term: ast.Term) -> bool:
        """Return whether a term's text begins with a parenthesis."""
        return self.text(term).startswith("(")

    def _between(self, first: int, last: int) -> str:
        return self._source[self._tokens[first].start : self._tokens[last].end]

    def _term(self, term: Node) -> tuple[int, int]:
        first, last = self._at(term.location), self._last(term)
        if isinstance(term, ast.Call) and term.operator.location != term.location and term.args:
            first = min(first, self._term(term.args[0])[0])
            last = max(last, self._term(term.args[-1])[1])
        while first and last + 1 < len(self._tokens) and self._is_group(first - 1, last + 1):
            first, last = first - 1, last + 1
        return first, last

    def _is_group(self, opening: int, closing: int) -> bool:
        """Return whether two tokens are parentheses that are not those of a call."""
        token = self._tokens[opening]
        if token.text != "(" or self._tokens[closing].text != ")":
            return False
        before = self._tokens[opening - 1] if opening else None
        return before is None or before.end != token.start or (
            before.kind is TokenKind.OPERATOR and before.text not in ("]", ")")
        )  # fmt: skip

    def _last_of_rule(self, rule: ast.Rule) -> int:
        start = self._at(rule.location)
        last = start
        for alternative in alternatives(rule):
            last = max(last, self.last_of_head(alternative.head))
            last = max(last, *(self._last(expr) for expr in alternative.body))
        return self._balanced(start, last)


def closing_row(text: str, row: int, brackets: str, skip: str = "") -> int:
    """Return the row of the bracket that closes the first one in a text, -1 without one.

    Brackets are counted wherever they stand, in strings and comments too, as OPA does.
    """
    at = 0
    if skip:
        at = _close(text, skip)
        row += text[: max(at, 0)].count("\n") if at >= 0 else text.count("\n")
        at = at if at >= 0 else len(text)
    start = text.find(brackets[0], at)
    if start < 0:
        return -1
    end = _close(text[start:], brackets)
    return -1 if end < 0 else row + text[start : start + end].count("\n")


def _close(text: str, brackets: str) -> int:
    """Return the index of the bracket that closes the first one, -1 without it."""
    depth = 0
    start = text.find(brackets[0])
    if start < 0:
        return -1
    for index in range(start, len(text)):
        if text[index] == brackets[0]:
            depth += 1
        elif text[index] == brackets[1]:
            depth -= 1
            if depth == 0:
                return index
    return -1
