"""Statements as conditions: each becomes tests that hold where the statement is defined.

Pure.
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego import plan
from policy_agent.rego.codegen.conditions import Condition, Test, all_of, negate
from policy_agent.rego.codegen.names import INPUT_AND_DATA, Names
from policy_agent.rego.plan import Block, Location, Operand, Stmt

_TYPE_NAMES: Final = {
    plan.IsArrayStmt: "list",
    plan.IsObjectStmt: "dict",
    plan.IsSetStmt: "RegoSet",
}


class PredicateBuilder:
    """Turns statements into conditions under the names of one function."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def block(self, block: Block) -> Condition:
        """Return the condition of a block that is a test, its final break aside."""
        lookups = dict(self._names.lookups)
        stmts = block.stmts
        if stmts and isinstance(stmts[-1], plan.BreakStmt):
            stmts = stmts[:-1]
        condition = all_of(self.sequence(stmts))
        self._names.lookups = lookups
        return condition

    def sequence(self, stmts: tuple[Stmt, ...]) -> list[Condition]:
        """Return the conditions of statements that follow each other."""
        conditions: list[Condition] = []
        index = 0
        while index < len(stmts):
            following = stmts[index + 1] if index + 1 < len(stmts) else None
            fused = self.fused(stmts[index], following)
            if fused is None:
                conditions += self.statement(stmts[index])
                index += 1
            else:
                conditions.append(fused)
                index += 2
        return conditions

    def fused(self, stmt: Stmt, following: Stmt | None) -> Condition | None:
        """Return one condition for a value and the comparison that alone reads it, if they are."""
        if isinstance(stmt, plan.DotStmt) and isinstance(following, plan.EqualStmt):
            if self._known_lookup(stmt) is not None:
                return None
            for one, two in ((following.a, following.b), (following.b, following.a)):
                if self._only_read(stmt.target, one) and not isinstance(two, plan.LocalOperand):
                    text = f"({self._lookup(stmt)})"
                    return _compare(text, self._names.operand(two), stmt.location)
        if isinstance(stmt, plan.CallStmt) and isinstance(following, plan.NotEqualStmt):
            callee = self._names.symbols.callees[stmt.func]
            if (
                callee.boolean
                and self._only_read(stmt.result, following.a)
                and following.b == plan.BoolOperand(value=False)
            ):
                call = self._call(stmt)
                return Test(f"{call} is True", f"{call} is not True", stmt.location)
        return None

    def _only_read(self, local: plan.Local, operand: Operand) -> bool:
        return (
            operand == plan.LocalOperand(local)
            and self._names.usage.read_counts[local] == 1
            and self._names.settled(local)
        )

    def statement(self, stmt: Stmt) -> list[Condition]:
        """Return the conditions of one statement."""
        if isinstance(stmt, plan.DotStmt):
            return self._dot(stmt)
        if isinstance(stmt, plan.EqualStmt):
            return [self._equal(stmt)]
        if isinstance(stmt, plan.NotEqualStmt):
            return [negate(self._equal(stmt))]
        if isinstance(stmt, plan.CallStmt):
            return self._call_statement(stmt)
        if isinstance(stmt, plan.CallDynamicStmt):
            return [self._assignment(stmt.result, self._dynamic_call(stmt), stmt.location)]
        if isinstance(stmt, plan.LenStmt):
            call = f"size({self._names.operand(stmt.source)})"
            return [self._assignment(stmt.target, call, stmt.location)]
        if isinstance(stmt, plan.NotStmt):
            return [negate(self.block(stmt.block))]
        if isinstance(stmt, plan.BlockStmt):
            return [negate(self.block(block)) for block in stmt.blocks]
        return self._check(stmt) or self._value(stmt)

    def _check(self, stmt: Stmt) -> list[Condition]:
        """Return the condition of a statement that looks at one value's type, [] for others."""
        if isinstance(stmt, plan.IsDefinedStmt | plan.IsUndefinedStmt):
            name = self._names.local(stmt.source)
            test = Test(f"{name} is not U", f"{name} is U", stmt.location)
            if self._names.kind(name) is not None:
                test = Test("True", "False", stmt.location)
            return [test if isinstance(stmt, plan.IsDefinedStmt) else negate(test)]
        if isinstance(stmt, plan.IsArrayStmt | plan.IsObjectStmt | plan.IsSetStmt):
            name, kind = self._names.operand(stmt.source), _TYPE_NAMES[type(stmt)]
            return [Test(f"type({name}) is {kind}", f"type({name}) is not {kind}", stmt.location)]
        return []

    def _value(self, stmt: Stmt) -> list[Condition]:
        """Return the conditions of a statement that only sets a local."""
        if isinstance(stmt, plan.NopStmt):
            return []
        if isinstance(stmt, plan.ObjectMergeStmt):
            text = f"merge({self._names.local(stmt.a)}, {self._names.local(stmt.b)})"
            return [self._assignment(stmt.target, text, stmt.location)]
        assert isinstance(
            stmt,
            plan.AssignVarStmt
            | plan.MakeNullStmt
            | plan.MakeNumberIntStmt
            | plan.MakeNumberRefStmt,
        )
        text, stable = self.constant_or_source(stmt)
        if stable and self._names.alias(stmt.target, text):
            return []
        target = self._names.target(stmt.target)
        if isinstance(stmt, plan.AssignVarStmt) and isinstance(stmt.source, plan.LocalOperand):
            # The source may have no value; a list with one element is true all the same.
            return [Test(f"[{target} := {text}]", f"not [{target} := {text}]", stmt.location)]
        return [Test(f"({target} := {text}) is not U", f"({target} := {text}) is U", stmt.location)]

    def constant_or_source(self, stmt: Stmt) -> tuple[str, bool]:
        """Return the expression a statement assigns, and whether it stays the same."""
        if isinstance(stmt, plan.AssignVarStmt):
            return self._names.operand(stmt.source), self._names.stable(stmt.source)
        if isinstance(stmt, plan.MakeNullStmt):
            self._names.kinds["None"] = "null"
            return "None", True
        assert isinstance(stmt, plan.MakeNumberIntStmt | plan.MakeNumberRefStmt)
        return self._names.number(stmt), True

    def _assignment(self, target: plan.Local, text: str, location: Location) -> Test:
        name = self._names.target(target)
        return Test(f"({name} := {text}) is not U", f"({name} := {text}) is U", location)

    def _known_lookup(self, stmt: plan.DotStmt) -> str | None:
        key = (self._names.operand(stmt.source), self._names.operand(stmt.key))
        return self._names.lookups.get(key)

    def _lookup(self, stmt: plan.DotStmt) -> str:
        source, key = self._names.operand(stmt.source), self._names.operand(stmt.key)
        if self._names.kind(key) == "str" and self._names.kind(source) is None:
            return f"{source}.get({key}, U) if type({source}) is dict else dot({source}, {key})"
        return f"dot({source}, {key})"

    def _dot(self, stmt: plan.DotStmt) -> list[Condition]:
        known = self._known_lookup(stmt)
        if known is not None and self._names.alias(stmt.target, known):
            return []
        text = self._lookup(stmt)
        key = (self._names.operand(stmt.source), self._names.operand(stmt.key))
        steady = self._names.stable(stmt.source) and self._names.stable(stmt.key)
        test = self._assignment(stmt.target, text, stmt.location)
        if steady and self._names.settled(stmt.target) and self._names.complete(key[0]):
            self._names.lookups[key] = self._names.local(stmt.target)
        return [test]

    def _equal(self, stmt: plan.EqualStmt | plan.NotEqualStmt) -> Condition:
        left, right = self._names.operand(stmt.a), self._names.operand(stmt.b)
        if self._names.kind(left) is not None:
            left, right = right, left
        kind = self._names.kind(right)
        if kind is None or self._names.kind(left) is not None:
            return Test(f"equal({left}, {right})", f"not equal({left}, {right})", stmt.location)
        comparison = _compare(left, right, stmt.location)
        if right not in ("0", "1"):
            return comparison
        other = "False" if right == "0" else "True"
        test = Test(f"{left} is not {other}", f"{left} is {other}", stmt.location)
        return all_of([comparison, test])

    def _call_statement(self, stmt: plan.CallStmt) -> list[Condition]:
        return [self._assignment(stmt.result, self._call(stmt), stmt.location)]

    def _call(self, stmt: plan.CallStmt) -> str:
        callee = self._names.symbols.callees[stmt.func]
        args = [self._names.operand(arg) for arg in stmt.args]
        if not callee.takes_scope:
            return f"{callee.name}({', '.join(args)})"
        scope = self._scope_for(args) if callee.name[0] == "f" else self._names.scope
        call = f"{callee.name}({', '.join([scope, *args])})"
        if callee.memo is None or scope.endswith(")"):
            return call
        return f"({scope}[{callee.memo}] if {callee.memo} in {scope} else {call})"

    def _dynamic_call(self, stmt: plan.CallDynamicStmt) -> str:
        args = [self._names.local(arg) for arg in stmt.args]
        path = "".join(f"{self._names.operand(part)}, " for part in stmt.path)
        return f"call({', '.join([self._scope_for(args), f'({path})', *args])})"

    def _scope_for(self, args: list[str]) -> str:
        """Return the scope in which `args` are the input and data."""
        known = self._names.scopes.get(tuple(args[:INPUT_AND_DATA]))  # type: ignore[arg-type]
        return known or f"{self._names.scope}.fork()"


def _compare(left: str, right: str, location: Location) -> Test:
    if right in ("True", "False", "None"):
        return Test(f"{left} is {right}", f"{left} is not {right}", location)
    return Test(f"{left} == {right}", f"{left} != {right}", location)
