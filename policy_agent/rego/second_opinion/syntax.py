"""Find brackets, references and the borders of statements in tokens, without a grammar.

Pure. A statement begins where a name follows a finished value, which holds with and without line
breaks, as in OPA v1.22 v1/ast/parser.go.
"""

from __future__ import annotations

from dataclasses import dataclass

from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.rego.lexer import Token, TokenKind, string_value, tokenize

_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_STATEMENT_KEYWORDS = {"package", "import", "default"}
_VALUE_KINDS = {
    TokenKind.IDENT,
    TokenKind.NUMBER,
    TokenKind.STRING,
    TokenKind.RAW_STRING,
    TokenKind.TEMPLATE_END,
}
_VALUE_TEXTS = {")", "]", "}", "true", "false", "null"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference such as `a.b["c"][x]`.

    Attributes:
        terms: its parts, None for a computed one.
        end: index of the token after it.
    """

    terms: tuple[str | None, ...]
    end: int

    @property
    def constant_prefix(self) -> tuple[str, ...]:
        """Return the terms before the first computed one."""
        constants: list[str] = []
        for term in self.terms:
            if term is None:
                break
            constants.append(term)
        return tuple(constants)


class Syntax:
    """The tokens of one text, comments left out; every index is one into `tokens`."""

    def __init__(self, file: str, source: str) -> None:
        """Read a text.

        Raises:
            PolicyError: a token is illegal, or a bracket has no counterpart.
        """
        self._file = file
        self.tokens = [t for t in tokenize(file, source) if t.kind is not TokenKind.COMMENT]
        self.close_of = self._match_brackets()

    def text(self, index: int) -> str:
        """Return a token's text, "" beyond the first and the last."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def location(self, index: int) -> Location:
        """Return where a token stands."""
        token = self.tokens[index]
        return Location(self._file, token.row, token.col)

    def outside_brackets(self, start: int, end: int) -> list[tuple[int, Token]]:
        """Return the tokens from `start` to before `end` but for what stands inside brackets.

        Of a pair of brackets only the opening one is returned.
        """
        found: list[tuple[int, Token]] = []
        index = start
        while index < end:
            found.append((index, self.tokens[index]))
            index = self.close_of.get(index, index) + 1
        return found

    def statement_starts(self) -> list[int]:
        """Return the indexes at which the statements of a module begin."""
        return [
            index
            for index, token in self.outside_brackets(0, len(self.tokens))
            if index == 0 or (not self.is_after_dot(index) and self._starts_statement(index, token))
        ]

    def expressions(self) -> list[list[Token]]:
        """Return the tokens of each expression of a query."""
        found: list[list[Token]] = [[]]
        for index, token in self.outside_brackets(0, len(self.tokens)):
            if token.text == ";":
                found.append([])
                continue
            continues = token.kind is TokenKind.OPERATOR or token.text in {"with", "in", "as"}
            on_new_row = index > 0 and self.tokens[index - 1].end_row < token.row
            if on_new_row and not continues and self.ends_value(index - 1):
                found.append([])
            found[-1].extend(self.tokens[index : self.close_of.get(index, index) + 1])
        return [expression for expression in found if expression]

    def reference(self, index: int) -> Reference:
        """Read the reference that begins at an index; its parts must touch, as in OPA."""
        terms: list[str | None] = [self.text(index)]
        at = index + 1
        while self._touches(at):
            text = self.text(at)
            if text == "." and self._touches(at + 1):
                terms.append(self.text(at + 1))
                at += 2
            elif text == "[":
                terms.append(self._constant_inside(at))
                at = self.close_of[at] + 1
            else:
                break
        return Reference(tuple(terms), at)

    def count_arguments(self, opener: int) -> int:
        """Return how many arguments stand between a parenthesis and its counterpart."""
        close = self.close_of[opener]
        if close == opener + 1:
            return 0
        inside = self.outside_brackets(opener + 1, close)
        return 1 + sum(token.text == "," for _, token in inside)

    def ends_value(self, index: int) -> bool:
        """Return whether a value can end with this token."""
        token = self.tokens[index]
        if token.kind in _VALUE_KINDS or token.text in _VALUE_TEXTS:
            return True
        return token.kind is TokenKind.KEYWORD and self.is_after_dot(index)

    def is_after_dot(self, index: int) -> bool:
        """Return whether this token continues a reference, where keywords are names."""
        return self.text(index - 1) == "."

    def _starts_statement(self, index: int, token: Token) -> bool:
        if token.kind is TokenKind.KEYWORD:
            return token.text in _STATEMENT_KEYWORDS
        return token.kind is TokenKind.IDENT and self.ends_value(index - 1)

    def _touches(self, index: int) -> bool:
        is_token = 0 < index < len(self.tokens)
        return is_token and self.tokens[index - 1].end == self.tokens[index].start

    def _constant_inside(self, opener: int) -> str | None:
        inside = self.tokens[opener + 1]
        is_text = inside.kind in {TokenKind.STRING, TokenKind.RAW_STRING}
        return string_value(inside) if is_text and self.close_of[opener] == opener + 2 else None

    def _match_brackets(self) -> dict[int, int]:
        closes: dict[int, int] = {}
        openers: list[int] = []
        for index, token in enumerate(self.tokens):
            is_closing, is_opening = _bracket_roles(token)
            if is_closing:
                # A template string, which opens with its first part, closes with a brace.
                wanted = _CLOSERS.get(self.text(openers[-1]), "}") if openers else ""
                if token.text[0] != wanted:
                    message = f"unexpected {token.text[0]} token"
                    raise PolicyError([parse_problem(message, self.location(index))])
                closes[openers.pop()] = index
            if is_opening:
                openers.append(index)
        if openers:
            last = self.tokens[-1]
            where = Location(self._file, last.end_row, last.col)
            raise PolicyError([parse_problem("unexpected eof token", where)])
        return closes


def parse_problem(message: str, location: Location) -> PolicyProblem:
    """Return one parse error in OPA's form."""
    return PolicyProblem("rego_parse_error", message, location)


def _bracket_roles(token: Token) -> tuple[bool, bool]:
    """Return whether the token closes a bracket and whether it opens one."""
    match token.kind:
        case TokenKind.TEMPLATE_PART:
            return False, token.text.startswith("$")
        case TokenKind.TEMPLATE_END:
            return token.text.startswith("}"), False
        case TokenKind.OPERATOR:
            return token.text in _CLOSERS.values(), token.text in _CLOSERS
        case _:
            return False, False
