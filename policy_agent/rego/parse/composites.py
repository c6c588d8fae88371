"""Arrays, sets, objects, comprehensions and template strings.

Pure. Follows OPA v1.22 v1/ast/parser.go: `|` after the first term makes a comprehension where one
can be read.
"""

from __future__ import annotations

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.cursor import State
from policy_agent.rego.parse.terms import TermParser, unescape

_Pairs = list[tuple[ast.Term, ast.Term]]


class CompositeParser(TermParser):
    """Reads the terms that contain others."""

    def array(self) -> ast.Term | None:
        """Read what begins with `[`; its `]` stays at hand."""
        location = self.here()
        self.scan()
        if self.kind == "]":
            return ast.ArrayTerm((), location)
        may_be_comprehension = self._skip_comma()
        start = self.save()
        head = self.tried()
        if head is None:
            return None
        if self.kind == "|" and may_be_comprehension:
            self.scan()
            body = self.body("]")
            if body is not None:
                return ast.ArrayComprehension(head, body, location)
            if self.kind != ",":
                return None
        elif self.kind in ("]", ","):
            items = self._list_after(head, "]")
            return None if items is None else ast.ArrayTerm(tuple(items), location)
        self.restore(start)
        items = self.list_until("]", [])
        return None if items is None else ast.ArrayTerm(tuple(items), location)

    def _skip_comma(self) -> bool:
        """Step over the comma that OPA allows behind an opening bracket; return whether none is."""
        if self.kind != ",":
            return True
        self.scan()
        return False

    def _list_after(self, first: ast.Term, end: str) -> list[ast.Term] | None:
        if self.kind == ",":
            self.scan()
        return self.list_until(end, [first])

    def set_or_object(self) -> ast.Term | None:
        """Read what begins with `{`; its `}` stays at hand."""
        location = self.here()
        self.scan()
        if self.kind == "}":
            return ast.ObjectTerm((), location)
        may_be_comprehension = self._skip_comma()
        start = self.save()
        head = self.tried()
        if head is None:
            return None
        if self.kind in ("}", ","):
            return self._set(head, location)
        if self.kind == "|" and may_be_comprehension:
            return self._set_comprehension(start, head, location)
        if self.kind == ":":
            return self._object(head, location, may_be_comprehension=may_be_comprehension)
        self.restore(start)
        head = self.infix_in_list()
        if head is None:
            return None
        if self.kind in ("}", ","):
            return self._set(head, location)
        if self.kind == ":":
            return self._object(head, location, may_be_comprehension=may_be_comprehension)
        self.illegal("non-terminated set")
        return None

    def _set(self, head: ast.Term, location: Location) -> ast.SetTerm | None:
        items = self._list_after(head, "}")
        return None if items is None else ast.SetTerm(tuple(items), location)

    def _set_comprehension(
        self, start: State, head: ast.Term, location: Location
    ) -> ast.SetComprehension | ast.SetTerm | None:
        self.scan()
        body = self.body("}")
        if body is not None:
            return ast.SetComprehension(head, body, location)
        if self.kind != ",":
            return None
        self.restore(start)
        items = self.list_until("}", [])
        return None if items is None else ast.SetTerm(tuple(items), location)

    def _object(
        self, key: ast.Term, location: Location, *, may_be_comprehension: bool
    ) -> ast.ObjectTerm | ast.ObjectComprehension | None:
        self.scan()
        start = self.save()
        value = self.tried()
        if value is None:
            return None
        if may_be_comprehension:
            if self.kind in ("}", ","):
                return self._pairs_after(key, value, location)
            if self.kind == "|":
                self.scan()
                body = self.body("}")
                if body is not None:
                    return ast.ObjectComprehension(key, value, body, location)
        self.restore(start)
        value = self.infix_in_list()
        if value is None:
            return None
        if self.kind in ("}", ","):
            return self._pairs_after(key, value, location)
        self.illegal("non-terminated object")
        return None

    def _pairs_after(
        self, key: ast.Term, value: ast.Term, location: Location
    ) -> ast.ObjectTerm | None:
        pairs: _Pairs = [(key, value)]
        while self.kind == ",":
            self.scan()
            if self.kind == "}":
                break
            pair = self._pair()
            if pair is None:
                return None
            pairs.append(pair)
        return ast.ObjectTerm(tuple(pairs), location)

    def _pair(self) -> tuple[ast.Term, ast.Term] | None:
        key = self.infix_in_list()
        if key is None:
            return None
        if self.kind != ":":
            self.illegal('expected ":"')
            return None
        self.scan()
        value = self.infix_in_list()
        if value is None:
            return None
        if self.kind not in ("}", ","):
            self.illegal('expected "," or "}"')
            return None
        return key, value

    def template(self) -> ast.TemplateString | None:
        """Read a template string."""
        location = self.here()
        if self.v0:
            self.error(location, "template strings are not supported by current capabilities")
            return None
        multi_line = self.kind in (k.RAW_TEMPLATE_PART, k.RAW_TEMPLATE_END)
        parts: list[ast.Scalar | ast.Expr] = []
        while True:
            if not self._template_text(parts, multi_line=multi_line):
                return None
            if self.kind in (k.TEMPLATE_END, k.RAW_TEMPLATE_END):
                return ast.TemplateString(tuple(parts), multi_line, location)
            end = self.tokens.ends[self.index]
            self.scan()
            commented = "#" in self.source[end : self.start]
            expression = self.literal()
            if expression is None:
                self.error(self.here(), "invalid template-string expression")
                return None
            refused = _refused_in_template(expression)
            if refused:
                self.error(
                    expression.location, f"unexpected {refused} in template-string expression"
                )
                return None
            statement = expression.statement
            if isinstance(statement, ast.Scalar) and not commented:
                parts.append(statement)
            else:
                parts.append(expression)
            if self.kind != "}":
                self.error(self.here(), "expected } to end template string expression")
                return None
            self.scan()

    def _template_text(self, parts: list[ast.Scalar | ast.Expr], *, multi_line: bool) -> bool:
        if self.kind not in k.TEMPLATES:
            self.error(self.here(), "expected template-string part")
            return False
        text: str | None = self.text
        if text and "\\" in text and not multi_line:
            text = unescape(f'"{text}"')
            if text is None:
                self.error(self.here(), f"illegal template-string part: {self.text}")
                return False
        if text:
            parts.append(ast.Scalar(text, self.here()))
        return True

    def body(self, end: str) -> ast.Body | None:
        """Read expressions up to `end`, which stays at hand."""
        raise NotImplementedError

    def literal(self) -> ast.Expr | None:
        """Read one expression."""
        raise NotImplementedError


def _refused_in_template(expression: ast.Expr) -> str:
    """Return what an expression is that a template string may not hold; "" where it may."""
    if expression.negated:
        return "negation ('not')"
    match expression.statement:
        case ast.Every():
            return "'every'"
        case ast.SomeDecl():
            return "'some'"
        case ast.Call(operator=ast.Ref(head=ast.Var(name="eq"), path=())):
            return "unification ('=')"
        case ast.Call(operator=ast.Ref(head=ast.Var(name="assign"), path=())):
            return "assignment (':=')"
        case _:
            return ""
