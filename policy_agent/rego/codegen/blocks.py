"""Write the blocks of a plan function as structured Python.

Pure. Statements that only test become conditions of `if`; a block that is left from inside a loop
becomes `while True`; what would nest too deeply for CPython becomes an inner function, a part.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from msgspec import Struct, field

from policy_agent.rego import plan
from policy_agent.rego.codegen.conditions import Condition, Test, all_of, negate, render_lines
from policy_agent.rego.codegen.frames import Construct, Frames
from policy_agent.rego.codegen.names import Names
from policy_agent.rego.codegen.shapes import COMES_WITH_A_VALUE, Shapes, break_level
from policy_agent.rego.codegen.statements import StatementWriter
from policy_agent.rego.codegen.usage import local_of
from policy_agent.rego.codegen.writer import SourceWriter
from policy_agent.rego.plan import Block, Local, Stmt

# CPython allows 20 nested loops and 100 levels of indentation.
MAX_LOOPS: Final = 12
MAX_INDENT: Final = 40
LINE_WIDTH: Final = 100
# What a part answers when the plan function is to return; frames have positive numbers.
RETURN: Final = 0

Then = Callable[[], None]


class _Chain(Struct):
    """Statements of a block on their way into nested `if` statements.

    Attributes:
        opened: the `if` statements that are open.
        index: of the next statement.
        pending: tests that the next `if` will have.
    """

    stmts: tuple[Stmt, ...]
    opened: ExitStack
    index: int = 0
    pending: list[Condition] = field(default_factory=list)

    @property
    def following(self) -> Stmt | None:
        """Return the statement after the next one."""
        after = self.index + 1
        return self.stmts[after] if after < len(self.stmts) else None


class FunctionValue(Struct, frozen=True):
    """What is known of a function's value before its blocks are written.

    Attributes:
        function: its number.
        result: the local that it returns, None for an entry point.
        memo: whether its value is kept for the scope.
        final: locals that are its value as soon as they are set.
        heads: locals that rules give their value to, `result` or what becomes it.
    """

    function: int = 0
    result: Local | None = None
    memo: bool = False
    final: frozenset[Local] = frozenset()
    heads: frozenset[Local] = frozenset()


class BlockWriter(StatementWriter):
    """Writes the blocks of one function.

    Attributes:
        parts: the inner functions.
        part_assigned: the names that inner functions assign.
    """

    def __init__(
        self,
        names: Names,
        writer: SourceWriter,
        value: FunctionValue,
        *,
        fresh: frozenset[Local],
        unclean: frozenset[Local],
    ) -> None:
        """Begin a function.

        Args:
            value: what the function returns.
            fresh: locals without a value so far.
            unclean: locals that not only AssignVarOnceStmt and ResetLocalStmt set.
        """
        conflict = f"c{value.function}"
        super().__init__(names, writer, conflict=conflict, fresh=fresh, unclean=unclean)
        self.parts = SourceWriter(depth=1)
        self.part_assigned: dict[str, None] = {}
        self._value = value
        self._shapes = Shapes()
        self._frames = Frames()
        self._flags = 0
        self._part_count = 0

    def outermost(self, block: Block) -> None:
        """Write one of the function's own blocks."""
        self.names.lookups = {}
        self.names.expressions = {}
        self._block(block, None)

    def _block(self, block: Block, then: Then | None) -> None:
        """Write a block; `then` writes what happens at its end."""
        lookups = dict(self.names.lookups)
        if 0 in self._shapes.levels(block):
            frame = self._frames.push(Construct.LABEL, self.writer)
            with self.writer.block("while True:"):
                self._chain(block.stmts, then)
                self.writer.line("break")
            self._frames.pop(self.writer)
            self._frames.pass_on(frame, self.writer)
        else:
            self._frames.push(Construct.NOTHING, self.writer)
            self._chain(block.stmts, then)
            self._frames.pop(self.writer)
        self.names.lookups = lookups

    def _chain(self, stmts: tuple[Stmt, ...], then: Then | None) -> None:
        fresh = set(self.fresh)
        with ExitStack() as opened:
            chain = _Chain(stmts, opened)
            while chain.index < len(stmts):
                if self._too_deep() and not isinstance(stmts[chain.index], plan.BreakStmt):
                    self._flush(chain)
                    self._part(stmts[chain.index :], then)
                    break
                if not self._step(chain, then):
                    break
            else:
                self._flush(chain)
                if then is not None:
                    then()
        self.fresh &= fresh

    def _step(self, chain: _Chain, then: Then | None) -> bool:
        """Write the next statement or two; return whether the block goes on after it."""
        stmt, following = chain.stmts[chain.index], chain.following
        self.writer.location = stmt.location
        fused = self.predicates.fused(stmt, following)
        if fused is not None:
            chain.pending.append(fused)
            chain.index += 2
            return True
        chain.index += 1
        if self._is_pure_test(stmt):
            chain.pending += self.predicates.statement(stmt)
            if isinstance(stmt, plan.IsUndefinedStmt):
                self.fresh.add(stmt.source)
            return True
        if isinstance(stmt, COMES_WITH_A_VALUE) and self.aliased(stmt):
            return True
        if isinstance(stmt, plan.BlockStmt):
            for block in stmt.blocks:
                self._inner_block(block, chain)
            return True
        self._flush(chain)
        return self._write(stmt, chain, then)

    def _write(self, stmt: Stmt, chain: _Chain, then: Then | None) -> bool:
        """Write a statement that is no test; return whether the block goes on after it."""
        if isinstance(stmt, plan.BreakStmt):
            self._break(stmt.index)
            return False
        if isinstance(stmt, plan.ReturnLocalStmt):
            self._return(self.names.local(stmt.source))
            return False
        if self._gives_value(stmt):
            number = self.names.symbols.rules[self._value.function, stmt.location]
            self.writer.line(f"{self.names.scope}.held[{number}] = True")
        if isinstance(stmt, plan.AssignVarOnceStmt) and stmt.target in self._value.final:
            self._return(self.names.operand(stmt.source))
            return False
        if isinstance(stmt, plan.WithStmt):
            if chain.index == len(chain.stmts):
                self._with(stmt, then)
                return False
            chain.pending.append(self._with_result(stmt))
        elif isinstance(stmt, plan.NotStmt):
            chain.pending.append(self._not(stmt))
        elif isinstance(stmt, plan.ScanStmt):
            self._scan(stmt)
        else:
            self.statement(stmt)
        return True

    def _gives_value(self, stmt: Stmt) -> bool:
        """Return whether a statement adds to the function's value: the rule that it is of held."""
        if isinstance(stmt, plan.AssignVarOnceStmt):
            heads = self._value.heads
            # What a head is passed on to has its value from the same rule.
            return stmt.target in heads and local_of(stmt.source) not in heads
        if isinstance(stmt, plan.SetAddStmt):
            return stmt.set == self._value.result
        if isinstance(stmt, plan.ObjectInsertOnceStmt | plan.ObjectInsertStmt):
            return stmt.object == self._value.result
        return False

    def _flush(self, chain: _Chain) -> None:
        """Open an `if` with the tests so far; the rest of the chain goes inside."""
        if chain.pending:
            self._open_if(chain.opened, chain.pending)
            chain.pending.clear()

    def _is_pure_test(self, stmt: Stmt) -> bool:
        return self._shapes.is_condition(stmt) and not isinstance(stmt, COMES_WITH_A_VALUE)

    def _too_deep(self) -> bool:
        return self._frames.loop_depth >= MAX_LOOPS or self.writer.depth >= MAX_INDENT

    def _open_if(self, opened: ExitStack, conditions: list[Condition]) -> None:
        writer = self.writer
        location = writer.location
        lines = render_lines(all_of(conditions), LINE_WIDTH - 4 * writer.depth)
        for text, at in lines[:-1]:
            writer.location = at
            writer.line(text)
        writer.location = lines[-1][1]
        opened.enter_context(writer.block(lines[-1][0]))
        writer.location = location

    def _inner_block(self, block: Block, chain: _Chain) -> None:
        """Write a block inside a block, or add it to the tests for what follows."""
        level = break_level(block)
        if not self._shapes.is_test(block):
            self._flush(chain)
            self._block(block, None)
        elif level == 1:
            chain.pending.append(negate(self.predicates.block(block)))
        else:
            self._flush(chain)
            with ExitStack() as opened:
                self._open_if(opened, [self.predicates.block(block)])
                if level:
                    self._frames.push(Construct.NOTHING, self.writer)
                    self._break(level)
                    self._frames.pop(self.writer)

    def _break(self, level: int) -> None:
        if level:
            self._frames.leave(self._frames.at_level(level), self.writer)

    def _part(self, stmts: tuple[Stmt, ...], then: Then | None) -> None:
        """Write statements as an inner function, and its call here."""
        self._part_count += 1
        name, result = f"part{self._part_count}", f"left{self._part_count}"
        outer, outer_assigned = self.writer, self.names.assigned
        self.writer, self.names.assigned = SourceWriter(depth=2), {}
        frame = self._frames.push(Construct.PART, self.writer, counts=False)
        self._chain(stmts, then)
        self._frames.pop(self.writer)
        self._define_part(name, self.writer, list(self.names.assigned))
        self.part_assigned |= self.names.assigned
        self.names.assigned = outer_assigned | self.names.assigned
        self.writer = outer
        outer.line(f"{result} = {name}()")
        if frame.returns:
            with outer.block(f"if {result} == {RETURN}:"):
                self._answer("answer")
        for target in frame.leaving:
            with outer.block(f"if {result} == {target.number}:"):
                self._frames.leave(target, outer)

    def _define_part(self, name: str, body: SourceWriter, assigned: list[str]) -> None:
        with self.parts.block(f"def {name}():"):
            if assigned:
                self.parts.line(f"nonlocal {', '.join(assigned)}")
            self.parts.extend(body)

    def _not(self, stmt: plan.NotStmt) -> Condition:
        flag = self._new_flag("none")
        self.writer.line(f"{flag} = True")
        self._block(stmt.block, lambda: self.writer.line(f"{flag} = False"))
        return Test(flag, f"not {flag}", stmt.location)

    def _with_result(self, stmt: plan.WithStmt) -> Condition:
        flag = self._new_flag("done")
        self.writer.line(f"{flag} = False")
        self._with(stmt, lambda: self.writer.line(f"{flag} = True"))
        return Test(flag, f"not {flag}", stmt.location)

    def _new_flag(self, word: str) -> str:
        self._flags += 1
        flag = f"{word}{self._flags}"
        self.names.assigned[flag] = None
        return flag

    def _with(self, stmt: plan.WithStmt, then: Then | None) -> None:
        """Write the block under a new name for the replaced local, in a scope of its own."""
        names = self.names
        value = names.operand(stmt.value)
        before, lookups, outer = names.local(stmt.local), dict(names.lookups), names.scope
        had = stmt.local in names.expressions
        if stmt.path:
            path = "".join(f"s{index}, " for index in stmt.path)
            name = self._new_flag("w")
            self.writer.line(f"{name} = upsert({before}, ({path}), {value})")
        elif names.stable(stmt.value):
            name = value
        else:
            name = self._new_flag("w")
            self.writer.line(f"{name} = {value}")
        names.expressions[stmt.local] = name
        pair = (names.local(plan.INPUT), names.local(plan.DATA))
        known = pair in names.scopes
        if not known:
            names.scopes[pair] = self._new_flag("scope")
            self.writer.line(f"{names.scopes[pair]} = {outer}.fork()")
        self._block(stmt.block, then)
        if not known:
            del names.scopes[pair]
        names.lookups = lookups
        if had:
            names.expressions[stmt.local] = before
        else:
            del names.expressions[stmt.local]

    def _scan(self, stmt: plan.ScanStmt) -> None:
        names, writer = self.names, self.writer
        source = names.local(stmt.source)
        self.forget_before_loop(stmt.block)
        scope = names.scope
        if names.unread(stmt.key):
            head = f"for {names.target(stmt.value)} in elements({scope}, {source}):"
        else:
            key, value = names.target(stmt.key), names.target(stmt.value)
            head = f"for {key}, {value} in items({scope}, {source}):"
        lookups = dict(names.lookups)
        frame = self._frames.push(Construct.LOOP, writer)
        with writer.block(head):
            frame.mark = writer.mark()
            self._chain(stmt.block.stmts, None)
        self._frames.pop(writer)
        self._frames.pass_on(frame, writer)
        names.lookups = lookups

    def _return(self, value: str) -> None:
        if self._value.memo:
            self.writer.line(f"scope[{self._value.function}] = {value}")
        self._answer(value)

    def _answer(self, value: str) -> None:
        """Write the return of the plan function's value."""
        part = self._frames.part
        if part is None:
            self.writer.line(f"return {value}")
            return
        part.returns = True
        if value != "answer":
            self.names.assigned["answer"] = None
            self.writer.line(f"answer = {value}")
        self.writer.line(f"return {RETURN}")
