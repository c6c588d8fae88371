"""Find the tests in Rego modules: rules named `test_...`, and `todo_test_...` to be skipped.

Pure. Which names are tests follows OPA v1.22 v1/tester/runner.go. A module is split into tokens but
not parsed: a rule begins where, outside all brackets, a line begins with its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policy_agent.bundle.package_name import package_name
from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.rego.lexer import Token, TokenKind, tokenize

_SKIP_PREFIX: Final = "todo_test_"
_PREFIXES: Final = ("test_", _SKIP_PREFIX)
_OPENING: Final = frozenset("{[(")
_CLOSING: Final = frozenset("}])")
_STATEMENT_ENDS: Final = _CLOSING | {"true", "false", "null"}
_WORD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class RegoTest:
    """One test rule.

    Attributes:
        package: as OPA prints it, `data.orders.authz_test`.
        name: the rule's name below its package.
        path: the document's segments below `data`.
        location: of the rule's head.
        is_skipped: whether its name says that it is not to be run yet.
        has_cases: whether it is data-driven, `test_x[case] if ...`.
    """

    package: str
    name: str
    path: tuple[str, ...]
    location: Location
    is_skipped: bool
    has_cases: bool

    @property
    def full_name(self) -> str:
        """Return the name that a filter is matched against."""
        return f"{self.package}.{self.name}"


def find_tests(modules: Mapping[str, str], *, name_pattern: str = "") -> list[RegoTest]:
    """Return the tests in the order of files and lines.

    Args:
        modules: file name -> Rego source, already known to compile.
        name_pattern: a regular expression to be found in a test's full name.

    Raises:
        PolicyError: two tests have one name, so that one would hide the failure of the other.
    """
    tests: dict[tuple[str, ...], RegoTest] = {}
    problems = []
    for file, source in sorted(modules.items()):
        for test in _tests_of(file, source):
            if test.path in tests:
                first = tests[test.path].location
                message = f"{test.full_name} is already defined at {first.file}:{first.row}"
                problems.append(PolicyProblem("rego_compile_error", message, test.location))
            tests.setdefault(test.path, test)
    if problems:
        raise PolicyError(problems)
    return [test for test in tests.values() if re.search(name_pattern, test.full_name)]


def _tests_of(file: str, source: str) -> Iterator[RegoTest]:
    package = package_name(source) or ()
    shown = "data" + "".join(map(_shown_segment, package))
    tokens = [token for token in tokenize(file, source) if token.kind is not TokenKind.COMMENT]
    for index in _statement_starts(tokens):
        head, end = _dotted_name(tokens, index)
        named = [position for position, word in enumerate(head) if word.startswith(_PREFIXES)]
        if not named:
            continue
        name = tuple(head[: named[0] + 1])
        yield RegoTest(
            package=shown,
            name=".".join(name),
            path=(*package, *name),
            location=Location(file, tokens[index].row, tokens[index].col),
            is_skipped=name[-1].startswith(_SKIP_PREFIX),
            has_cases=len(head) == len(name) and _text(tokens, end) == "[",
        )


def _statement_starts(tokens: Sequence[Token]) -> Iterator[int]:
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind is TokenKind.IDENT and depth == 0 and _follows_statement(tokens, index):
            yield index
        depth += _depth_change(token)


def _follows_statement(tokens: Sequence[Token], index: int) -> bool:
    if index == 0:
        return True
    previous = tokens[index - 1]
    is_unfinished = previous.kind in (TokenKind.OPERATOR, TokenKind.KEYWORD)
    return previous.end_row < tokens[index].row and (
        not is_unfinished or previous.text in _STATEMENT_ENDS
    )


def _depth_change(token: Token) -> int:
    if token.kind is TokenKind.OPERATOR:
        return (token.text in _OPENING) - (token.text in _CLOSING)
    is_template_start = token.kind is TokenKind.TEMPLATE_PART and token.text.startswith("$")
    is_template_end = token.kind is TokenKind.TEMPLATE_END and not token.text.startswith("$")
    return is_template_start - is_template_end


def _dotted_name(tokens: Sequence[Token], index: int) -> tuple[list[str], int]:
    words = [tokens[index].text]
    index += 1
    while _text(tokens, index) == "." and index + 1 < len(tokens):
        words.append(tokens[index + 1].text)
        index += 2
    return words, index


def _text(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if index < len(tokens) else ""


def _shown_segment(segment: str) -> str:
    return f".{segment}" if _WORD.fullmatch(segment) else f'["{segment}"]'
