"""Write rules.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policy_agent.rego import ast
from policy_agent.rego.check.term_text import term_text
from policy_agent.rego.format.expressions import ExpressionWriter, ignored_comments
from policy_agent.rego.format.layout import Layout, UnexpectedCommentError
from policy_agent.rego.format.written import Written, closing_row
from policy_agent.rego.lexer import KEYWORDS


@dataclass(frozen=True, slots=True)
class Syntax:
    """What the written module may use.

    Attributes:
        ifs: write `if` before bodies.
        contains: write `contains` in the heads of partial sets.
        v1: write for Rego v1: values are assigned.
        references: heads may be references of more than two parts.
    """

    ifs: bool = True
    contains: bool = True
    v1: bool = True
    references: bool = True


class RuleWriter(ExpressionWriter):
    """Writes rules."""

    def __init__(
        self,
        out: Layout,
        written: Written,
        syntax: Syntax,
        keywords: frozenset[str] = KEYWORDS,
    ) -> None:
        super().__init__(out, written, keywords)
        self.syntax = syntax

    def rules(self, rules: Sequence[ast.Rule]) -> None:
        """Write rules; those on adjacent lines stay together."""
        for index, rule in enumerate(rules):
            with ignored_comments():
                self.out.insert_comments(rule.location.row)
            with ignored_comments():
                self._rule(rule, is_else=False)
            following = rules[index + 1] if index + 1 < len(rules) else None
            if (
                following is None
                or following.location.row != rule.location.row + 1
                or not self._fits_on_a_line(rule)
                or not self._fits_on_a_line(following)
            ):
                self.out.blank_line()

    def _fits_on_a_line(self, rule: ast.Rule) -> bool:
        if len(rule.body) > 1 or rule.default or rule.orelse is not None:
            return False
        return not _is_set(rule.body[0]) and self._uses_if(rule)

    def _uses_if(self, rule: ast.Rule) -> bool:
        has_form = self.syntax.contains or rule.head.value is not None
        return (self.syntax.v1 or self.syntax.ifs) and has_form

    def _rule(self, rule: ast.Rule, *, is_else: bool) -> None:
        out = self.out
        if not is_else:
            out.start_line()
        out.write("default " if rule.default else "")
        is_constant = is_bare_true(rule.body) and rule.orelse is None
        self.keeps_final_comment = is_constant
        is_unexpected = False
        try:
            self._head(rule, is_constant=is_constant, is_else=is_else)
        except UnexpectedCommentError:
            is_unexpected = True
        if is_constant:
            out.end_line()
            return
        self.keeps_final_comment = True
        if self._uses_if(rule):
            out.write(" if")
            if self._is_inline(rule):
                out.write(" ")
                with ignored_comments():
                    self.expression(rule.body[0])
                out.end_line()
                self._orelse(rule)
                return
        self._braced(rule, is_else=is_else, is_unexpected=is_unexpected)

    def _is_inline(self, rule: ast.Rule) -> bool:
        """Return whether the body follows `if` on its line: it is alone, and did so before."""
        alone = len(rule.body) == 1 and not _is_set(rule.body[0])
        return alone and rule.body[0].location.row == self.written.end_row(rule.head)

    def _braced(self, rule: ast.Rule, *, is_else: bool, is_unexpected: bool) -> None:
        out = self.out
        if is_unexpected and out.pending:
            out.write(" { ")
        else:
            out.write(" {")
            out.end_line()
        if self._uses_if(rule) and not is_else:
            self.mark_leading_union(rule.body[0])
        out.level += 1
        with ignored_comments():
            self.body(rule.body)
        out.insert_comments(self._closing_row(rule))
        out.level -= 1
        out.start_line()
        out.write("}")
        self._orelse(rule)

    def _closing_row(self, rule: ast.Rule) -> int:
        skip = ""
        if rule.head.args:
            skip = "()"
        elif rule.head.shown_key is not None:
            skip = "[]"
        return closing_row(self.written.text(rule), rule.location.row, "{}", skip)

    def _orelse(self, rule: ast.Rule) -> None:
        orelse = rule.orelse
        if orelse is None:
            return
        out = self.out
        lines = self.written.text(rule).split("\n")
        offset = orelse.location.row - rule.location.row
        was_inline = 0 < offset < len(lines) and not lines[offset].strip().startswith("else")
        row = orelse.head.location.row
        has_comment = bool(out.pending) and out.pending[0].location.row < row
        has_comment = has_comment or out.trailing is not None
        if not has_comment and was_inline:
            out.write(" ")
        else:
            out.blank_line()
            out.start_line()
        out.insert_comments(row)
        if has_comment and not was_inline:
            out.start_line()
        self._rule(orelse, is_else=True)

    def _head(self, rule: ast.Rule, *, is_constant: bool, is_else: bool) -> None:
        head = rule.head
        if is_else:
            self._else_name(head)
        elif not self._name(head):
            return
        if head.args and not is_else:
            self._arguments(head)
        key = head.key if head.value is None else head.shown_key
        if head.value is None and key is not None:
            if self.syntax.contains:
                self.out.write(" contains ")
                self.term(key)
            else:
                self.out.write("[")
                self.term(key)
                self.out.write("]")
        elif head.value is not None:
            self._value(rule, key, is_constant=is_constant, is_else=is_else)

    def _else_name(self, head: ast.Head) -> None:
        self.out.insert_comments(head.location.row)
        if not self.out.inline:
            self.out.start_line()
        self.out.write("else")

    def _name(self, head: ast.Head) -> bool:
        """Write what a rule is called; False when the whole head had to be left as it was."""
        reference = head.reference
        if self.syntax.references or not reference.path:
            self.reference(reference)
            return True
        part = reference.path[0]
        pending = self.out.pending
        if pending and part.location.row == pending[0].location.row:
            self.unformatted(head)
            return False
        self.out.write(f"{head.name}[{term_text(part)}]")
        return True

    def _arguments(self, head: ast.Head) -> None:
        text, row = self.written.text(head), head.location.row
        self.out.write("(")
        self.sequence(head.args or (), text, row, closing_row(text, row, "()"), self._argument)
        self.out.write(")")

    def _value(
        self, rule: ast.Rule, key: ast.Term | None, *, is_constant: bool, is_else: bool
    ) -> None:
        head = rule.head
        value = head.value
        assert value is not None
        is_true = isinstance(value, ast.Scalar) and value.value is True
        if not (key is not None or not is_true or is_constant or rule.default):
            return
        has_body = not rule.body[0].generated
        is_told = key is None and is_constant and (has_body or (self.syntax.v1 and not head.args))
        if value.location == head.location and not is_else and is_true and not is_told:
            # The author has not written it.
            return
        self.out.write(" := " if head.assign or self.syntax.v1 else " = ")
        self.term(self.written.moved(value, head) if is_else else value)


def is_bare_true(body: ast.Body) -> bool:
    """Return whether a body is only `true`, written or not."""
    expr = body[0]
    statement = expr.statement
    is_true = isinstance(statement, ast.Scalar) and statement.value is True
    return len(body) == 1 and is_true and not expr.negated and not expr.withs


def _is_set(expr: ast.Expr) -> bool:
    return isinstance(expr.statement, ast.SetTerm) and not expr.negated
