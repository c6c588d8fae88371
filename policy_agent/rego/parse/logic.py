"""The future keywords `and`, `or` and `not` with bodies as operands.

Pure. Follows OPA v1.22 v1/ast/parser.go: `and` binds tighter than `or`; braces in the place of an
operand are a body, never a set or object; a `with` belongs to the whole expression.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.parse.cursor import State
from policy_agent.rego.parse.literals import LiteralParser
from policy_agent.rego.parse.names import kind_of, text_of

# The built-ins without a result, which therefore never fail.
_VOID: Final = frozenset({"print", "internal.print", "internal.test_case"})
_INFIX: Final = frozenset(
    {
        *("plus", "minus", "mul", "div", "rem", "and", "or", "eq", "assign"),
        *("equal", "neq", "lt", "lte", "gt", "gte", "internal.member_2", "internal.member_3"),
    }
)


class _Operand(Struct, frozen=True):
    """One side of an operator; `explicit` where it is written in braces."""

    body: ast.Body
    explicit: bool
    location: Location
    failed: bool = False


_FAILED = _Operand((), explicit=False, location=ast.NOWHERE, failed=True)


class LogicParser(LiteralParser):
    """Reads `and`, `or`, `not { … }` and groups in parentheses."""

    def operand_led(self) -> tuple[bool, ast.Expr | None]:
        """Read an expression that begins with an operand in braces or parentheses."""
        if self.kind == "(":
            group = self._group(in_operand=False, prefix="")
            if group is None:
                return False, None
            return True, None if group.failed else self._fold(group)
        before = self.save()
        location, start = self.here(), self.start
        self.scan()
        body = self.body("}")
        if body is not None:
            self.scan()
            if self.kind in ("and", "or"):
                if self._is_ambiguous_union(body):
                    self._refuse_ambiguous_union(location, start, body, "")
                    return True, None
                return True, self._fold(_Operand(body, True, location))
        self.restore(before)
        return False, None

    def negated_body(self, location: Location) -> ast.Expr | None:
        """Read the rest of `not { body }`, operators after it included."""
        negated = self._negated_body(location)
        return None if negated is None else self._fold(_Operand((negated,), False, location))

    def negated_group(self, location: Location) -> tuple[bool, ast.Expr | None]:
        """Read the rest of `not (a or b)`, operators after it included."""
        group = self._group(in_operand=True, prefix="not ")
        if group is None:
            return False, None
        if group.failed:
            return True, None
        return True, self._fold(_Operand((_negation(group, location),), False, location))

    def operation_after(
        self, left: ast.Expr, with_location: Location | None, *, negated: bool
    ) -> ast.Expr | None:
        """Read the rest of `left and …` or `left or …`."""
        if with_location:
            self._refuse_with(with_location)
            return None
        start = self.offset_of(left.location)
        if not negated and self.source.startswith("{", start):
            if not left.withs and left.statement == ast.ObjectTerm(()):
                self.error(left.location, "found empty body")
            else:
                self._refuse_braces(left.location, start, self.kind)
            return None
        return self._fold(_Operand((left,), False, left.location))

    def _fold(self, left: _Operand) -> ast.Expr | None:
        """Read the operators after an operand, and the `with` after those."""
        if self.kind not in ("and", "or"):
            return self.attach_withs(left.body[0])
        operation = self._or_chain(left)
        return None if operation is None else self.attach_withs(operation)

    def _or_chain(self, left: _Operand) -> ast.Expr | None:
        if not self.enter():
            return None
        operation = self._or_operations(left)
        self.leave()
        return operation

    def _or_operations(self, left: _Operand) -> ast.Expr | None:
        folded: _Operand | None = left
        if self.kind == "and":
            folded = self._and_chain(left)
        while folded is not None and self.kind == "or":
            self.scan()
            right = self._operand("or")
            if right is not None and self.kind == "and":
                right = self._and_chain(right)
            folded = None if right is None else self._operation("or", folded, right)
        return None if folded is None else folded.body[0]

    def _and_chain(self, left: _Operand) -> _Operand | None:
        while self.kind == "and":
            self.scan()
            right = self._operand("and")
            if right is None:
                return None
            left = self._operation("and", left, right)
        return left

    def _operation(self, operator: str, left: _Operand, right: _Operand) -> _Operand:
        for operand in (left, right):
            self._refuse_void(operand.body, operator)
        location = left.location
        node = ast.LogicalAnd if operator == "and" else ast.LogicalOr
        statement = node(left.body, right.body, left.explicit, right.explicit, location)
        return _Operand((ast.Expr(statement, location=location),), False, location)

    def _operand(self, operator: str) -> _Operand | None:
        """Read one operand; without `operator` the caller goes back where it is none."""
        location = self.here()
        if self.kind == "{":
            return self._operand_in_braces(location, operator)
        negated = self.is_negated()
        if negated:
            self.scan()
            if self.not_bodies and self.kind == "{":
                body = self._negated_body(location)
                return None if body is None else _Operand((body,), False, location)
        if self.kind == "(" and (not negated or self.not_bodies):
            group = self._group(in_operand=True, prefix="not " if negated else "")
            if group is not None:
                if group.failed:
                    return None
                if negated:
                    return _Operand((_negation(group, location),), False, location)
                return group
        inner = self.here()
        statement = self.statement()
        if statement is None:
            return None
        if negated and self.not_bodies:
            body_of_not = (ast.Expr(statement, location=inner),)
            statement_of_not = ast.LogicalNot(body_of_not, explicit=False, location=location)
            return _Operand((ast.Expr(statement_of_not, location=location),), False, location)
        return _Operand((ast.Expr(statement, negated, location=inner),), False, inner)

    def _operand_in_braces(self, location: Location, operator: str) -> _Operand | None:
        body, start, before = self._braced_body()
        if body is None:
            if before is not None and operator:
                failed = self.save()
                self.restore(before)
                if self.infix() is not None:
                    self._refuse_braces(location, start, operator)
                    return None
                self.restore(failed)
            return None
        if self._is_ambiguous_union(body):
            self._refuse_ambiguous_union(location, start, body, "")
        return _Operand(body, True, location)

    def _negated_body(self, location: Location) -> ast.Expr | None:
        braces = self.here()
        body, start, before = self._braced_body()
        if body is None:
            if before is not None:
                failed = self.save()
                self.restore(before)
                term = self.infix()
                if term is not None:
                    self._refuse_value_in_braces(braces, start, term)
                    return None
                self.restore(failed)
            return None
        if self._is_ambiguous_union(body):
            self._refuse_ambiguous_union(braces, start, body, "not ")
            return None
        return ast.Expr(ast.LogicalNot(body, True, location), location=location)

    def _braced_body(self) -> tuple[ast.Body | None, int, State | None]:
        """Read `{ body }`.

        Returns:
            The body, where its braces begin, and the place before them unless they are empty.
        """
        start, before = self.start, self.save()
        self.scan()
        empty = self.kind == "}"
        body = self.body("}")
        if body is not None:
            self.scan()
        return body, start, None if empty else before

    def _group(self, *, in_operand: bool, prefix: str) -> _Operand | None:
        """Read a group in parentheses; None and back where they hold a plain term."""
        if not self.enter():
            return _FAILED
        group = self._group_inside(self.save(), in_operand, prefix)
        self.leave()
        return group

    def _group_inside(self, before: State, in_operand: bool, prefix: str) -> _Operand | None:
        location = self.here()
        self.scan()
        if self.kind == ")":
            if in_operand:
                self.error(location, "empty parenthesized group")
                return _FAILED
            self.restore(before)
            return None
        left = self._operand("")
        if left is None:
            self.restore(before)
            return None
        if self.kind in ("and", "or"):
            operation = self._fold(left)
            if operation is None or not self._close_group():
                return _FAILED
            return _Operand((operation,), False, location)
        if self.kind == "with" and not left.explicit:
            return self._group_with(before, left, location, in_operand)
        if left.explicit:
            return self._group_of_braces(before, left, location, prefix)
        statement = left.body[0].statement
        grouped = isinstance(statement, ast.LogicalAnd | ast.LogicalOr | ast.LogicalNot)
        if grouped or left.body[0].negated:
            return replace(left, location=location) if self._close_group() else _FAILED
        self.restore(before)
        return None

    def _group_with(
        self, before: State, left: _Operand, location: Location, in_operand: bool
    ) -> _Operand | None:
        with_location = self.here()
        operand = self.attach_withs(left.body[0])
        if operand is None:
            return _FAILED
        if self.kind in ("and", "or"):
            self._refuse_with(with_location)
            return _FAILED
        if not self._close_group():
            return _FAILED
        if in_operand or self.kind in ("and", "or"):
            return _Operand((operand,), False, location)
        self.restore(before)
        return None

    def _group_of_braces(
        self, before: State, left: _Operand, location: Location, prefix: str
    ) -> _Operand | None:
        """Refuse `({ body })`; where the braces may be a value, go back for it to be read."""
        braces = self.source[self.offset_of(left.location) : self.last_end]
        self.restore(before)
        self.scan()
        term = self.term()
        self.restore(before)
        if term is not None:
            return None
        self.hint(f"drop the parens to keep the body: `{prefix}{braces}`")
        self.error(location, "`(...)` in an operand position cannot contain a body")
        return _FAILED

    def _close_group(self) -> bool:
        if self.kind != ")":
            self.error(self.here(), "expected ) to close parenthesized group")
            return False
        self.scan()
        return True

    def _is_ambiguous_union(self, body: ast.Body) -> bool:
        """Return whether a body in braces begins with `a | b`, as a comprehension does."""
        first = body[0]
        if not isinstance(first.statement, ast.Call):
            return False
        operator = first.statement.operator
        if operator != ast.Ref(ast.Var("or"), ()):
            return False
        infix = self.source.startswith("|", self.offset_of(operator.location))
        return infix and not self.source.startswith("(", self.offset_of(first.location))

    def _refuse_ambiguous_union(
        self, location: Location, start: int, body: ast.Body, prefix: str
    ) -> None:
        braces = self.source[start : self.last_end]
        begin = self.offset_of(body[0].location) - start
        end = self.literal_ends.get(begin + start, 0) - start
        union = f"{braces[:begin]}({braces[begin:end]}){braces[end:]}"
        if not 0 < begin < end <= len(braces):
            union = braces
        self.hint(
            f"write `{prefix}({braces})` for the comprehension, "
            f"or `{prefix}{union}` for the set union"
        )
        self.error(
            location,
            "ambiguous `{ ... | ... }` operand: "
            "read as a body holding a set-union expression, not as a comprehension",
        )

    def _refuse_with(self, location: Location) -> None:
        self.hint(
            "Wrap the operand in `(...)` or `{...}` to scope, "
            f"or move `with` after the `{self.kind}` expression to apply it to the whole expression"
        )
        self.error(location, f"`with` modifier is not allowed on operand of `{self.kind}`")

    def _refuse_braces(self, location: Location, start: int, operator: str) -> None:
        operand = self.source[start : self.last_end]
        self.hint(f"wrap the operand to keep the value: `({operand}) {operator} ...`")
        self.error(
            location,
            f"operand of `{operator}` cannot begin with `{{` unless the braces hold a body",
        )

    def _refuse_value_in_braces(self, location: Location, start: int, term: ast.Term) -> None:
        operand = self.source[start : self.last_end]
        self.hint(
            f"write `not ({operand})` to negate the value, "
            f"or `not {{{operand}}}` for a body holding it"
        )
        value = term
        while isinstance(value, ast.Call) and text_of(value.operator) in _INFIX:
            value = value.args[0]
        self.error(
            location,
            f"`{{...}}` in an operand position must contain expression(s), got: {kind_of(value)}",
        )

    def _refuse_void(self, body: ast.Body, operator: str) -> None:
        """Refuse an operand that only calls what never fails."""
        called = []
        for expression in body:
            if expression.negated or not isinstance(expression.statement, ast.Call):
                return
            name = text_of(expression.statement.operator)
            if name not in _VOID:
                return
            called.append((name, expression.location))
        name, location = called[0]
        self.hint(
            f"`{name}` produces no value and always succeeds, so the operand can never fail; "
            "move it out of the operand, or add an expression that can fail"
        )
        self.error(location, f"operand of `{operator}` cannot consist only of calls to `{name}`")


def _negation(group: _Operand, location: Location) -> ast.Expr:
    return ast.Expr(ast.LogicalNot(group.body, group.explicit, location), location=location)
