"""The parser's place in the tokens: moving, trying and going back, and the problems met.

Pure. Follows OPA v1.22 v1/ast/parser.go (state, scan, save, restore): what fails after `save` is
forgotten by `restore`, problems included.
"""

from __future__ import annotations

from typing import TypeAlias

from policy_agent.errors import Location, PolicyProblem
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.problem import SyntaxProblem
from policy_agent.rego.parse.tokens import NEWLINE, NO_GAP, scan

MAX_NESTING = 120
"""How deeply terms and bodies may be nested; Python's own stack ends a little later."""

TOO_DEEP = "max parsing recursion depth exceeded"

State: TypeAlias = tuple[int, str, int, tuple[PolicyProblem, ...], tuple[str, ...]]


class Cursor:
    """One text and the place in it.

    Attributes:
        kind: kind of the token at hand; WHITESPACE between two tokens.
        index: the token at hand, or the next where `kind` is WHITESPACE.
        keywords: the words that are keywords now.
    """

    def __init__(self, file: str, source: str, *, v0: bool) -> None:
        self.file = file
        self.source = source
        self.v0 = v0
        self.keywords = k.CORE_KEYWORDS if v0 else k.V1_KEYWORDS
        self.tokens = scan(source)
        self.not_bodies = False
        self.index = -1
        self.kind = ""
        self.problems: tuple[PolicyProblem, ...] = ()
        self._hints: tuple[str, ...] = ()
        self._wildcards = 0
        self._nesting = 0
        self._version_keywords = k.CORE_KEYWORDS if v0 else k.V1_KEYWORDS
        self._rows = self.tokens.rows
        self._cols = self.tokens.cols
        self._kinds = self.tokens.kinds
        self._texts = self.tokens.texts
        self._gaps = self.tokens.gaps
        self.scan()

    def scan(self) -> None:
        """Go to the next token."""
        if self.kind == k.WHITESPACE:
            index = self.index
        elif self.kind == k.EOF:
            return
        else:
            self.index = index = self.index + 1
        kind = self._kinds[index]
        if kind == k.WORD:
            text = self._texts[index]
            self.kind = text if text in self.keywords else k.IDENT
        else:
            self.kind = kind
            if kind == k.ILLEGAL:
                for problem in self.tokens.problems.get(index, ()):
                    self.error(self.here(), problem)

    def scan_space(self) -> None:
        """Go to the next token, or to the blank space before it."""
        next_index = self.index + 1
        if self.kind not in (k.EOF, k.WHITESPACE) and self._gaps[next_index] != NO_GAP:
            self.index = next_index
            self.kind = k.WHITESPACE
        else:
            self.scan()

    def skip_space(self) -> None:
        """Go to the next token where blank space is at hand."""
        if self.kind == k.WHITESPACE:
            self.scan()

    def followed_by(self, *kinds: str) -> bool:
        """Return whether the next token is one of `kinds` and stands right behind this one."""
        if self.kind == k.EOF:
            return False
        following = self.index + 1
        return self._gaps[following] == NO_GAP and self._kinds[following] in kinds

    @property
    def text(self) -> str:
        """The text of the token at hand."""
        return self._texts[self.index]

    @property
    def start(self) -> int:
        """Where the token at hand begins in the source."""
        return self.tokens.starts[self.index]

    @property
    def last_end(self) -> int:
        """Where the token before the one at hand ends in the source."""
        return self.tokens.ends[self.index - 1] if self.index > 0 else 0

    def here(self) -> Location:
        """Return where the token at hand is."""
        index = self.index
        if self.kind == k.WHITESPACE:
            return self._location_of_space()
        return Location(self.file, self._rows[index], self._cols[index])

    def _location_of_space(self) -> Location:
        at = self.last_end
        if self.source[at] == "#":
            at = self.source.index("\n", at)
        row = self.source.count("\n", 0, at) + 1
        if self.source[at] == "\n":
            return Location(self.file, row + 1, 0)  # OPA counts a line end to the next line
        return Location(self.file, row, at - self.source.rfind("\n", 0, at))

    def offset_of(self, location: Location) -> int:
        """Return where a location is in the source."""
        line = 0
        for _ in range(location.row - 1):
            line = self.source.index("\n", line) + 1
        return line + location.col - 1

    def save(self) -> State:
        """Return the place, to go back to."""
        return self.index, self.kind, self._wildcards, self.problems, self._hints

    def restore(self, state: State) -> None:
        """Go back to a place."""
        self.index, self.kind, self._wildcards, self.problems, self._hints = state

    def fresh_wildcard(self) -> str:
        """Return the next name for a `_`."""
        name = f"${self._wildcards}"
        self._wildcards += 1
        return name

    def enter(self) -> bool:
        """Count one level of nesting; False and a problem where there are too many."""
        if self._nesting >= MAX_NESTING:
            self.error(self.here(), TOO_DEEP)
            return False
        self._nesting += 1
        return True

    def leave(self) -> None:
        """Take back one `enter`."""
        self._nesting -= 1

    def hint(self, text: str) -> None:
        """Add a hint to the next problem."""
        self._hints += (text,)

    @property
    def hinted(self) -> bool:
        """Whether the next problem has a hint already."""
        return bool(self._hints)

    def error(self, location: Location, message: str) -> None:
        """Record a problem, with the hints since the last one."""
        if self._hints:
            title = "hint" if len(self._hints) == 1 else "hints"
            message = f"{message} ({title}: {', '.join(self._hints)})"
            self._hints = ()
        self.problems += (SyntaxProblem("rego_parse_error", message, location, self.source),)

    def illegal(self, note: str = "") -> None:
        """Record that the token at hand may not stand here."""
        if self.kind == k.ILLEGAL:
            self.error(self.here(), "illegal token")
            return
        what = "keyword" if k.is_keyword(self.kind) else "token"
        message = f"unexpected {k.name_of(self.kind)} {what}"
        self.error(self.here(), f"{message}: {note}" if note else message)

    def add_keywords(self, words: frozenset[str]) -> None:
        """Take more words as keywords from the next token on; `every` brings `in`."""
        self.keywords |= words | ({"in"} if "every" in words else frozenset())

    def may_be_name(self, kind: str) -> bool:
        """Return whether a token of this kind is a keyword that may stand in a reference."""
        name = k.name_of(kind)
        return name in self._version_keywords or name in self.keywords

    def read_keyword_of_reference(self) -> bool:
        """Take a keyword right before `.` or `[` as a name; return whether it is one."""
        if self.may_be_name(self.kind) and self.followed_by(".", "["):
            self.kind = k.IDENT
            return True
        return False

    def on_new_line(self) -> bool:
        """Return whether a line ends between the token at hand and the one before."""
        return self._gaps[self.index] == NEWLINE
