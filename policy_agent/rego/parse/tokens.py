"""Split Rego text into tokens for the parser, keeping what is illegal as tokens of their own.

Pure. Follows OPA v1.22 v1/ast/internal/scanner/scanner.go. Words are not told apart here: which of
them are keywords changes while a module is read.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

from policy_agent.rego.parse import kinds as k

_TOKEN = re.compile(
    r"""
      ([ \t\r\n]+)
    | ([A-Za-z_][A-Za-z_\d]*)
    | (:=|==|!=|<=|>=|[\[\](),:+\-*/%&|=<>;.])
    | ("(?:[^"\\\n\0\ufeff]|\\["\\/bfnrt]|\\u[^\n\0\ufeff]{4})*")
    | ([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?(?:[A-Za-z_][A-Za-z_\d]*)?)
    | (\#[^\n\0\ufeff]*)
    | ([{}])
    | (`[^`\0\ufeff]*`)
    | (\$["`])
    """,
    re.VERBOSE,
)
_SPACE, _WORD, _OPERATOR, _STRING, _NUMBER, _COMMENT, _BRACE, _RAW, _TEMPLATE = range(1, 10)
_NUMBER_PARTS = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]*)?")
_TEMPLATE_TEXT = {
    '"': re.compile(r'(?:[^"\\{\n\0\ufeff]|\\["\\/bfnrt{]|\\u[^\n\0\ufeff]{4})*'),
    "`": re.compile(r"(?:\\\{|[^`{\0\ufeff])*"),
}
_UNREADABLE = {"\0": "illegal null character", "\ufeff": "illegal byte-order mark"}
_ILLEGAL = {
    "!": "illegal ! character",
    "$": "illegal $ character",
    "\xa0": "illegal non-breaking space character, use a regular space instead",
}
_ESCAPED = frozenset('\\"/bfnrtu')

NO_GAP, BLANK, NEWLINE = range(3)


class Comment(Struct, frozen=True):
    """One comment, without its `#`.

    Attributes:
        before: index of the token that follows.
    """

    text: str
    row: int
    col: int
    before: int


class Tokens(Struct):
    """The tokens of a text, one list for each of their properties.

    Attributes:
        kinds: see `kinds`; the last is EOF.
        texts: as written, quotes included; of template strings the text inside.
        gaps: what stands before: NO_GAP, BLANK or NEWLINE.
        starts: index of the first character.
        ends: index after the last character.
        problems: messages of ILLEGAL tokens, by index.
    """

    kinds: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    cols: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    problems: dict[int, list[str]] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)


def scan(source: str) -> Tokens:
    """Return the tokens of a text; what is illegal is among them."""
    return _Scanner(source).run()


class _Scanner:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = Tokens()
        self._at = 1 if source.startswith("\ufeff") else 0
        self._row = 1
        self._line_start = 0
        self._gap = NO_GAP
        # One entry per open template string: its quote, and the braces open in its expression.
        self._templates: list[list[str | int]] = []

    def run(self) -> Tokens:
        source, match_at = self._source, _TOKEN.match
        while self._at < len(source):
            match = match_at(source, self._at)
            if match is None:
                self._illegal()
                continue
            text, group = match[0], match.lastindex
            if group == _SPACE:
                self._space(text)
            elif group == _WORD:
                self._emit(k.WORD, text)
            elif group == _OPERATOR:
                self._emit(text, text)
            elif group == _STRING:
                self._emit(k.STRING, text)
            else:
                self._rare(group or 0, text)
        self._emit_eof()
        return self._tokens

    def _rare(self, group: int, text: str) -> None:
        if group == _BRACE:
            self._brace(text)
        elif group == _NUMBER:
            self._number(text)
        elif group == _COMMENT:
            self._comment(text)
        elif group == _RAW:
            self._emit(k.STRING, text)
            self._count_lines(text)
        else:
            self._template(text[1], opening=2)

    def _emit(self, kind: str, text: str, length: int = -1) -> None:
        tokens, at = self._tokens, self._at
        tokens.kinds.append(kind)
        tokens.texts.append(text)
        tokens.rows.append(self._row)
        tokens.cols.append(at - self._line_start + 1)
        tokens.gaps.append(self._gap)
        tokens.starts.append(at)
        self._at = at = at + (len(text) if length < 0 else length)
        tokens.ends.append(at)
        self._gap = NO_GAP

    def _emit_eof(self) -> None:
        """End the list; OPA's column there is that of the last character."""
        self._emit(k.EOF, "")
        self._tokens.cols[-1] -= 1

    def _space(self, text: str) -> None:
        self._at += len(text)
        if "\n" in text:
            self._gap = NEWLINE
            self._row += text.count("\n")
            self._line_start = self._at - len(text) + text.rindex("\n") + 1
        else:
            self._gap = self._gap or BLANK

    def _count_lines(self, text: str) -> None:
        if "\n" in text:
            self._row += text.count("\n")
            self._line_start = self._at - len(text) + text.rindex("\n") + 1

    def _brace(self, text: str) -> None:
        self._emit(text, text)
        if not self._templates:
            return
        open_template = self._templates[-1]
        quote, braces = open_template
        if text == "}" and braces == 0:
            self._templates.pop()
            self._template(str(quote), opening=0)
        else:
            open_template[1] = int(braces) + (1 if text == "{" else -1)

    def _template(self, quote: str, *, opening: int) -> None:
        start = self._at + opening
        match = _TEMPLATE_TEXT[quote].match(self._source, start)
        stop = match.end() if match else start
        stopper = self._source[stop : stop + 1]
        text = self._source[start:stop]
        inner = text.replace("\\{", "{") if quote == "`" else re.sub(r"\\(.)", _unbrace, text)
        length = stop + 1 - self._at
        if stopper == quote:
            self._emit(k.TEMPLATE_END if quote == '"' else k.RAW_TEMPLATE_END, inner, length)
        elif stopper == "{":
            self._emit(k.TEMPLATE_PART if quote == '"' else k.RAW_TEMPLATE_PART, inner, length)
            self._templates.append([quote, 0])
        else:
            self._broken_text(quote, opening)
            return
        self._count_lines(self._source[start : stop + 1])

    def _number(self, text: str) -> None:
        following = self._source[self._at + len(text) : self._at + len(text) + 1]
        if following > "\x7f":
            # OPA reads the first bytes of such a character into the number.
            self._emit(k.NUMBER, f"{text}\ufffd", len(text))
        elif text.isdigit():
            self._emit(k.NUMBER, text)
        else:
            self._number_with_parts(text)

    def _number_with_parts(self, text: str) -> None:
        parts = _NUMBER_PARTS.match(text)
        assert parts is not None
        problems = []
        if parts[1] == ".":
            problems.append("expected fraction")
        if parts[2] and not parts[2][-1].isdigit():
            problems.append("expected exponent")
        if parts.end() < len(text):
            problems.append("illegal number format")
        if problems:
            self._emit_illegal(len(text), problems)
        else:
            self._emit(k.NUMBER, text)

    def _comment(self, text: str) -> None:
        body = "" if text == "#\r" else text[1:]
        while len(body) > 1 and body.endswith("\r"):
            body = body[:-1]
        col = self._at - self._line_start + 1
        self._tokens.comments.append(Comment(body, self._row, col, len(self._tokens.kinds)))
        self._at += len(text)

    def _emit_illegal(self, length: int, problems: list[str]) -> None:
        if problems:
            self._tokens.problems[len(self._tokens.kinds)] = problems
        text = self._source[self._at : self._at + length]
        self._emit(k.ILLEGAL, text)
        self._count_lines(text)

    def _illegal(self) -> None:
        char = self._source[self._at]
        if char in _UNREADABLE:
            self._unreadable(_UNREADABLE[char])
        elif char in '"`':
            self._broken_text(char, 1)
        else:
            problem = _ILLEGAL.get(char)
            self._emit_illegal(1, [problem] if problem else [])

    def _unreadable(self, problem: str) -> None:
        """Refuse a character where OPA does: in whatever stands right before it."""
        tokens = self._tokens
        if self._at == 0:
            self._emit_illegal(1, [problem])
            return
        if tokens.ends and tokens.ends[-1] == self._at:
            tokens.kinds[-1] = k.ILLEGAL
            tokens.problems.setdefault(len(tokens.kinds) - 1, []).append(problem)
        else:
            self._at -= 1
            self._emit_illegal(1, [problem])
        self._emit_illegal(1, [])

    def _broken_text(self, quote: str, opening: int) -> None:
        """Emit a quoted text that cannot be read, with everything that is wrong in it."""
        problems = []
        at = self._at + opening
        source = self._source
        while True:
            char = source[at : at + 1]
            if char in _UNREADABLE:
                problems.append(_UNREADABLE[char])
            if not char or (char == "\n" and quote == '"'):
                problems.append("non-terminated string")
                break
            at += 1
            if char == quote:
                break
            if char == "\\" and quote == '"':
                escaped = source[at : at + 1]
                if escaped in _ESCAPED:
                    at += 5 if escaped == "u" else 1
                else:
                    problems.append("illegal escape sequence")
        self._emit_illegal(min(at, len(source)) - self._at, problems)


def _unbrace(found: re.Match[str]) -> str:
    return "{" if found[1] == "{" else found[0]
