"""Terms: scalars, variables, references, calls and infix operators.

Pure. Follows OPA v1.22 v1/ast/parser.go: precedence, what may follow what, the wording of problems.
A method returns None where no term could be read; the problem is recorded by then.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

from policy_agent.codec import decode_json
from policy_agent.errors import DocumentError, Location
from policy_agent.number import Number, is_too_big
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.cursor import Cursor, State
from policy_agent.rego.parse.names import kind_of

_IN, _RELATION = 0, 1
_PRECEDENCE: Final = {
    "in": _IN,
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), _RELATION),
    "|": 2,
    "&": 3,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
}
_TIGHTEST: Final = 5
_CONSTANTS: Final = {"null": None, "true": True, "false": False}
_CONTROL = re.compile(r"[\0-\x1f]")
_MAX_EXPONENT: Final = 2**31 - 1  # of Go's big.Float
_MAX_INTEGER_DIGITS: Final = 4000  # Python reads no longer text as an int

ROOT_DOCUMENTS: Final = frozenset({"input", "data"})


class TermParser(Cursor):
    """Reads terms; what they may contain is read by the classes derived from this one.

    Attributes:
        trials: how many parts being read may have to be read again; 0 where none is.
    """

    def __init__(self, file: str, source: str, *, v0: bool) -> None:
        # Terms read on trial, by place and the problems before: what they are, where they end.
        self._tried: dict[tuple[int, str, int], tuple[ast.Term | None, State]] = {}
        self.trials = 0
        # Where a term has just been refused; the same is not reported twice.
        self._failed = (-1, "", 0)
        super().__init__(file, source, v0=v0)

    def infix(self) -> ast.Term | None:
        """Read a term with operators, `k, v in xs` included."""
        return self._infix(_IN, pairs=True)

    def infix_in_list(self) -> ast.Term | None:
        """Read a term with operators where a comma ends it."""
        return self._infix(_IN, pairs=False)

    def _infix(self, lowest: int, *, pairs: bool) -> ast.Term | None:
        left = self.term()
        if left is None:
            return None
        tightest = _TIGHTEST
        while True:
            kind = self.kind
            if pairs and kind == "," and lowest == _IN and tightest > _IN:
                member = self._member_of_pair(left)
                if member is None:
                    return left
                left, tightest = member, _IN
                continue
            level = _PRECEDENCE.get(kind)
            if level is None or not lowest <= level <= tightest:
                if lowest == _IN and kind in k.V1_KEYWORDS:
                    self.read_keyword_of_reference()
                return left
            if level == _IN and self.read_keyword_of_reference():
                return left
            operator = self._member_operator("member_2") if level == _IN else self._operator()
            right = self.term() if level == _TIGHTEST else self._infix(level + 1, pairs=False)
            if right is None:
                # OPA goes on with what it has, on the levels above.
                tightest = level - 1
                continue
            left = ast.Call(operator, (left, right), left.location)
            tightest = level

    def _member_of_pair(self, key: ast.Term) -> ast.Term | None:
        """Read the rest of `key, value in collection`; go back where it is none."""
        before = self.save()
        self.scan()
        value = self._infix(_RELATION, pairs=False)
        if value is not None and self.kind == "in":
            operator = self._member_operator("member_3")
            collection = self._infix(_RELATION, pairs=False)
            if collection is not None:
                return ast.Call(operator, (key, value, collection), key.location)
        self.restore(before)
        self.read_keyword_of_reference()
        return None

    def _operator(self) -> ast.Ref:
        location = self.here()
        name = k.OPERATOR_NAMES[self.kind]
        self.scan()
        return ast.Ref(ast.Var(name, location), (), location)

    def _member_operator(self, name: str) -> ast.Ref:
        location = self.here()
        self.scan()
        return ast.Ref(ast.Var("internal", location), (ast.Scalar(name, location),), location)

    def term(self) -> ast.Term | None:
        """Read one term without operators."""
        place = (self.index, self.kind, len(self.problems))
        if self._tried and place in self._tried:
            term, after = self._tried[place]
            self.restore(after)
            return term
        if self._failed == place or not self.enter():
            return None
        if self.kind in k.V1_FUTURE_KEYWORDS and self.kind != "not" and self.followed_by("("):
            self.kind = k.IDENT
        term = self._term_at(self.kind)
        self.leave()
        if term is None:
            self._failed = self.index, self.kind, len(self.problems)
        if self.trials:
            self._tried[place] = term, self.save()
        return term

    def tried(self) -> ast.Term | None:
        """Read one term that may have to be read again; what is inside is not read twice."""
        self.trials += 1
        term = self.term()
        self.trials -= 1
        return term

    def forget_trials(self) -> None:
        """Drop what is kept of terms read on trial."""
        self._tried.clear()

    def would_parse(self, place: State, read: Callable[[], bool]) -> bool:
        """Return whether `read` succeeds at a place with all future keywords; nothing changes."""
        now, keywords, tried = self.save(), self.keywords, self._tried
        self.restore(place)
        self.keywords = keywords | k.FUTURE_KEYWORDS
        self._tried = {}
        result = read()
        self.keywords, self._tried = keywords, tried
        self.restore(now)
        return result

    def _term_at(self, kind: str) -> ast.Term | None:
        term: ast.Term | None
        if kind in (k.IDENT, "contains"):
            return self._finish(self.variable())
        if kind == k.STRING:
            term = self._string()
        elif kind in (k.NUMBER, "."):
            term = self._number()
        elif kind in _CONSTANTS:
            term = ast.Scalar(_CONSTANTS[kind], self.here())
        elif kind == "[":
            term = self.array()
        elif kind == "{":
            term = self.set_or_object()
        elif kind == "(":
            term = self._in_parentheses()
        elif kind == "-":
            return self._minus()
        elif kind in k.TEMPLATES:
            term = self.template()
        else:
            self.illegal()
            return None
        return None if term is None else self._finish(term)

    def _in_parentheses(self) -> ast.Term | None:
        self.scan()
        term = self.infix()
        if term is not None and self.kind != ")":
            self.error(self.here(), "non-terminated expression")
            return None
        return term

    def _minus(self) -> ast.Term | None:
        location = self.here()
        before = self.save()
        self.scan()
        if self.kind in (k.IDENT, "contains"):
            operand = self._finish(self.variable())
            if operand is None:
                return None
            operator = ast.Ref(ast.Var("minus", location), (), location)
            return ast.Call(operator, (ast.Scalar(0, location), operand), location)
        self.restore(before)
        number = self._number()
        return None if number is None else self._finish(number)

    def variable(self) -> ast.Var:
        """Return the variable that the token at hand is."""
        name = self._texts[self.index]
        return ast.Var(self.fresh_wildcard() if name == "_" else name, self.here())

    def _finish(self, head: ast.Term) -> ast.Term | None:
        """Read what follows the head of a reference or call, if anything does."""
        self.scan_space()
        if self.kind in ("(", ".", "["):
            return self.reference(head)
        self.skip_space()
        return as_root_document(head)

    def reference(self, head: ast.Term) -> ast.Term | None:
        """Read `.name`, `[term]` and `(arguments)` after a head, as often as they come."""
        if not self.enter():
            return None
        term = self._reference_parts(head)
        self.leave()
        return term

    def _reference_parts(self, head: ast.Term) -> ast.Term | None:
        location = head.location
        if isinstance(head, ast.Scalar | ast.Ref | ast.TemplateString):
            self.error(location, f"illegal ref (head cannot be {kind_of(head)})")
        path: list[ast.Term] = []
        while True:
            kind = self.kind
            if kind in (".", "["):
                part = self._name_part() if kind == "." else self._bracket_part()
                if part is None:
                    return None
                path.append(part)
                self.scan_space()
            elif kind == "(":
                call = self._call(ast.Ref(head, tuple(path), location))
                if call is None:
                    return None
                if self.kind not in (".", "["):
                    self.skip_space()
                    return call
                head, path = call, []
            else:
                self.skip_space()
                return ast.Ref(head, tuple(path), location)

    def _name_part(self) -> ast.Scalar | None:
        self.scan_space()
        if self.kind != k.IDENT and not self.may_be_name(self.kind):
            self.illegal("expected identifier")
            return None
        return ast.Scalar(self._texts[self.index], self.here())

    def _bracket_part(self) -> ast.Term | None:
        self.scan()
        part = self.infix()
        if part is not None and self.kind != "]":
            self.illegal("expected [")
            return None
        return part

    def _call(self, operator: ast.Ref) -> ast.Call | ast.SetTerm | None:
        self.scan()
        arguments = self.list_until(")", [])
        if arguments is None:
            return None
        self.scan_space()
        if not arguments and operator == _SET_CONSTRUCTOR:
            return ast.SetTerm((), operator.location)
        return ast.Call(operator, tuple(arguments), operator.location)

    def list_until(self, end: str, terms: list[ast.Term]) -> list[ast.Term] | None:
        """Read terms between commas into `terms` up to `end`, which stays at hand."""
        while self.kind != end:
            term = self.infix_in_list()
            if term is None:
                return None
            terms.append(term)
            if self.kind == ",":
                self.scan()
            elif self.kind != end:
                self.illegal(f'expected "," or "{end}"')
                return None
        return terms

    def _string(self) -> ast.Scalar | None:
        text = self._texts[self.index]
        if text[0] == "`" or "\\" not in text:
            return ast.Scalar(text[1:-1], self.here())
        value = unescape(text)
        if value is None:
            self.error(self.here(), f"illegal string literal: {text}")
            return None
        return ast.Scalar(value, self.here())

    def _number(self) -> ast.Scalar | None:
        location = self.here()
        prefix = ""
        if self.kind == "-":
            prefix = "-"
            self.scan()
            if self.kind not in (k.NUMBER, "."):
                self.illegal("expected number")
                return None
        if self.kind == ".":
            prefix += "."
            self.scan()
            if self.kind != k.NUMBER:
                self.illegal("expected number")
                return None
        text = self._texts[self.index]
        if text[0] == "0" and text[1:2].isdigit() and not prefix.endswith("."):
            self.illegal("expected number without leading zero")
            return None
        return self._checked_number(prefix, text, location)

    def _checked_number(self, prefix: str, text: str, location: Location) -> ast.Scalar | None:
        if not prefix and text.isdigit() and len(text) < 16:
            return ast.Scalar(int(text), location)
        written = prefix + text
        number = _decimal_of(written)
        if number is None:
            self.illegal("invalid float")
            return None
        if is_too_big(number):
            self.error(self.here(), "number too big")
            return None
        if "." in prefix or written == "-0" or len(written) > _MAX_INTEGER_DIGITS:
            return ast.Scalar(Number(written), location)
        return ast.Scalar(decode_json(written.encode()), location)

    def array(self) -> ast.Term | None:
        """Read what begins with `[`."""
        raise NotImplementedError

    def set_or_object(self) -> ast.Term | None:
        """Read what begins with `{`."""
        raise NotImplementedError

    def template(self) -> ast.Term | None:
        """Read a template string."""
        raise NotImplementedError


_SET_CONSTRUCTOR: Final = ast.Ref(ast.Var("set"), ())


def _decimal_of(written: str) -> Decimal | None:
    """Return the value of a number; None where OPA cannot hold it at all."""
    try:
        number = Decimal(written)
    except InvalidOperation:
        return None
    return None if number and abs(number.adjusted()) > _MAX_EXPONENT else number


def as_root_document(term: ast.Term) -> ast.Term:
    """Return `input` and `data` as references, other terms as they are."""
    if isinstance(term, ast.Var) and term.name in ROOT_DOCUMENTS:
        return ast.Ref(term, (), term.location)
    return term


def unescape(quoted: str) -> str | None:
    """Return what a text in double quotes stands for; None where an escape is malformed."""
    # OPA takes bare control characters inside quotes, JSON does not.
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    try:
        value: str = decode_json(escaped.encode("utf-8", "surrogatepass"))
    except DocumentError:
        return None
    return value
