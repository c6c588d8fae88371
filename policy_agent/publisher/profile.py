"""How long each line took, and how often it was tried (OPA v1.22 v1/profiler).

Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from policy_agent.errors import Location
from policy_agent.publisher.go_duration import go_duration
from policy_agent.publisher.ordered_json import in_order
from policy_agent.publisher.text_table import text_table
from policy_agent.rego import ast
from policy_agent.rego.tracing.history import Event, Op
from policy_agent.rego.tracing.recorder import Passed, Record
from policy_agent.rego.tracing.sites import Moment

_HEADER: Final = ("Time", "Num Eval", "Num Redo", "Num Gen Expr", "Location")


@dataclass(slots=True)
class LineProfile:
    """What was measured of one line.

    Attributes:
        location: of its first expression that ran.
        total_ns: from each of its expressions to the next that was tried.
        evals: how often one was tried.
        redos: how often one was gone back to.
    """

    location: Location
    total_ns: int = 0
    evals: int = 0
    redos: int = 0
    _exprs: set[int] = field(default_factory=set)

    @property
    def generated(self) -> int:
        """Return how many expressions the compiler made of the line."""
        return len(self._exprs)

    def count(self, event: Event) -> None:
        """Count an event of the line."""
        self.evals += event.op is Op.EVAL
        self.redos += event.op is Op.REDO
        self._exprs.add(id(event.node))


SORT_KEYS: Final[Mapping[str, Callable[[LineProfile], tuple[object, ...]]]] = {
    "total_time_ns": lambda line: (-line.total_ns,),
    "num_eval": lambda line: (-line.evals,),
    "num_redo": lambda line: (-line.redos,),
    "num_gen_expr": lambda line: (-line.generated,),
    "file": lambda line: (line.location.file,),
    "line": lambda line: (line.location.row,),
}


def profile(
    records: Sequence[Record], events: Iterable[Event], sort_by: Sequence[str], limit: int
) -> list[LineProfile]:
    """Return the lines that took longest.

    Args:
        records: what was written down.
        events: made of them.
        sort_by: names of `SORT_KEYS`; the time decides what they leave open.
        limit: how many lines to return, 0 or less for all.
    """
    lines: dict[tuple[str, int], LineProfile] = {}
    for event in events:
        if event.op in (Op.EVAL, Op.REDO) and isinstance(event.node, ast.Expr):
            at = event.location
            lines.setdefault((at.file, at.row), LineProfile(at)).count(event)
    for place, duration_ns in _durations(records).items():
        lines[place].total_ns = duration_ns
    keys = [SORT_KEYS[name] for name in (*sort_by, "total_time_ns")]
    ordered = sorted(lines.values(), key=lambda line: [key(line) for key in keys])
    return ordered[:limit] if limit > 0 else ordered


def profile_json(lines: Iterable[LineProfile]) -> list[msgspec.Raw]:
    """Return OPA's JSON object for each line."""
    return [
        in_order(
            {
                "total_time_ns": line.total_ns,
                "num_eval": line.evals,
                "num_redo": line.redos,
                "num_gen_expr": line.generated,
                "location": in_order(
                    {
                        "file": line.location.file,
                        "row": line.location.row,
                        "col": line.location.col,
                    }
                ),
            }
        )
        for line in lines
    ]


def profile_text(lines: Iterable[LineProfile], query: str) -> str:
    """Return OPA's table; lines of the query are shown by its text."""
    rows = [
        (
            go_duration(line.total_ns),
            str(line.evals),
            str(line.redos),
            str(line.generated),
            f"{line.location.file}:{line.location.row}" if line.location.file else query,
        )
        for line in lines
    ]
    return text_table(_HEADER, rows)


def _durations(records: Sequence[Record]) -> dict[tuple[str, int], int]:
    """Return the time from each expression to the next, summed by file and row."""
    tried = [
        each for each in records if isinstance(each, Passed) and each.site.moment is Moment.EVAL
    ]
    taken: dict[tuple[str, int], int] = defaultdict(int)
    for one, following in zip(tried, [*tried[1:], *tried[-1:]], strict=True):
        assert isinstance(one.site.node, ast.Expr)
        at = one.site.node.location
        taken[at.file, at.row] += following.at_ns - one.at_ns
    return taken
