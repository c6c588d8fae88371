"""Which base documents statements read, and how, as far as the statements alone tell.

Pure. A path below `data` is a constant one; what lies at the end of it is looked up by constant
keys (which make the path longer), by other keys, or read in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct, field

from policy_agent.rego import plan
from policy_agent.rego.codegen.names import INPUT_AND_DATA
from policy_agent.rego.codegen.usage import local_of, reads, statements
from policy_agent.rego.plan import Block, Local, Operand, Stmt

Path: TypeAlias = tuple[str, ...]

# A plan could go around in a circle; what is looked up below is read as a whole.
_LONGEST: Final = 64
_DATA_ARGUMENT: Final = 1


class Reads(Struct, frozen=True):
    """The base documents that statements read.

    Attributes:
        looked_up: looked up by a constant key.
        by_any_key: of which any member may be read.
        whole: read in another way.
    """

    looked_up: set[Path] = field(default_factory=set)
    by_any_key: set[Path] = field(default_factory=set)
    whole: set[Path] = field(default_factory=set)


def document_reads(
    blocks: Iterable[Block], data: Local, strings: Sequence[str], is_rule: Callable[[str], bool]
) -> Reads:
    """Return what blocks read of base documents.

    Args:
        blocks: of a function or entry point.
        data: the local that is `data` in them.
        strings: the constants of the plan.
        is_rule: tells whether a name is that of a function of the plan, which takes input and data
            first and is looked at by itself.
    """
    every = list(statements(blocks))
    places = _places(every, data, strings)
    found = Reads()
    for stmt in every:
        if type(stmt) is plan.DotStmt:
            for path in places.get(_local(stmt.source), ()):
                key = _constant(stmt.key, strings)
                kind = found.by_any_key if key is None else found.looked_up
                (kind if len(path) < _LONGEST else found.whole).add(path)
            rest = [local_of(stmt.key)]
        elif type(stmt) is plan.AssignVarStmt or type(stmt) is plan.IsDefinedStmt:
            rest = []
        elif type(stmt) is plan.CallStmt and is_rule(stmt.func):
            found.whole.update(_passed(stmt.args[_DATA_ARGUMENT:INPUT_AND_DATA], places))
            rest = [*map(local_of, stmt.args[:_DATA_ARGUMENT])]
            rest += map(local_of, stmt.args[INPUT_AND_DATA:])
        elif type(stmt) is plan.CallDynamicStmt:
            data_argument = stmt.args[_DATA_ARGUMENT:INPUT_AND_DATA]
            found.whole.update(
                path for each in data_argument for path in places.get(each, ()) if path
            )
            rest = [*stmt.args[:_DATA_ARGUMENT], *stmt.args[INPUT_AND_DATA:]]
            rest += map(local_of, stmt.path)
        else:
            rest = list(reads(stmt))
        for local in rest:
            if local is not None:
                found.whole.update(places.get(local, ()))
    return found


def _passed(operands: Sequence[Operand], places: dict[Local, set[Path]]) -> set[Path]:
    """Return what is passed as `data` and is not all of it."""
    return {path for each in operands for path in places.get(_local(each), ()) if path}


def _places(every: list[Stmt], data: Local, strings: Sequence[str]) -> dict[Local, set[Path]]:
    """Return local -> the places of the documents that it may be."""
    places: dict[Local, set[Path]] = {data: {()}}
    moves = [stmt for stmt in every if type(stmt) in (plan.AssignVarStmt, plan.DotStmt)]
    changed = True
    while changed:
        changed = False
        for stmt in moves:
            assert isinstance(stmt, plan.AssignVarStmt | plan.DotStmt)
            known = places.get(_local(stmt.source))
            if not known:
                continue
            if type(stmt) is plan.DotStmt:
                key = _constant(stmt.key, strings)
                new = set() if key is None else {(*p, key) for p in known if len(p) < _LONGEST}
            else:
                new = known
            target = places.setdefault(stmt.target, set())
            if not new <= target:
                target |= new
                changed = True
    return places


def _local(operand: Operand) -> Local:
    return operand.value if isinstance(operand, plan.LocalOperand) else -1


def _constant(operand: Operand, strings: Sequence[str]) -> str | None:
    return strings[operand.value] if isinstance(operand, plan.StringOperand) else None
