"""The source of one function or entry point of a plan.

Pure.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from policy_agent.rego import plan
from policy_agent.rego.codegen.blocks import BlockWriter, FunctionValue
from policy_agent.rego.codegen.constant import Constant, find_constant
from policy_agent.rego.codegen.index import Index
from policy_agent.rego.codegen.names import INPUT_AND_DATA, Names, Symbols
from policy_agent.rego.codegen.usage import Usage, local_of, reads, statements, writes
from policy_agent.rego.codegen.writer import SourceWriter
from policy_agent.rego.plan import Block, Local, Location

_SETS_FOR_CERTAIN: Final = (
    plan.AssignIntStmt,
    plan.MakeArrayStmt,
    plan.MakeNullStmt,
    plan.MakeNumberIntStmt,
    plan.MakeNumberRefStmt,
    plan.MakeObjectStmt,
    plan.MakeSetStmt,
    plan.ResetLocalStmt,
)
_MAX_LOOKED_AT: Final = 100
_CLEAN: Final = (plan.AssignVarOnceStmt, plan.ResetLocalStmt)


class Source(Struct, frozen=True):
    """Python source and, per line, where in the policy it comes from."""

    text: str
    locations: tuple[Location, ...]


def function_source(
    func: plan.Func, number: int, symbols: Symbols, index: Index | None = None
) -> Source:
    """Return the source of `f<number>(scope, l0, l1, ...)`."""
    memo = len(func.params) == INPUT_AND_DATA
    params = ", ".join(f"l{local}" for local in func.params)
    head = f"def f{number}(scope, {params}):"
    if index is None:
        constant = find_constant(func) or Constant(tuple(func.blocks), frozenset())
        heads = _heads(constant.blocks, func.result) | constant.locals
        value = FunctionValue(number, func.result, memo, constant.locals, heads)
        function = _Function(func.params, symbols, value)
        return function.source(head, constant.blocks)
    heads = _heads(index.head + index.tail, func.result)
    value = FunctionValue(number, func.result, memo, heads=heads)
    function = _Function(func.params, symbols, value)
    result = f"l{func.result}"
    dispatch = (
        f"for number in i{number}.matching({params}):",
        f"{result} = a{number}[number](scope, {params}, {result})",
    )
    return function.source(head, index.head, dispatch, index.tail)


def alternative_source(
    func: plan.Func, number: int, symbols: Symbols, blocks: tuple[Block, ...]
) -> Source:
    """Return the source of `alternative(scope, l0, l1, ..., <result so far>)`."""
    params = (*func.params, func.result)
    head = f"def alternative(scope, {', '.join(f'l{local}' for local in params)}):"
    end = Block((plan.ReturnLocalStmt(func.result),))
    value = FunctionValue(number, func.result, heads=_heads(blocks, func.result))
    function = _Function(func.params, symbols, value, given=True)
    return function.source(head, (*blocks, end))


def plan_source(entry: plan.Plan, number: int, symbols: Symbols) -> Source:
    """Return the source of `p<number>(scope, l0, l1, results)`."""
    head = f"def p{number}(scope, l0, l1, results):"
    return _Function((plan.INPUT, plan.DATA), symbols).source(head, tuple(entry.blocks))


class _Function(Struct, frozen=True):
    """What is known of a function before its blocks are written.

    Attributes:
        given: whether the result so far is its last argument.
    """

    params: tuple[Local, ...]
    symbols: Symbols
    value: FunctionValue = FunctionValue()
    given: bool = False

    def source(
        self,
        head: str,
        blocks: tuple[Block, ...],
        dispatch: tuple[str, str] | None = None,
        tail: tuple[Block, ...] = (),
    ) -> Source:
        """Return the source: blocks, perhaps a loop over alternatives, then more blocks."""
        every, result = blocks + tail, self.value.result
        usages = [Usage.of(block) for block in every]
        shared = frozenset().union(*(usage.exposed for usage in usages)) - set(self.params)
        if result is not None and result not in self.params:
            shared |= {result}
        names = Names(self.symbols, frozenset(self.params), shared)
        names.scopes["l0", "l1"] = "scope"
        body = SourceWriter(depth=1)
        known_elsewhere = self.given or dispatch is not None
        outside = frozenset((result,)) if known_elsewhere and result is not None else None
        writer = BlockWriter(
            names,
            body,
            self.value,
            fresh=shared - (outside or frozenset()),
            unclean=_unclean(every) | (outside or frozenset()),
        )
        for position, (block, usage) in enumerate(zip(every, usages, strict=True)):
            if dispatch is not None and position == len(blocks):
                _write_dispatch(body, dispatch)
            names.usage = usage
            writer.outermost(block)
        whole = SourceWriter()
        with whole.block(head):
            self._write_start(whole, every, shared, writer)
            whole.extend(writer.parts)
            whole.extend(body)
            if result is not None and not _returns(every):
                self._write_end(whole)
        return Source(whole.text, tuple(whole.locations))

    def _write_end(self, whole: SourceWriter) -> None:
        if self.value.memo:
            whole.line(f"scope[{self.value.function}] = U")
        whole.line("return U")

    def _write_start(
        self,
        whole: SourceWriter,
        blocks: tuple[Block, ...],
        shared: frozenset[Local],
        writer: BlockWriter,
    ) -> None:
        if len(self.params) > INPUT_AND_DATA and not self.given and _calls(blocks):
            # Calls of calls could take for ever without any loop.
            whole.line("scope.spend(1)")
        arguments = {f"l{local}" for local in self.params}
        if self.given:
            arguments.add(f"l{self.value.result}")
        used = shared & _used(blocks, self.value.final)
        unset = {f"l{local}": None for local in sorted(used - _set_at_once(blocks))}
        for name in unset | writer.part_assigned:
            if name not in arguments:
                whole.line(f"{name} = U")


def _heads(blocks: tuple[Block, ...], result: Local) -> frozenset[Local]:
    """Return the result and the locals that become it after a rule has set them."""
    sources: dict[Local, set[Local | None]] = {}
    for stmt in statements(blocks):
        if isinstance(stmt, plan.AssignVarOnceStmt):
            sources.setdefault(stmt.target, set()).add(local_of(stmt.source))
    return frozenset(sources.keys() & sources.get(result, set())) | {result}


def _write_dispatch(body: SourceWriter, dispatch: tuple[str, str]) -> None:
    head, call = dispatch
    with body.block(head):
        body.line(call)


def _calls(blocks: tuple[Block, ...]) -> bool:
    return any(
        isinstance(stmt, plan.CallStmt | plan.CallDynamicStmt) for stmt in statements(blocks)
    )


def _used(blocks: tuple[Block, ...], final: frozenset[Local]) -> set[Local]:
    """Return the locals that the source mentions; what sets a final one returns instead."""
    found: set[Local] = set()
    for stmt in statements(blocks):
        if not (isinstance(stmt, plan.AssignVarOnceStmt) and stmt.target in final):
            found.update(reads(stmt))
            found.update(writes(stmt))
    return found


def _set_at_once(blocks: tuple[Block, ...]) -> set[Local]:
    """Return the locals that the first statements of a function set."""
    found: set[Local] = set()
    for block in blocks:
        for stmt in block.stmts:
            if not isinstance(stmt, _SETS_FOR_CERTAIN):
                return found
            found.add(stmt.target)
    return found


def _unclean(blocks: tuple[Block, ...]) -> frozenset[Local]:
    return frozenset(
        local
        for stmt in statements(blocks)
        if not isinstance(stmt, _CLEAN)
        for local in writes(stmt)
    )


def _returns(blocks: tuple[Block, ...]) -> bool:
    last = blocks[-1].stmts if blocks else ()
    return len(last) == 1 and isinstance(last[0], plan.ReturnLocalStmt)


def returns_boolean(func: plan.Func) -> bool:
    """Return whether a function's value can only be a boolean, or undefined.

    One of many blocks is not looked at: that would cost more than it saves.
    """
    if len(func.blocks) > _MAX_LOOKED_AT:
        return False
    sources = _sources(func)
    seen: set[Local] = set()
    waiting: list[object] = [plan.LocalOperand(func.result)]
    while waiting:
        source = waiting.pop()
        if isinstance(source, plan.BoolOperand):
            continue
        if not isinstance(source, plan.LocalOperand) or source.value in func.params:
            return False
        if source.value not in seen:
            seen.add(source.value)
            waiting += sources.get(source.value, ())
    return True


def _sources(func: plan.Func) -> dict[Local, list[object]]:
    """Return local -> operands assigned to it, None for other values."""
    sources: dict[Local, list[object]] = {}
    for stmt in statements(func.blocks):
        if isinstance(stmt, plan.AssignVarOnceStmt | plan.AssignVarStmt):
            sources.setdefault(stmt.target, []).append(stmt.source)
        elif isinstance(stmt, plan.ReturnLocalStmt):
            sources.setdefault(func.result, []).append(plan.LocalOperand(stmt.source))
        elif not isinstance(stmt, plan.ResetLocalStmt):
            for local in writes(stmt):
                sources.setdefault(local, []).append(None)
    return sources
