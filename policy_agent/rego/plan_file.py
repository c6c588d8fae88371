"""Open a `plan.json` to run it: each function is read when it is first called.

Pure. The shape of the whole plan is judged at once. What only the reading of a function shows, such
as a call of one that is not there, ends the evaluation that comes upon it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Raw, Struct

from policy_agent.codec import decode_json
from policy_agent.rego import plan
from policy_agent.rego.plan import Block, LateBlocks, Local, Stmt
from policy_agent.rego.plan_json import PlanReader, callables, check_calls, check_params, read_plan
from policy_agent.rego.plan_shape import BlockShape, opening_of, outline_of

Read: TypeAlias = Callable[[bytes], tuple[Block, ...]]


class _FewBlocks(LateBlocks):
    """Blocks that are read together."""

    def __init__(self, raw: Raw, read: Read) -> None:
        # A copy, so that the whole plan need not be kept.
        self._content = bytes(raw)
        self._read = read
        self._blocks: tuple[Block, ...] | None = None

    def __len__(self) -> int:
        return len(self.read(slice(None)))

    def read(self, wanted: slice) -> tuple[Block, ...]:
        if self._blocks is None:
            self._blocks = self._read(self._content)
        return self._blocks[wanted]

    def openings(self) -> list[Sequence[Stmt]]:
        return [block.stmts for block in self]


class _ManyBlocks(LateBlocks):
    """Blocks that are read one by one, as an index finds them."""

    def __init__(self, raws: Sequence[Raw], shapes: Sequence[BlockShape], read: Read) -> None:
        self._raws = raws
        self._shapes = shapes
        self._read = read

    def __len__(self) -> int:
        return len(self._raws)

    def read(self, wanted: slice) -> tuple[Block, ...]:
        return self._read(b"[%b]" % b",".join(map(bytes, self._raws[wanted])))

    def openings(self) -> list[Sequence[Stmt]]:
        return list(map(opening_of, self._shapes))


class _Opened(Struct):
    """What the functions of one plan are read against."""

    strings: Sequence[str]
    known: Mapping[str, int | None]

    def reader(self, params: tuple[Local, ...]) -> Read:
        """Return what reads blocks of a function."""

        def read(content: bytes) -> tuple[Block, ...]:
            blocks = PlanReader(strings=self.strings).blocks(decode_json(content), params)
            check_calls(blocks, self.known)
            return blocks

        return read


def open_plan(raw: bytes) -> plan.Policy:
    """Return a plan whose functions are read as they are needed.

    Raises:
        PolicyError: it is no plan, or one that cannot be run.
    """
    shape = outline_of(raw)
    if shape is None:
        # Slow, but it knows what is wrong, and what Go tolerates.
        return read_plan(raw)
    outline, many = shape
    static = PlanReader().static(decode_json(bytes(outline.static)))
    opened = _Opened(static.strings, {})
    plans = [
        plan.Plan(entry.name, _FewBlocks(entry.blocks, opened.reader((plan.INPUT, plan.DATA))))
        for entry in outline.plans.plans or ()
    ]
    funcs = []
    for number, func in enumerate(outline.funcs.funcs or ()):
        params = tuple(func.params)
        check_params(params)
        read = opened.reader(params)
        late = _ManyBlocks(*many[number], read) if number in many else _FewBlocks(func.blocks, read)
        funcs.append(plan.Func(func.name, params, func.result, late, tuple(func.path or ())))
    policy = plan.Policy(static, tuple(plans), tuple(funcs))
    opened.known = callables(policy)
    return policy
