"""Write expressions and bodies.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from policy_agent.rego import ast
from policy_agent.rego.check.signatures import INFIX
from policy_agent.rego.compile.nodes import operator_name
from policy_agent.rego.format.elements import by_lines, is_union
from policy_agent.rego.format.layout import UnexpectedCommentError
from policy_agent.rego.format.terms import TermWriter
from policy_agent.rego.format.written import closing_row

_BRACES = "{}"
_OPERANDS = 2


@dataclass(frozen=True, slots=True)
class _Operand:
    """One operand of an `and` or `or` chain.

    Attributes:
        row: of its opening brace, if it is explicit.
        text: from there on.
    """

    body: ast.Body
    explicit: bool = False
    parentheses: bool = False
    row: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """An operator of such a chain and what follows it; `left_end` is the row before it."""

    operator: str
    right: _Operand
    left_end: int


class ExpressionWriter(TermWriter):
    """Writes expressions.

    Attributes:
        wrapped_expression: one whose terms are to be put in parentheses when it comes.
    """

    wrapped_expression: ast.Expr | None = None

    def body(self, body: ast.Body) -> None:
        """Write a body, an expression a line, with the gaps that it had.

        Raises:
            UnexpectedCommentError: its first line has a comment already.
        """
        self.out.insert_comments(body[0].location.row)
        for index, expr in enumerate(body):
            if index and expr.location.row > self.written.end_row(body[index - 1]) + 1:
                self.out.blank_line()
            self.out.start_line()
            with ignored_comments():
                self.expression(expr)
            self.out.end_line()

    def expression(self, expr: ast.Expr) -> None:
        """Write an expression with its `with` modifiers."""
        is_wrapped = self.wrapped_expression is expr
        if is_wrapped:
            self.wrapped_expression = None
        self.out.insert_comments(expr.location.row)
        if not self.out.inline:
            self.out.start_line()
        self.out.write("not " if expr.negated else "")
        self.out.write("(" if is_wrapped else "")
        self._statement(expr)
        self.out.write(")" if is_wrapped else "")
        if expr.withs:
            self._withs(expr)

    def body_in(self, brackets: str, body: ast.Body, row: int, text: str, opened: int) -> None:
        """Write a body between brackets, on as many lines as it was.

        Args:
            brackets: those around it.
            body: the body.
            row: of what stands before it.
            text: of the whole, from its opening bracket or before.
            opened: row of the text's beginning.

        Raises:
            UnexpectedCommentError: a comment does not fit in.
        """
        if body[0].location.row > row or len(by_lines(body, row)) > 1:
            self.out.end_line()
            self.out.level += 1
            try:
                self.body(body)
                self.out.insert_comments(closing_row(text, opened, brackets))
            finally:
                self.out.level -= 1
                self.out.start_line()
            return
        self.out.write(" ")
        for index, expr in enumerate(body):
            self.out.write("; " if index else "")
            self.expression(expr)
        self.out.insert_comments(closing_row(text, opened, brackets))

    def mark_leading_union(self, expr: ast.Expr) -> None:
        """Put a union that the writing of an expression begins with in parentheses."""
        statement = expr.statement
        if expr.negated:
            return
        if isinstance(statement, ast.LogicalAnd | ast.LogicalOr):
            first, _ = self._flattened(expr)
            if not first.explicit and not first.parentheses:
                self.mark_leading_union(first.body[0])
        elif is_union_expression(expr):
            self.wrapped_expression = expr
        elif (
            isinstance(statement, ast.Call)
            and len(statement.args) == _OPERANDS
            and operator_name(statement.operator) in INFIX
            and is_union(statement.args[0])
        ):
            self.wrapped_term = statement.args[0]

    def _statement(self, expr: ast.Expr) -> None:
        match expr.statement:
            case ast.SomeDecl() as some:
                self._some(some)
            case ast.Every() as every:
                self._every(every, expr)
            case ast.LogicalNot() as negation:
                self._not(negation, expr)
            case ast.LogicalAnd() | ast.LogicalOr():
                self._logical(expr)
            case ast.Call() as call:
                self._top_call(call)
            case term:
                self.term(term)

    def _top_call(self, call: ast.Call) -> None:
        name = operator_name(call.operator)
        if name.startswith("internal.member_"):
            self.membership(call.args, parentheses=False)
        elif name in INFIX and len(call.args) in (_OPERANDS, _OPERANDS + 1):
            left, right, *result = call.args
            if result:
                self.term(result[0])
                self.out.write(" = ")
            self.term(left)
            self.out.write(f" {INFIX[name]} ")
            self.term(right)
        else:
            self.plain_call(call)

    def _withs(self, expr: ast.Expr) -> None:
        start = self.written.distance(expr, expr.withs[0])
        own = self.written.text(expr)[:start].rstrip()
        row = expr.location.row + own.count("\n")
        rest = list(expr.withs)
        if rest[0].location.row == row:
            self._with(rest.pop(0), indented=False)
            row = expr.withs[0].location.row
        level = self.out.level
        for each in rest:
            indented = each.location.row > row
            if indented:
                self.out.level = level + 1
                self.out.end_line()
                self.out.start_line()
                row = each.location.row
            self._with(each, indented=indented)
        self.out.level = level

    def _with(self, each: ast.With, *, indented: bool) -> None:
        self.out.insert_comments(each.location.row)
        self.out.write("with " if indented else " with ")
        self.term(each.target)
        self.out.write(" as ")
        with ignored_comments():
            self.term(each.value)

    def _some(self, some: ast.SomeDecl) -> None:
        self.out.insert_comments(some.location.row)
        self.out.write("some ")
        row = some.location.row
        for index, symbol in enumerate(some.symbols):
            if isinstance(symbol, ast.Call):
                self.membership(symbol.args, parentheses=False)
                continue
            if symbol.location.row > row:
                self.out.end_line()
                self.out.start_line()
                self.out.write("\t")
                row = symbol.location.row
            elif index:
                self.out.write(" ")
            self.term(symbol)
            self.out.write("," if index < len(some.symbols) - 1 else "")

    def _every(self, every: ast.Every, expr: ast.Expr) -> None:
        self.out.insert_comments(expr.location.row)
        self.out.write("every ")
        if every.key is not None:
            self.term(every.key)
            self.out.write(", ")
        self.term(every.value)
        self.out.write(" in ")
        self.term(every.domain)
        self.out.write(" {")
        row = expr.location.row
        with ignored_comments():
            self.body_in(_BRACES, every.body, row, self.written.text(expr), row)
        is_inline = len(every.body) == 1 and every.body[0].location.row == every.location.row
        self.out.write(" }" if is_inline else "}")

    def _not(self, negation: ast.LogicalNot, expr: ast.Expr) -> None:
        row = expr.location.row
        self.out.insert_comments(row)
        self.out.write("not ")
        body = negation.body
        if negation.explicit or len(body) > 1:
            if is_union_expression(body[0]):
                self.wrapped_expression = body[0]
            self.out.write("{")
            with ignored_comments():
                self.body_in(_BRACES, body, row, self.written.text(expr), row)
            self.out.write(" }" if body[-1].location.row == row else "}")
            return
        is_grouped = _needs_parentheses_under_not(body[0])
        self.out.write("(" if is_grouped else "")
        with ignored_comments():
            self.expression(body[0])
        self.out.write(")" if is_grouped else "")

    def _logical(self, expr: ast.Expr) -> None:
        first, steps = self._flattened(expr)
        level = self.out.level
        with ignored_comments():
            self._operand(first)
        for step in steps:
            self.out.write(f" {step.operator}")
            right = step.right
            row = right.row if right.explicit else right.body[0].location.row
            if row > step.left_end:
                self.out.level = level + 1
                self.out.end_line()
                self.out.start_line()
            else:
                self.out.write(" ")
            with ignored_comments():
                self._operand(right)
        self.out.level = level

    def _operand(self, operand: _Operand) -> None:
        if not operand.explicit:
            self.out.write("(" if operand.parentheses else "")
            try:
                self.expression(operand.body[0])
            finally:
                self.out.write(")" if operand.parentheses else "")
            return
        if is_union_expression(operand.body[0]):
            self.wrapped_expression = operand.body[0]
        self.out.write("{")
        with ignored_comments():
            self.body_in(_BRACES, operand.body, operand.row, operand.text, operand.row)
        self.out.write(" }" if operand.body[-1].location.row == operand.row else "}")

    def _flattened(self, expr: ast.Expr) -> tuple[_Operand, list[_Step]]:
        """Return the first operand of a chain of one operator, and what follows it."""
        node = expr.statement
        assert isinstance(node, ast.LogicalAnd | ast.LogicalOr)
        operator = "and" if isinstance(node, ast.LogicalAnd) else "or"
        right = self._new_operand(
            expr, node.right, operator, explicit=node.explicit_right, is_right=True
        )
        left = node.left
        if (
            not node.explicit_left
            and len(left) == 1
            and isinstance(left[0].statement, ast.LogicalAnd | ast.LogicalOr)
            and not _needs_parentheses_under(operator, left[0], is_right=False)
        ):
            first, steps = self._flattened(left[0])
            return first, [*steps, _Step(operator, right, self.written.end_row(left[-1]))]
        first = self._new_operand(expr, left, operator, explicit=node.explicit_left, is_right=False)
        end = self.written.end_row(left[-1])
        if first.explicit:
            end = max(closing_row(first.text, first.row, _BRACES), 0) or end
        return first, [_Step(operator, right, end)]

    def _new_operand(
        self, expr: ast.Expr, body: ast.Body, operator: str, *, explicit: bool, is_right: bool
    ) -> _Operand:
        if not explicit and len(body) == 1:
            parentheses = _needs_parentheses_under(operator, body[0], is_right=is_right)
            return _Operand(body, parentheses=parentheses)
        text = self.written.text(expr)
        brace = text.rfind("{", 0, self.written.distance(expr, body[0]))
        row = expr.location.row + text[:brace].count("\n")
        return _Operand(body, explicit=True, row=row, text=text[brace:])


@contextmanager
def ignored_comments() -> Iterator[None]:
    """Go on after what had to be left as it was written."""
    with suppress(UnexpectedCommentError):
        yield


def is_union_expression(expr: ast.Expr) -> bool:
    """Return whether an expression is `x | y`, which after a brace would be a comprehension."""
    return is_union(expr.statement) if isinstance(expr.statement, ast.Call) else False


def _needs_parentheses_under_not(expr: ast.Expr) -> bool:
    is_negation = isinstance(expr.statement, ast.LogicalNot | ast.LogicalAnd | ast.LogicalOr)
    return bool(expr.withs) or is_negation or _begins_with_brace(expr.statement)


def _needs_parentheses_under(operator: str, expr: ast.Expr, *, is_right: bool) -> bool:
    if expr.withs:
        return True
    if isinstance(expr.statement, ast.LogicalOr):
        return operator == "and" or is_right
    if isinstance(expr.statement, ast.LogicalAnd):
        return operator == "and" and is_right
    return _begins_with_brace(expr.statement)


def _begins_with_brace(node: ast.Statement) -> bool:
    """Return whether the writing of an expression begins with a brace, as that of a body does."""
    match node:
        case ast.SetTerm(items):
            return bool(items)
        case ast.ObjectTerm() | ast.SetComprehension() | ast.ObjectComprehension():
            return True
        case ast.Ref(head):
            return _begins_with_brace(head)
        case ast.Call(operator, args):
            is_infix = operator_name(operator) in INFIX
            return is_infix and bool(args) and _begins_with_brace(args[0])
    return False
