"""Split Rego text into tokens, each with its row and column.

Pure. Follows OPA v1.22 v1/ast/internal/scanner/scanner.go: which characters make which token, what
is illegal and its message; rows and columns count characters from 1. Keywords are Rego v1's; after
a dot every keyword is a name, which only the reader of the tokens can tell.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from msgspec import Struct

from policy_agent.codec import decode_json
from policy_agent.errors import Location, PolicyError, PolicyProblem

KEYWORDS = frozenset(
    {
        *("as", "contains", "default", "else", "every", "false", "if", "import", "in", "not"),
        *("null", "package", "some", "true", "with"),
    }
)


class TokenKind(Enum):
    """What a token is; brackets and punctuation are operators."""

    IDENT = auto()
    KEYWORD = auto()
    NUMBER = auto()
    STRING = auto()
    RAW_STRING = auto()
    TEMPLATE_PART = auto()
    TEMPLATE_END = auto()
    OPERATOR = auto()
    COMMENT = auto()


class Token(Struct, frozen=True):
    """One token; between two tokens there is only blank space.

    A template string is a TEMPLATE_PART up to and including each `{`, the tokens of the
    expression, and a TEMPLATE_END from the last `}` (or the opening `$`) to the closing quote.

    Attributes:
        text: the characters as written, quotes included.
        start: index of its first character in the source.
    """

    kind: TokenKind
    text: str
    row: int
    col: int
    start: int

    @property
    def end(self) -> int:
        """Return the index after the last character."""
        return self.start + len(self.text)

    @property
    def end_row(self) -> int:
        """Return the row of the last character."""
        return self.row + self.text.count("\n")


_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<ident>[A-Za-z_][A-Za-z_\d]*)
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z_.0-9]))
    | (?P<opener>\$?["`])
    | (?P<comment>\#[^\n\0\ufeff]*)
    | (?P<operator>:=|==|!=|<=|>=|[\[\]{}(),:+\-*/%&|=<>;.])
    """,
    re.VERBOSE,
)
_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})'
# What may stand inside quotes, by opener; what follows must be the closing quote or a brace.
_TEXT = {
    '"': re.compile(rf'(?:[^"\\\n\0\ufeff]|{_ESCAPE})*+'),
    "`": re.compile(r"[^`\0\ufeff]*+"),
    '$"': re.compile(rf'(?:[^"\\{{\n\0\ufeff]|\\{{|{_ESCAPE})*+'),
    "$`": re.compile(r"(?:\\\{|[^`{\0\ufeff])*+"),
}
_CLOSED = {
    '"': TokenKind.STRING,
    "`": TokenKind.RAW_STRING,
    '$"': TokenKind.TEMPLATE_END,
    "$`": TokenKind.TEMPLATE_END,
}
_LEADING_ZERO = re.compile(r"0[0-9]")
_NUMBER_START = re.compile(r"[0-9]+(?P<fraction>\.[0-9]*)?(?P<exponent>[eE][+-]?[0-9]*)?")
_CONTROL = re.compile(r"[\0-\x1f]")
_ILLEGAL = {
    "!": "illegal ! character",
    "$": "illegal $ character",
    "\0": "illegal null character",
    "\ufeff": "illegal byte-order mark",
    "\xa0": "illegal non-breaking space character, use a regular space instead",
}


def tokenize(file: str, source: str) -> list[Token]:
    """Return the tokens of one module or query in order, comments included.

    Args:
        file: the name that problems are reported under.

    Raises:
        PolicyError: some text is no token; the first such place, with OPA's message.
    """
    return _Lexer(file, source).run()


def string_value(token: Token) -> str:
    """Return the characters that a STRING or RAW_STRING token stands for."""
    if token.kind is TokenKind.RAW_STRING:
        return token.text[1:-1]
    # OPA takes bare control characters inside quotes, JSON does not.
    escaped = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", token.text)
    value: str = decode_json(escaped.encode())
    return value


class _Lexer:
    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._source = source
        self._at = 1 if source.startswith("\ufeff") else 0
        self._row = 1
        self._line_start = 0
        self._tokens: list[Token] = []
        # One entry per open template string: its opener, and the braces open in its expression.
        self._templates: list[tuple[str, int]] = []

    def run(self) -> list[Token]:
        while self._at < len(self._source):
            match = _TOKEN.match(self._source, self._at)
            if match is None:
                raise self._problem(self._what_is_illegal())
            text = match[0]
            match match.lastgroup:
                case "space":
                    self._advance(text)
                case "ident":
                    self._emit(TokenKind.KEYWORD if text in KEYWORDS else TokenKind.IDENT, text)
                case "number":
                    self._read_number(text)
                case "comment":
                    self._emit(TokenKind.COMMENT, text.removesuffix("\r"))
                case "opener":
                    self._read_text(text, delimiter=text)
                case _:
                    self._read_operator(text)
        if self._templates:
            raise self._problem("expected } to end template string expression")
        return self._tokens

    def _emit(self, kind: TokenKind, text: str) -> None:
        col = self._at - self._line_start + 1
        self._tokens.append(Token(kind, text, self._row, col, self._at))
        self._advance(text)

    def _advance(self, text: str) -> None:
        newlines = text.count("\n")
        if newlines:
            self._row += newlines
            self._line_start = self._at + text.rindex("\n") + 1
        self._at += len(text)

    def _read_number(self, text: str) -> None:
        if _LEADING_ZERO.match(text):
            raise self._problem("unexpected number token: expected number without leading zero")
        self._emit(TokenKind.NUMBER, text)

    def _read_operator(self, text: str) -> None:
        if self._templates and text in "{}":
            opener, braces = self._templates.pop()
            if text == "}" and braces == 0:
                self._read_text(opener, delimiter=text)
                return
            self._templates.append((opener, braces + (1 if text == "{" else -1)))
        self._emit(TokenKind.OPERATOR, text)

    def _read_text(self, opener: str, *, delimiter: str) -> None:
        start = self._at + len(delimiter)
        match = _TEXT[opener].match(self._source, start)
        stop = match.end() if match else start
        stopper = self._source[stop : stop + 1]
        text = self._source[self._at : stop + 1]
        if stopper == opener[-1]:
            self._emit(_CLOSED[opener], text)
        elif stopper == "{" and opener[0] == "$":
            self._templates.append((opener, 0))
            self._emit(TokenKind.TEMPLATE_PART, text)
        elif stopper == "\\":
            unicode = self._source.startswith("\\u", stop)
            raise self._problem("illegal string literal" if unicode else "illegal escape sequence")
        else:
            raise self._problem(_ILLEGAL.get(stopper, "non-terminated string"))

    def _what_is_illegal(self) -> str:
        number = _NUMBER_START.match(self._source, self._at)
        if number is None:
            return _ILLEGAL.get(self._source[self._at], "illegal token")
        if number["fraction"] == ".":
            return "expected fraction"
        if number["exponent"] and not number["exponent"][-1].isdigit():
            return "expected exponent"
        return "illegal number format"

    def _problem(self, message: str) -> PolicyError:
        location = Location(self._file, self._row, self._at - self._line_start + 1)
        return PolicyError([PolicyProblem("rego_parse_error", message, location)])
