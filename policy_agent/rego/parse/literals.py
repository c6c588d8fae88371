"""Bodies and the expressions in them: `some`, `every`, `not`, `with`.

Pure. Follows OPA v1.22 v1/ast/parser.go.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.composites import CompositeParser
from policy_agent.rego.parse.cursor import State

_MEMBERS: Final = {"member_2": 2, "member_3": 3}
_EXAMPLES: Final = {"in": "x in xs", "and": "x and y", "or": "x or y"}


class LiteralParser(CompositeParser):
    """Reads bodies and expressions.

    Attributes:
        literal_ends: where the expressions end, by where they begin; for the wording of problems
            with `and` and `or`.
    """

    def __init__(self, file: str, source: str, *, v0: bool) -> None:
        self.literal_ends: dict[int, int] = {}
        super().__init__(file, source, v0=v0)

    def body(self, end: str) -> ast.Body | None:
        """Read expressions up to `end`, which stays at hand."""
        if not self.enter():
            return None
        body = self.query(end, one_line=False)
        self.leave()
        return body

    def query(self, end: str, *, one_line: bool) -> ast.Body | None:
        """Read expressions; with `one_line` only a semicolon leads to another one."""
        if self.kind == end:
            self.error(self.here(), "found empty body")
            return None
        body = []
        while True:
            expression = self.literal()
            if expression is None:
                return None
            body.append(expression)
            if self.kind == ";":
                self.scan()
            elif self.kind == end or one_line:
                return tuple(body)
            elif not self.on_new_line():
                if not self.problems:
                    self._hint_missing_operator()
                    self.illegal(f"expected \\n or ; or {end}")
                return None

    def literal(self) -> ast.Expr | None:
        """Read one expression."""
        if "and" not in self.keywords and "or" not in self.keywords:
            return self._literal()
        start = self.start
        # Braces and parentheses may be read twice here: as an operand and as a term.
        self.trials += 1
        expression = self._literal()
        self.trials -= 1
        self.literal_ends[start] = self.last_end
        return expression

    def _literal(self) -> ast.Expr | None:
        location = self.here()
        if self.kind in ("{", "(") and ("and" in self.keywords or "or" in self.keywords):
            led, expression = self.operand_led()
            if led:
                return None if expression is None else replace(expression, location=location)
        if self.read_keyword_of_reference():
            return self._expression(location, None)
        not_location = None
        if self.is_negated():
            not_location = location
            self.scan()
            if self.kind == "{" and self.not_bodies:
                return self.negated_body(not_location)
        if self.kind not in ("some", "every"):
            return self._expression(location, not_location)
        if not_location:
            self.illegal(f"illegal negation of '{self.kind}'")
            return None
        return self._some(location) if self.kind == "some" else self._every(location)

    def is_negated(self) -> bool:
        """Return whether the token at hand is a `not` that is no name."""
        return self.kind == "not" and not self.followed_by(".", "[")

    def _expression(self, location: Location, not_location: Location | None) -> ast.Expr | None:
        if not_location and self.not_bodies and self.kind == "(":
            led, group = self.negated_group(not_location)
            if led:
                return group
        before = self.save()
        statement = self.statement()
        if statement is None:
            return None
        withs: tuple[ast.With, ...] | None = ()
        with_location = None
        if self.kind == "with":
            with_location = self.here()
            withs = self.withs()
            if withs is None:
                return None
        if self.v0 and statement == ast.Var("every"):
            self._hint_every(before)
        expression = self.negate(statement, location, negated=not_location is not None)
        if withs:
            expression = replace(expression, withs=withs)
        if self.kind in ("and", "or"):
            return self.operation_after(expression, with_location, negated=bool(not_location))
        return expression

    def negate(self, statement: ast.Statement, location: Location, *, negated: bool) -> ast.Expr:
        """Return an expression of a statement, in the form that `not` has in this module."""
        if negated and self.not_bodies:
            inner = ast.Expr(statement, location=location)
            negation = ast.LogicalNot((inner,), explicit=False, location=location)
            return ast.Expr(negation, location=location)
        return ast.Expr(statement, negated, location=location)

    def statement(self) -> ast.Term | None:
        """Read a term, or two with `=` or `:=` between."""
        left = self.infix()
        if left is None or self.kind not in (":=", "="):
            return left
        location = self.here()
        operator = ast.Ref(ast.Var(k.OPERATOR_NAMES[self.kind], location), (), location)
        self.scan()
        right = self.infix()
        return None if right is None else ast.Call(operator, (left, right), left.location)

    def withs(self) -> tuple[ast.With, ...] | None:
        """Read `with target as value`, as often as it comes."""
        withs = []
        while self.kind == "with":
            location = self.here()
            self.scan()
            if self.kind != k.IDENT:
                self.illegal("expected ident")
                return None
            target = self.term()
            if target is None:
                return None
            if isinstance(target, ast.Var):
                target = ast.Ref(target, (), target.location)
            if not isinstance(target, ast.Ref):
                self.illegal("expected with target path")
                target = ast.Ref(target, (), target.location)
            if self.kind != "as":
                self.illegal("expected as keyword")
                return None
            self.scan()
            value = self.infix()
            if value is None:
                return None
            withs.append(ast.With(target, value, location))
        return tuple(withs)

    def attach_withs(self, expression: ast.Expr) -> ast.Expr | None:
        """Return an expression with the `with` that follows, if one does."""
        if self.kind != "with":
            return expression
        withs = self.withs()
        return None if withs is None else replace(expression, withs=withs)

    def _some(self, location: Location) -> ast.Expr | None:
        before = self.save()
        self.scan()
        member = self.infix()
        if isinstance(member, ast.Call):
            wanted = _MEMBERS.get(_member_name(member))
            if wanted is None:
                self.illegal("expected `x in xs` or `x, y in xs` expression")
                return None
            if len(member.args) != wanted:
                self.illegal("illegal domain")
                return None
            declaration = ast.SomeDecl((member,), location)
            return self.attach_withs(ast.Expr(declaration, location=location))
        self.restore(before)
        if self.v0:
            self._hint_some_in(before)
        symbols = []
        while True:
            self.scan()
            if self.kind != k.IDENT:
                self.illegal("expected var")
                return None
            symbols.append(self.variable())
            self.scan()
            if self.kind != ",":
                return ast.Expr(ast.SomeDecl(tuple(symbols), location), location=location)

    def _every(self, location: Location) -> ast.Expr | None:
        self.scan()
        member = self.infix()
        if member is None:
            return None
        wanted = _MEMBERS.get(_member_name(member)) if isinstance(member, ast.Call) else None
        if wanted is None or not isinstance(member, ast.Call):
            self.illegal("expected `x[, y] in xs { ... }` expression")
            return None
        if len(member.args) != wanted:
            self.illegal("illegal domain")
            return None
        *keys, value, domain = member.args
        if keys and not isinstance(keys[0], ast.Var):
            self.illegal("expected key to be a variable")
            return None
        if not isinstance(value, ast.Var):
            self.illegal("expected value to be a variable")
            return None
        if self.kind != "{":
            self.illegal("missing body")
            return None
        self.scan()
        body = self.body("}")
        if body is None:
            return None
        self.scan()
        key = keys[0] if keys else None
        assert key is None or isinstance(key, ast.Var)
        every = ast.Every(key, value, domain, body, location)
        return self.attach_withs(ast.Expr(every, location=location))

    def _hint_every(self, before: State) -> None:
        def is_every() -> bool:
            expression = self._every(self.here())
            return expression is not None

        if self.would_parse(before, is_every):
            self.hint("`import future.keywords.every` for `every x in xs { ... }` expressions")

    def _hint_some_in(self, before: State) -> None:
        def is_member() -> bool:
            self.scan()
            term = self.infix()
            return isinstance(term, ast.Call) and _member_name(term) in _MEMBERS

        if self.would_parse(before, is_member):
            self.hint("`import future.keywords.in` for `some x in xs` expressions")

    def _hint_missing_operator(self) -> None:
        """Hint at the import that would make a word an operator."""
        if self.hinted:
            return
        word = "in"
        if self.kind == k.IDENT:
            word = self.text
        elif self.kind == ",":

            def is_member() -> bool:
                self.scan()
                term = self.infix()
                return isinstance(term, ast.Call) and _member_name(term) in _MEMBERS

            if not self.would_parse(self.save(), is_member):
                return
        else:
            return
        if word in _EXAMPLES:
            self.hint(f"`import future.keywords.{word}` for `{_EXAMPLES[word]}` expressions")

    def operand_led(self) -> tuple[bool, ast.Expr | None]:
        """Read an expression that begins with `{ body } and` or a group in parentheses.

        Returns:
            Whether it is one, and the expression unless a problem was found.
        """
        raise NotImplementedError

    def negated_body(self, location: Location) -> ast.Expr | None:
        """Read the rest of `not { body }`, operators after it included."""
        raise NotImplementedError

    def negated_group(self, location: Location) -> tuple[bool, ast.Expr | None]:
        """Read the rest of `not (a or b)`; answers as `operand_led` does."""
        raise NotImplementedError

    def operation_after(
        self, left: ast.Expr, with_location: Location | None, *, negated: bool
    ) -> ast.Expr | None:
        """Read the rest of `left and …` or `left or …`."""
        raise NotImplementedError


def _member_name(call: ast.Call) -> str:
    match call.operator:
        case ast.Ref(head=ast.Var(name="internal"), path=(ast.Scalar(value=str(name)),)):
            return name
        case _:
            return ""
