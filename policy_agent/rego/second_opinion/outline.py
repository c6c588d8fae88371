"""Read from tokens what a module is made of: package, imports, rule heads and calls.

Pure. Expressions are not parsed. Problems and their messages are those of OPA v1.22
v1/ast/parser.go for modules of Rego v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.rego.lexer import TokenKind
from policy_agent.rego.second_opinion.syntax import Reference, Syntax, parse_problem

# A call beside one of these is a term; elsewhere it can be a statement with an output argument.
_INFIX = {":=", "=", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&", "in"}
_TERM_BEFORE = _INFIX | {",", "(", "[", ":", "as", "contains"}
# They bring the operators `and` and `or`, which regopy lacks and `Syntax` would take for rules.
_UNREADABLE_IMPORTS = {
    ("rego", "v2"),
    ("future", "keywords", "and"),
    ("future", "keywords", "or"),
}

Imports = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RuleHead:
    """One rule as its head names it.

    Attributes:
        path: the package and the constant part of the name.
        arity: how many arguments a function takes, None for a rule that is none.
    """

    path: tuple[str, ...]
    arity: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a function.

    Attributes:
        name: its reference after imports are resolved; None when a part of it is computed.
        text: the same as OPA prints it.
        is_term: the call's value is used, so it cannot have an output argument.
    """

    name: tuple[str, ...] | None
    text: str
    argument_count: int
    is_term: bool
    location: Location


@dataclass(frozen=True, slots=True)
class Outline:
    """What one module, or one query, is made of."""

    package: tuple[str, ...]
    rules: tuple[RuleHead, ...]
    calls: tuple[Call, ...]
    problems: tuple[PolicyProblem, ...]


def outline_module(file: str, source: str) -> Outline:
    """Return the outline of a Rego v1 module.

    Raises:
        PolicyError: a token, a bracket or an import is such that what follows cannot be read.
    """
    return _Reader(file, source).module()


def outline_query(source: str) -> Outline:
    """Return the outline of a query, which has calls only.

    Raises:
        PolicyError: as for a module.
    """
    reader = _Reader("", source)
    return Outline((), (), reader.calls({}), ())


class _Reader:
    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._source = source
        self._syntax = Syntax(file, source)
        self._problems: list[PolicyProblem] = []
        self._head_parentheses: set[int] = set()

    def module(self) -> Outline:
        syntax = self._syntax
        if not syntax.tokens:
            raise PolicyError([parse_problem("empty module", Location(self._file, 1))])
        if syntax.text(0) != "package":
            self._report("package expected", 0)
        package: tuple[str, ...] = ()
        imports: dict[str, tuple[str, ...]] = {}
        rules: list[RuleHead] = []
        starts = syntax.statement_starts()
        for start, end in zip(starts, [*starts[1:], len(syntax.tokens)], strict=True):
            match syntax.text(start):
                case "package" if start == 0:
                    package = syntax.reference(1).constant_prefix
                case "package":
                    self._report("unexpected package", start)
                case "import":
                    self._read_import(start, imports)
                case _:
                    rules.append(self._read_rule(start, end, package))
            self._check_semicolons(start, end)
        return Outline(package, tuple(rules), self.calls(imports), tuple(self._problems))

    def calls(self, imports: Imports) -> tuple[Call, ...]:
        syntax = self._syntax
        found: list[Call] = []
        for index, token in enumerate(syntax.tokens):
            if token.kind is not TokenKind.IDENT or syntax.is_after_dot(index):
                continue
            reference = syntax.reference(index)
            opener = reference.end
            if syntax.text(opener) != "(" or opener in self._head_parentheses:
                continue
            # regopy takes `f (x)` for a call too; on a new row it is another expression.
            if syntax.tokens[opener].row == syntax.tokens[opener - 1].end_row:
                found.append(self._call(index, reference, imports))
        return tuple(found)

    def _call(self, index: int, reference: Reference, imports: Imports) -> Call:
        syntax = self._syntax
        first = syntax.tokens[index]
        prefix = imports.get(first.text, (first.text,))
        rest = self._source[first.end : syntax.tokens[reference.end - 1].end]
        name = (*prefix, *reference.constant_prefix[1:])
        after = syntax.close_of[reference.end] + 1
        return Call(
            name=None if None in reference.terms else name,
            text=".".join(prefix) + rest,
            argument_count=syntax.count_arguments(reference.end),
            is_term=syntax.text(index - 1) in _TERM_BEFORE or syntax.text(after) in _INFIX,
            location=syntax.location(index),
        )

    def _read_import(self, start: int, imports: dict[str, tuple[str, ...]]) -> None:
        syntax = self._syntax
        reference = syntax.reference(start + 1)
        path = reference.constant_prefix
        if path in _UNREADABLE_IMPORTS:
            message = f"{'.'.join(path)} is not supported"
            raise PolicyError([parse_problem(message, syntax.location(start + 1))])
        has_alias = syntax.text(reference.end) == "as"
        imports[syntax.text(reference.end + 1) if has_alias else path[-1]] = path

    def _read_rule(self, start: int, end: int, package: tuple[str, ...]) -> RuleHead:
        syntax = self._syntax
        is_default = syntax.text(start) == "default"
        reference = syntax.reference(start + 1 if is_default else start)
        after = reference.end
        arity = None
        if syntax.text(after) == "(":
            arity = syntax.count_arguments(after)
            self._head_parentheses.add(after)
            after = syntax.close_of[after] + 1
        if not is_default:
            kind = "rule" if arity is None else "function"
            self._check_bodies(start, after, end, kind)
            if arity is None:
                self._check_head(start, len(reference.terms), after, end)
        return RuleHead((*package, *reference.constant_prefix), arity)

    def _check_head(self, start: int, term_count: int, after: int, end: int) -> None:
        is_bare = after >= end
        if not is_bare and self._syntax.text(after) != "{":
            return
        if term_count == 2:
            self._report("`contains` keyword is required for partial set rules", start)
        elif is_bare and term_count == 1:
            self._report("var cannot be used for rule name", start)
        elif is_bare:
            self._report("rule must have value assignment and/or body declaration", start)

    def _check_bodies(self, start: int, after: int, end: int, kind: str) -> None:
        """Report every body without `if`: a brace that follows a finished value.

        Allowed there are the body of `every` and, directly after an `if` body, a further one.
        """
        syntax = self._syntax
        blamed = start
        every_is_open = False
        previous_is_body = False
        for index, token in syntax.outside_brackets(after, end):
            before = syntax.text(index - 1)
            if token.text == "{":
                is_body = before == "if" or (previous_is_body and before == "}")
                if not is_body and (before == "else" or syntax.ends_value(index - 1)):
                    if not every_is_open:
                        self._report(f"`if` keyword is required before {kind} body", blamed)
                        return
                    every_is_open = False
                previous_is_body = is_body
            elif token.kind is TokenKind.KEYWORD and not syntax.is_after_dot(index):
                if token.text == "else":
                    blamed = index
                every_is_open = every_is_open or token.text == "every"

    def _check_semicolons(self, start: int, end: int) -> None:
        for index, token in self._syntax.outside_brackets(start, end):
            if token.text == ";":
                self._report("unexpected ; token", index)

    def _report(self, message: str, index: int) -> None:
        self._problems.append(parse_problem(message, self._syntax.location(index)))
