"""Open a `plan.json` to run it: each function is read when it is first called.

Pure. The shape of the whole plan is judged at once. What only the reading of a function shows, such
as a call of one that is not there, ends the evaluation that comes upon it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from msgspec import Raw

from policy_agent.codec import decode_json
from policy_agent.rego import plan
from policy_agent.rego.plan import Block, Local
from policy_agent.rego.plan_json import PlanReader, callables, check_calls, check_params, read_plan
from policy_agent.rego.plan_shape import outline_of


class _LateBlocks(Sequence[Block]):
    """Blocks that are read when somebody first looks at them."""

    def __init__(self, read: Callable[[], tuple[Block, ...]]) -> None:
        self._read = read
        self._blocks: tuple[Block, ...] | None = None

    def _all(self) -> tuple[Block, ...]:
        if self._blocks is None:
            self._blocks = self._read()
        return self._blocks

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Block]:
        return iter(self._all())

    @overload
    def __getitem__(self, key: int) -> Block: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Block, ...]: ...
    def __getitem__(self, key: Any) -> Any:
        return self._all()[key]


@dataclass(slots=True)
class _Opened:
    """What the functions of one plan are read against."""

    strings: Sequence[str]
    known: Mapping[str, int | None]

    def late(self, raw: Raw, params: tuple[Local, ...]) -> _LateBlocks:
        content = bytes(raw)
        return _LateBlocks(lambda: self._read(content, params))

    def _read(self, content: bytes, params: tuple[Local, ...]) -> tuple[Block, ...]:
        blocks = PlanReader(strings=self.strings).blocks(decode_json(content), params)
        check_calls(blocks, self.known)
        return blocks


def open_plan(raw: bytes) -> plan.Policy:
    """Return a plan whose functions are read as they are needed.

    Raises:
        PolicyError: it is no plan, or one that cannot be run.
    """
    outline = outline_of(raw)
    if outline is None:
        # Slow, but it knows what is wrong, and what Go tolerates.
        return read_plan(raw)
    static = PlanReader().static(decode_json(bytes(outline.static)))
    opened = _Opened(static.strings, {})
    plans = [
        plan.Plan(entry.name, opened.late(entry.blocks, (plan.INPUT, plan.DATA)))
        for entry in outline.plans.plans or ()
    ]
    funcs = []
    for func in outline.funcs.funcs or ():
        params = tuple(func.params)
        check_params(params)
        late = opened.late(func.blocks, params)
        funcs.append(plan.Func(func.name, params, func.result, late, tuple(func.path or ())))
    policy = plan.Policy(static, tuple(plans), tuple(funcs))
    opened.known = callables(policy)
    return policy
