"""Which events an explanation shows.

Pure. Follows OPA v1.22 v1/topdown/lineage/lineage.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from policy_agent.rego import ast
from policy_agent.rego.tracing.history import Event, Op

Filter: TypeAlias = Callable[[Sequence[Event]], list[Event]]


def with_context(events: Iterable[Event], *ops: Op) -> list[Event]:
    """Return the events of some kinds, each after the bodies that led to it and are new."""
    shown: list[Event] = []
    bodies: dict[int, Event] = {}
    for event in events:
        if event.op in ops:
            way = [event]
            around = bodies.get(event.query)
            while around is not None:
                way.append(around)
                around = bodies.get(around.parent)
            shown += reversed(way)
            bodies = {}
        if event.op in (Op.ENTER, Op.REDO) and not isinstance(event.node, ast.Expr):
            bodies[event.query] = event
    return shown


def everything(events: Iterable[Event]) -> list[Event]:
    """Return events without the marks of test cases."""
    return [event for event in events if event.op is not Op.TEST_CASE]


def notes(events: Iterable[Event]) -> list[Event]:
    """Return what policies noted with `trace`."""
    return with_context(events, Op.NOTE)


def fails(events: Iterable[Event]) -> list[Event]:
    """Return what failed."""
    return with_context(events, Op.FAIL)


def notes_and_fails(events: Iterable[Event]) -> list[Event]:
    """Return what policies noted and what failed."""
    return with_context(events, Op.NOTE, Op.FAIL)


# What `--explain` may say. As nothing is unified here, all there is to debug is in the full trace.
FILTERS: Final[Mapping[str, Filter]] = {
    "notes": notes,
    "fails": fails,
    "full": everything,
    "debug": everything,
}
