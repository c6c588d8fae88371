"""Find in a module's text what the compiler has kept or made of it.

Pure.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import Node, alternatives, descend, is_equality, operator_name
from policy_agent.rego.extents import Extents, Position

Range: TypeAlias = tuple[Position, Position]

_EXPRESSION: Final = "expression"
_TEMPLATE: Final = "internal.template_string"


class Places:
    """Where the nodes of one module are written.

    Attributes:
        countable: the ranges of the heads and expressions that can be covered.
    """

    def __init__(self, module: ast.Module, source: str) -> None:
        self._lines = source.split("\n")
        self._extents = Extents(module.file, source)
        self._ranges: dict[tuple[Position, object], Range] = {}
        self._expressions: list[Range] = []
        self.countable: set[Range] = set()
        for rule in module.rules:
            for alternative in alternatives(rule):
                self._add_rule(alternative)

    def head(self, head: ast.Head) -> Range:
        """Return the range of a rule's head."""
        return self._ranges[_start(head.location), ast.Head]

    def expression(self, expr: ast.Expr) -> Range | None:
        """Return the range of an expression, or of the term that the compiler moved out of one.

        None for an expression that nobody wrote.
        """
        return self._find(expr.location, _kind(expr))

    def expression_around(self, location: Location) -> Range:
        """Return the range of the innermost expression around a place."""
        at = _start(location)
        around = [each for each in self._expressions if each[0] <= at < each[1]]
        return max(around, key=lambda each: (each[0], (-each[1][0], -each[1][1])), default=(at, at))

    def padded_text(self, range_: Range) -> str:
        """Return a range's text after as much blank space as stands before it."""
        (row, col), (end_row, end_col) = range_
        lines = self._lines[row - 1 : end_row]
        lines[-1] = lines[-1][: end_col - 1]
        lines[0] = _blank(lines[0][: col - 1]) + lines[0][col - 1 :]
        return "\n".join(lines)

    def margin(self, location: Location) -> str:
        """Return what stands before a place on its line, as blank space."""
        return _blank(self._lines[location.row - 1][: location.col - 1])

    def text_at(self, location: Location) -> str:
        """Return the text of the longest term at a place."""
        start = _start(location)
        ends = [end for (at, kind), (_, end) in self._ranges.items()
                if at == start and kind not in (_EXPRESSION, ast.Head)]  # fmt: skip
        return self.padded_text((start, max(ends, default=start))).lstrip()

    def text_of_reference(self, location: Location) -> str:
        """Return the text of the reference at a place."""
        found = self._find(location, ast.Ref)
        return self.padded_text(found).lstrip() if found else ""

    def _find(self, location: Location, kind: object) -> Range | None:
        start = _start(location)
        return self._ranges.get((start, kind)) or self._ranges.get((start, _EXPRESSION))

    def _add_rule(self, rule: ast.Rule) -> None:
        head = rule.head
        whole = (_start(head.location), self._extents.head_end(head))
        self._ranges[whole[0], ast.Head] = whole
        self.countable.add(whole)
        written = rule.body[0].location
        if len(rule.body) == 1 and written == head.location:
            self._ranges[whole[0], _EXPRESSION] = whole
        elif head.value is not None and written == head.value.location:
            value = (_start(written), self._extents.end(head.value))
            self._ranges[value[0], _EXPRESSION] = value
            self.countable.add(value)
        else:
            self._add_nodes(rule.body)
        terms = (*head.reference.path, *(head.args or ()), head.key, head.value)
        self._add_nodes(tuple(term for term in terms if term is not None))

    def _add_nodes(self, nodes: Node) -> None:
        # OPA traces what is below the expressions in a template string, but not these themselves.
        untraced = set()
        for node in descend(nodes):
            if isinstance(node, ast.Scalar | tuple | ast.SomeDecl | ast.With):
                continue
            if isinstance(node, ast.TemplateString):
                parts = [part for part in node.parts if isinstance(part, ast.Expr)]
                untraced |= {id(part) for part in parts}
                untraced |= {id(p.statement) for p in parts if isinstance(p.statement, ast.Call)}
            range_ = (_start(node.location), self._extents.end(node))
            is_traced = id(node) not in untraced
            if isinstance(node, ast.Expr):
                self._expressions.append(range_)
                if not isinstance(node.statement, ast.SomeDecl):
                    self.countable.add(range_)
                if is_traced:
                    self._ranges[range_[0], _EXPRESSION] = range_
            elif is_traced:
                self._ranges.setdefault((range_[0], _kind_of_term(node)), range_)


def _kind(expr: ast.Expr) -> object:
    if not expr.generated or not isinstance(expr.statement, ast.Call):
        return _EXPRESSION
    moved = expr.statement.args[1] if is_equality(expr) else expr.statement
    return _kind_of_term(moved)


def _kind_of_term(term: Node) -> object:
    if isinstance(term, ast.Call):
        if operator_name(term.operator) == _TEMPLATE:
            return ast.TemplateString
        return _start(term.operator.location)
    # The name of a rule is a variable until the compiler knows better.
    return ast.Ref if isinstance(term, ast.Var) else type(term)


def _start(location: Location) -> Position:
    return location.row, location.col


def _blank(text: str) -> str:
    return "".join("\t" if each == "\t" else " " for each in text)
