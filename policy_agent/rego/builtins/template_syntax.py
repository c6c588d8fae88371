"""The grammar of Go's text/template that `strings.render_template` understands.

Pure. Text, `{{ }}` with trim marks, comments, pipelines, variables and the actions if, range, with,
else, end, break and continue. Named templates (define, template, block) are refused.
"""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

from policy_agent.rego.builtins.registry import BuiltinError

_ACTION: Final = re.compile(
    r"\{\{(?P<left>-(?=\s))?\s*(?:(?P<comment>/\*.*?\*/)|"
    r"(?P<code>(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|(?!\}\}).)*?))\s*(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_TOKEN: Final = re.compile(
    r"\s*(?P<token>\"(?:\\.|[^\"\\])*\"|`[^`]*`|:=|[|(),=]|\$?(?:\.\w+)+|\$\w*(?:\.\w+)*|\."
    r"|[+-]?\d[\d.eE+\-_]*|\w+)"
)
_WORDS: Final = {"true": True, "false": False, "nil": None}
_OPENING: Final = ("if", "range", "with")
_UNSUPPORTED: Final = ("define", "template", "block")


class Path(Struct, frozen=True):
    """A variable ("" for the dot) and the fields to follow from it."""

    variable: str
    fields: tuple[str, ...]


class Call(Struct, frozen=True):
    """A function and its operands."""

    name: str
    operands: tuple[Any, ...]


class Pipeline(Struct, frozen=True):
    """Commands of which each gets the result of the one before as its last operand.

    Attributes:
        variables: what the result is assigned to; two in a range.
        declares: whether the variables are new.
    """

    commands: tuple[tuple[Any, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


class Block(Struct):
    """An `if`, `range` or `with`, with what follows `else`."""

    kind: str
    pipeline: Pipeline
    body: list[Any] = field(default_factory=list)
    otherwise: list[Any] = field(default_factory=list)


class Jump(Struct, frozen=True):
    """`break` or `continue`."""

    kind: str


def _error(problem: str) -> BuiltinError:
    return BuiltinError(f"template: template:1: {problem}")


def parse_template(text: str) -> list[Any]:
    """Return the nodes of a template: text, Pipeline, Block and Jump.

    Raises:
        BuiltinError: it is malformed or uses what is not understood.
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.pieces = list(_pieces(text))
        self.at = 0

    def parse(self) -> list[Any]:
        nodes, end = self._nodes()
        if end is not None:
            raise _error(f"unexpected {{{{{end.split()[0]}}}}}")
        return nodes

    def _nodes(self) -> tuple[list[Any], str | None]:
        """Return nodes up to an `end` or `else`, and that word with what follows it."""
        nodes: list[Any] = []
        while self.at < len(self.pieces):
            code, text = self.pieces[self.at]
            self.at += 1
            if not code:
                nodes.append(text)
                continue
            word, _, rest = text.partition(" ")
            if word in ("end", "else"):
                return nodes, text
            if word in _UNSUPPORTED:
                raise _error(f"{word} is not supported")
            if word in _OPENING:
                nodes.append(self._block(word, rest))
            elif word in ("break", "continue"):
                nodes.append(Jump(word))
            else:
                nodes.append(_pipeline(text))
        return nodes, None

    def _block(self, kind: str, condition: str) -> Block:
        block = Block(kind, _pipeline(condition))
        block.body, end = self._nodes()
        if end is not None and end.startswith("else"):
            word, _, rest = end.removeprefix("else").strip().partition(" ")
            if word in ("if", "with"):
                block.otherwise = [self._block(word, rest)]
                return block
            block.otherwise, end = self._nodes()
        if end is None:
            raise _error("unexpected EOF")
        return block


def _pieces(text: str) -> Iterator[tuple[bool, str]]:
    at, trim = 0, False
    for found in _ACTION.finditer(text):
        before = text[at : found.start()]
        before = before.lstrip(" \t\r\n") if trim else before
        before = before.rstrip(" \t\r\n") if found["left"] else before
        yield False, before
        if found["comment"] is None:
            if not found["code"].strip():
                raise _error("missing value for command")
            yield True, " ".join(found["code"].split("\n")).strip()
        at, trim = found.end(), bool(found["right"])
    rest = text[at:].lstrip(" \t\r\n") if trim else text[at:]
    if "{{" in rest:
        raise _error("unclosed action")
    yield False, rest


def _pipeline(code: str) -> Pipeline:
    tokens: list[str] = []
    at = 0
    while at < len(code.rstrip()):
        found = _TOKEN.match(code, at)
        if found is None:
            raise _error(f"unexpected {code[at:].strip()!r} in command")
        tokens.append(found["token"])
        at = found.end()
    return _parse_pipeline(tokens)


def _parse_pipeline(tokens: list[str]) -> Pipeline:
    for mark in (":=", "="):
        if mark in tokens:
            place = tokens.index(mark)
            names = tuple(name for name in tokens[:place] if name != ",")
            return Pipeline(_commands(tokens[place + 1 :]), names, mark == ":=")
    return Pipeline(_commands(tokens))


def _commands(tokens: list[str]) -> tuple[tuple[Any, ...], ...]:
    commands: list[list[Any]] = [[]]
    at = 0
    while at < len(tokens):
        item = tokens[at]
        at += 1
        if item == "(":
            close = _closing(tokens, at)
            commands[-1].append(_parse_pipeline(tokens[at:close]))
            at = close + 1
        elif item == "|":
            commands.append([])
        else:
            commands[-1].append(_operand(item))
    if not all(commands):
        raise _error("missing value for command")
    return tuple(map(tuple, commands))


def _closing(tokens: list[str], at: int) -> int:
    depth = 1
    for place in range(at, len(tokens)):
        depth += (tokens[place] == "(") - (tokens[place] == ")")
        if not depth:
            return place
    raise _error("unclosed left paren")


def _operand(token: str) -> Any:
    if token in _WORDS:
        return _WORDS[token]
    if token[0] == "`":
        return token[1:-1]
    if token[0] in '"+-' or token[0].isdigit():
        try:
            return literal_eval(token)
        except (SyntaxError, ValueError):
            raise _error(f"bad number syntax: {token!r}") from None
    if token[0] in ".$":
        variable, *fields = token.split(".")
        return Path(variable, tuple(filter(None, fields)))
    return Call(token, ())
