"""Write the statements of a plan function that only set, extend or report values.

Pure.
"""

from __future__ import annotations

from policy_agent.rego import plan
from policy_agent.rego.codegen.names import Names
from policy_agent.rego.codegen.predicates import PredicateBuilder
from policy_agent.rego.codegen.usage import local_of, statements, writes
from policy_agent.rego.codegen.writer import SourceWriter
from policy_agent.rego.plan import Block, Local, Operand, Stmt


class StatementWriter:
    """Writes single statements, following which constants a local may hold.

    Attributes:
        writer: where lines go now.
        fresh: locals that certainly have no value here.
    """

    def __init__(
        self,
        names: Names,
        writer: SourceWriter,
        *,
        conflict: str,
        fresh: frozenset[Local],
        unclean: frozenset[Local],
    ) -> None:
        """Begin a function.

        Args:
            conflict: name of the constant that names the function in a conflict.
            fresh: locals without a value so far.
            unclean: locals that not only AssignVarOnceStmt and ResetLocalStmt set.
        """
        self.names = names
        self.writer = writer
        self.predicates = PredicateBuilder(names)
        self.fresh = set(fresh)
        self._conflict = conflict
        self._unclean = unclean
        self._values: dict[Local, set[str | None]] = {}

    def aliased(self, stmt: Stmt) -> bool:
        """Return whether a statement only gives another name to a value, and note it."""
        if isinstance(stmt, plan.NopStmt):
            return True
        if isinstance(stmt, plan.ObjectMergeStmt):
            return False
        text, stable = self.predicates.constant_or_source(stmt)
        return stable and self.names.alias(writes(stmt)[0], text)

    def statement(self, stmt: Stmt) -> None:
        """Write a statement that neither tests nor holds blocks."""
        names, writer = self.names, self.writer
        if isinstance(stmt, plan.AssignVarOnceStmt):
            self._assign_once(stmt)
        elif isinstance(stmt, plan.ResetLocalStmt):
            writer.line(f"{names.target(stmt.target)} = U")
            self.fresh.add(stmt.target)
        elif isinstance(stmt, plan.ResultSetAddStmt):
            writer.line(f"results.append({names.local(stmt.value)})")
        elif isinstance(stmt, plan.ArrayAppendStmt):
            writer.line(f"{names.local(stmt.array)}.append({names.operand(stmt.value)})")
        elif isinstance(stmt, plan.SetAddStmt):
            self._set_add(stmt)
        elif isinstance(stmt, plan.ObjectInsertStmt):
            key = self._key(stmt.key)
            writer.line(f"{names.local(stmt.object)}[{key}] = {names.operand(stmt.value)}")
        elif isinstance(stmt, plan.ObjectInsertOnceStmt):
            key, value = names.operand(stmt.key), names.operand(stmt.value)
            writer.line(f"insert_once({names.local(stmt.object)}, {key}, {value})")
        else:
            self._assign(stmt)

    def _assign(self, stmt: Stmt) -> None:
        """Write a statement that sets a local whatever its value was."""
        names = self.names
        if isinstance(stmt, plan.MakeArrayStmt):
            target, text = stmt.target, "[]"
        elif isinstance(stmt, plan.MakeObjectStmt):
            target, text = stmt.target, "{}"
        elif isinstance(stmt, plan.MakeSetStmt):
            target, text = stmt.target, "RegoSet({})"
        elif isinstance(stmt, plan.AssignIntStmt):
            target, text = stmt.target, str(stmt.value)
        elif isinstance(stmt, plan.ObjectMergeStmt):
            target, text = stmt.target, f"merge({names.local(stmt.a)}, {names.local(stmt.b)})"
        else:
            text, _ = self.predicates.constant_or_source(stmt)
            target = writes(stmt)[0]
        self.writer.line(f"{names.target(target)} = {text}")

    def _possible(self, operand: Operand) -> set[str | None]:
        """Return the constants that an operand may be, with None for anything else."""
        text = self.names.operand(operand)
        if self.names.kind(text) is not None:
            return {text}
        local = local_of(operand)
        if local is None or local in self._unclean:
            return {None}
        return self._values.get(local, {None})

    def _note(self, target: Local, values: set[str | None]) -> None:
        self._values.setdefault(target, set()).update(values)
        self.fresh.discard(target)

    def _assign_once(self, stmt: plan.AssignVarOnceStmt) -> None:
        text = self.names.operand(stmt.source)
        fresh = stmt.target in self.fresh and stmt.target not in self._unclean
        self._note(stmt.target, self._possible(stmt.source))
        possible = self._values[stmt.target]
        constant = len(possible) == 1 and None not in possible and stmt.target not in self._unclean
        target = self.names.target(stmt.target)
        if fresh or constant:
            self.writer.line(f"{target} = {text}")
        else:
            self.writer.line(f"{target} = once({target}, {text}, {self._conflict})")

    def _set_add(self, stmt: plan.SetAddStmt) -> None:
        names = self.names
        target, value = names.local(stmt.set), names.operand(stmt.value)
        if names.kind(value) in ("str", "int"):
            self.writer.line(f"{target}.members[{value}] = {value}")
        else:
            self.writer.line(f"set_add({target}, {value})")

    def _key(self, key: Operand) -> str:
        text = self.names.operand(key)
        return text if self.names.kind(text) in ("str", "int", "number") else f"freeze({text})"

    def forget_before_loop(self, block: Block) -> None:
        """Take into account that a loop's body runs after itself."""
        for stmt in statements((block,)):
            if isinstance(stmt, plan.AssignVarOnceStmt):
                self._note(stmt.target, self._possible(stmt.source))
