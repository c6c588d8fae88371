"""Where nodes of a parsed module end in its text.

Pure. A node knows where it begins; it ends with the last token of what is below it, and with the
brackets that were opened on the way.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import Node, children
from policy_agent.rego.lexer import Token, TokenKind, tokenize

Position: TypeAlias = tuple[int, int]

_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")


class Extents:
    """The extents of the nodes of one module.

    Args:
        file: its name.
        source: its text, which can be parsed.
    """

    def __init__(self, file: str, source: str) -> None:
        self._tokens = [
            token for token in tokenize(file, source) if token.kind is not TokenKind.COMMENT
        ]
        self._index = {(token.row, token.col): i for i, token in enumerate(self._tokens)}

    def end(self, node: Node) -> Position:
        """Return row and column after a node's last character."""
        return _after(self._tokens[self._last(node)])

    def head_end(self, head: ast.Head) -> Position:
        """Return row and column after the head of a rule."""
        return _after(self._tokens[self.last_of_head(head)])

    def last_of_head(self, head: ast.Head) -> int:
        """Return the index of the last token of a rule's head."""
        start = self._at(head.location)
        last = max((start, *map(self._last, children(head))))
        if head.args is not None and self._tokens[start].text != "else":
            last = max(last, self._next(start, "("))
        return self._balanced(start, last)

    def _last(self, node: Node) -> int:
        """Return the index of a node's last token, -1 for one that is not written."""
        start = self._index.get((node.location.row, node.location.col), -1)
        if start < 0:
            return start
        if isinstance(node, ast.TemplateString):
            return self._template_end(start)
        last = max((start, *map(self._last, children(node))))
        if isinstance(node, ast.Call) and node.operator.location == node.location:
            last = max(last, self._next(start, "("))
        elif self._is_empty_set(node, start):
            last = max(last, start + 1)
        elif isinstance(node, ast.Scalar):
            # A number may begin with a sign, and with a point.
            while self._tokens[last].text in ("-", "."):
                last += 1
        return self._balanced(start, last)

    def _at(self, location: Location) -> int:
        return self._index[location.row, location.col]

    def _is_empty_set(self, node: Node, start: int) -> bool:
        return isinstance(node, ast.SetTerm) and self._tokens[start].text == "set"

    def _next(self, start: int, text: str) -> int:
        while start < len(self._tokens) - 1 and self._tokens[start].text != text:
            start += 1
        return start

    def _template_end(self, start: int) -> int:
        depth = 0
        for index in range(start, len(self._tokens)):
            token = self._tokens[index]
            depth += token.kind is TokenKind.TEMPLATE_PART and token.text.startswith("$")
            if token.kind is TokenKind.TEMPLATE_END:
                depth -= not token.text.startswith("$")
                if depth == 0:
                    return index
        return len(self._tokens) - 1

    def _balanced(self, start: int, last: int) -> int:
        """Return the index of the token that closes every bracket opened since `start`."""
        depth = sum(map(_depth_change, self._tokens[start : last + 1]))
        while depth > 0 and last + 1 < len(self._tokens):
            last += 1
            depth += _depth_change(self._tokens[last])
        return last


def _depth_change(token: Token) -> int:
    if token.kind is not TokenKind.OPERATOR:
        return 0
    return (token.text in _OPENING) - (token.text in _CLOSING)


def _after(token: Token) -> Position:
    row = token.end_row
    if row == token.row:
        return row, token.col + len(token.text)
    return row, len(token.text) - token.text.rindex("\n")
