"""Make OPA's trace events of what a recorder wrote down.

Pure. Follows OPA v1.22 v1/topdown/trace.go. A recorder is told when a body is entered, when an
expression is tried and when a body holds; what failed and what was tried again follows from what
is told next: rules do not call themselves, so that a body is open once at most, and a rule that is
entered was called by the innermost open expression that names its document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct, field

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import DATA, descend
from policy_agent.rego.tracing.recorder import CaseBegun, Noted, Passed, Record
from policy_agent.rego.tracing.sites import Moment, Node, Path, Site
from policy_agent.rego.values import Value


class Op(StrEnum):
    """OPA's words for what happens."""

    ENTER = "Enter"
    EVAL = "Eval"
    EXIT = "Exit"
    FAIL = "Fail"
    REDO = "Redo"
    NOTE = "Note"
    TEST_CASE = "TestCase"


class Event(Struct, frozen=True):
    """One trace event.

    Attributes:
        node: the rule, the query or nested body, or the expression that it is about.
        location: of the node.
        path: of the rule's document; () in a query.
        query: number of the evaluation of a body that it belongs to, from 1.
        parent: number of the evaluation around it, 0 for the outermost.
        values: the variables that are known, by their names in the compiled policy.
        message: what a note says.
        beside: the expressions of the body that were tried so far, of a failure only.
    """

    op: Op
    node: Node
    location: Location
    path: Path
    query: int
    parent: int
    values: Mapping[str, Value] = field(default_factory=dict)
    message: str = ""
    beside: tuple[ast.Expr, ...] = ()


class _Open(Struct):
    """A body under evaluation."""

    site: Site
    query: int
    parent: int
    exprs: dict[int, ast.Expr] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    known: dict[int, frozenset[str]] = field(default_factory=dict)
    index: int = -1
    holds: bool = False

    @property
    def current(self) -> ast.Expr | None:
        return self.exprs.get(self.index)


def events(records: Iterable[Record]) -> list[Event]:
    """Return the events that records tell of."""
    return list(_History().run(records))


class _History:
    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._count = 0

    def run(self, records: Iterable[Record]) -> Iterator[Event]:
        for record in records:
            match record:
                case Passed(site, values):
                    yield from self._pass(site, values)
                case Noted(message) if self._open:
                    yield self._here(Op.NOTE, message)
                case CaseBegun() if self._open:
                    yield self._here(Op.TEST_CASE)
        while self._open:
            yield from self._close()

    def _pass(self, site: Site, values: tuple[Value, ...]) -> Iterator[Event]:
        told = dict(zip(site.names, values, strict=True))
        if site.moment is Moment.ENTER:
            while self._open and not _calls(self._open[-1], site):
                yield from self._close()
            self._count += 1
            parent = self._open[-1].query if self._open else 0
            self._open.append(_Open(site, self._count, parent, values=told))
            yield _of_body(Op.ENTER, self._open[-1])
            return
        while self._open and self._open[-1].site.body != site.body:
            yield from self._close()
        if not self._open:
            return
        here = self._open[-1]
        if site.moment is Moment.EVAL:
            yield from _back(here, site.index)
            assert isinstance(site.node, ast.Expr)
            here.exprs[site.index] = site.node
            here.index, here.holds = site.index, False
            here.values.update(told)
            # What later expressions found is not known when an earlier one is tried again.
            known = here.known.setdefault(site.index, frozenset(here.values))
            here.values = {name: value for name, value in here.values.items() if name in known}
            yield _of_expr(Op.EVAL, here, site.index)
        else:
            here.values.update(told)
            here.holds = True
            yield _of_body(Op.EXIT, here)

    def _close(self) -> Iterator[Event]:
        yield from _back(self._open.pop(), 0)

    def _here(self, op: Op, message: str = "") -> Event:
        here = self._open[-1]
        return _event(op, here, here.current or here.site.node, message=message)


def _back(here: _Open, index: int) -> Iterator[Event]:
    """Yield how evaluation came back from where it was in a body to trying `index` again."""
    if not 0 <= index <= here.index:
        return
    last = here.index
    if here.holds:
        yield _of_body(Op.REDO, here)
    else:
        yield _of_expr(Op.FAIL, here, last)
        last -= 1
    for each in range(last, max(index - 1, 0) - 1, -1):
        if each in here.exprs:
            yield _of_expr(Op.REDO, here, each)


def _of_body(op: Op, here: _Open) -> Event:
    return _event(op, here, here.site.node, dict(here.values))


def _of_expr(op: Op, here: _Open, index: int) -> Event:
    expr = here.exprs[index]
    beside = (expr, *here.exprs.values()) if op is Op.FAIL else ()
    return _event(op, here, expr, dict(here.values), beside=beside)


def _event(
    op: Op,
    here: _Open,
    node: Node,
    values: Mapping[str, Value] | None = None,
    *,
    message: str = "",
    beside: tuple[ast.Expr, ...] = (),
) -> Event:
    place = (_location(node), here.site.path, here.query, here.parent)
    return Event(op, node, *place, values or {}, message, beside)


def _location(node: Node) -> Location:
    if isinstance(node, ast.Rule):
        return node.head.location
    return node.location if isinstance(node, ast.Expr) else node[0].location


def _calls(here: _Open, site: Site) -> bool:
    """Return whether what is entered was called by where a body's evaluation is."""
    if site.parent is not None:
        return here.site.body == site.parent
    return here.current is not None and any(
        _overlap(path, site.path) for path in _documents(here.current)
    )


def _documents(expr: ast.Expr) -> Iterator[Path]:
    for node in descend(expr):
        if isinstance(node, ast.Ref) and isinstance(node.head, ast.Var) and node.head.name == DATA:
            path = []
            for part in node.path:
                if not isinstance(part, ast.Scalar) or not isinstance(part.value, str):
                    break
                path.append(part.value)
            yield tuple(path)


def _overlap(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
