"""What a query gives: for each solution the values of its expressions and of its variables.

Pure. Follows OPA v1.22 v1/rego/resultset.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from policy_agent.model import JsonObject
from policy_agent.rego import ast
from policy_agent.rego.compile.capture import captured
from policy_agent.rego.compile.compiled import CompiledQuery
from policy_agent.rego.lexer import TokenKind, tokenize
from policy_agent.rego.values import Value, to_json


class ExpressionValue(Struct, frozen=True):
    """One expression of a query and its value.

    Attributes:
        text: as written.
        row: of its first character in the query, from 1.
        col: likewise.
    """

    value: Any
    text: str
    row: int
    col: int


class QueryResult(Struct, frozen=True):
    """One solution of a query.

    Attributes:
        expressions: in the order in which they are evaluated.
        bindings: variable -> value.
    """

    expressions: tuple[ExpressionValue, ...]
    bindings: JsonObject = field(default_factory=dict)


class ResultShape(Struct, frozen=True):
    """How the rows of a planned query become results.

    Attributes:
        expressions: text, row, column and the variable of the value; None where it is `true`.
    """

    expressions: tuple[tuple[str, int, int, str | None], ...]

    def result(self, row: Mapping[str, Value]) -> QueryResult:
        """Return the result that one row stands for."""
        expressions = tuple(
            ExpressionValue(True if name is None else to_json(row[name]), text, at_row, at_col)
            for text, at_row, at_col, name in self.expressions
        )
        return QueryResult(expressions, self.bindings(row))

    def bindings(self, row: Mapping[str, Value]) -> JsonObject:
        """Return the variables of one row."""
        values = {name for *_, name in self.expressions}
        return {name: to_json(item) for name, item in row.items() if name not in values}


def result_shape(source: str, parsed: ast.Body, compiled: CompiledQuery) -> ResultShape:
    """Return how to read the rows of a query.

    Args:
        source: the query's text.
        parsed: as parsed from it.
        compiled: with captured values.
    """
    texts = dict(_texts(source, parsed))
    shown = []
    for expr in compiled.body:
        place = (expr.location.row, expr.location.col)
        if not expr.generated:
            shown.append((texts.get(place, ""), *place, captured(expr)))
    return ResultShape(tuple(shown))


def _texts(source: str, body: ast.Body) -> Iterator[tuple[tuple[int, int], str]]:
    """Iterate over row and column of each expression, and its text: up to the last token."""
    tokens = [each for each in tokenize("", source) if each.kind is not TokenKind.COMMENT]
    places = [(expr.location.row, expr.location.col) for expr in body]
    for place, following in zip(places, [*places[1:], None], strict=True):
        own = [
            token
            for token in tokens
            if (token.row, token.col) >= place
            and (following is None or (token.row, token.col) < following)
        ]
        while own and own[-1].text == ";":
            own.pop()
        yield place, source[own[0].start : own[-1].end] if own else ""
