"""What the source of one function calls the plan's locals, constants, functions and built-ins.

Pure. Only names made here and integers enter the source: no text of a plan does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from policy_agent.number import Number
from policy_agent.rego import plan
from policy_agent.rego.codegen.usage import Usage, local_of
from policy_agent.rego.plan import Local, Location, Operand

INPUT_AND_DATA: Final = 2
_MAX_LITERAL: Final = 2**31


class Callee(Struct, frozen=True):
    """What a called name stands for.

    Attributes:
        name: in the source: `f3` for a function of the plan, `b3` for a built-in.
        memo: the function's number if its value is kept for the scope, None otherwise.
        boolean: whether its value can only be a boolean or undefined.
        takes_scope: whether the first argument is the scope.
    """

    name: str
    memo: int | None = None
    boolean: bool = False
    takes_scope: bool = True


class Symbols(Struct, frozen=True):
    """What the functions of one plan share.

    Attributes:
        callees: the plan's name -> what it is in the source.
        numbers: string index -> value, of number constants.
        rules: (function's number, where the rule stands) -> number that says that it held.
    """

    callees: Mapping[str, Callee]
    numbers: Mapping[int, int | Number]
    rules: Mapping[tuple[int, Location], int]


class Names(Struct):
    """The names of one function's locals while it is written.

    Attributes:
        parameters: locals that only `with` replaces, for the time of its block.
        usage: of the outermost block being written.
        shared: locals that other outermost blocks also see.
        expressions: local -> what to write for it, where that is not `l<number>`.
        kinds: expression -> "str", "int", "number", "bool" or "null", of constants.
        lookups: (source, key) -> name of the local that already holds `source[key]`.
        scopes: (input, data) -> name of the scope for them.
        assigned: every name that the source assigns, in order.
    """

    symbols: Symbols
    parameters: frozenset[Local]
    shared: frozenset[Local]
    usage: Usage = field(default_factory=Usage)
    expressions: dict[Local, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    lookups: dict[tuple[str, str], str] = field(default_factory=dict)
    scopes: dict[tuple[str, str], str] = field(default_factory=dict)
    assigned: dict[str, None] = field(default_factory=dict)

    def local(self, local: Local) -> str:
        """Return the expression that reads a local."""
        return self.expressions.get(local, f"l{local}")

    def target(self, local: Local) -> str:
        """Return the name to assign a local's new value to."""
        name = self.expressions.get(local, f"l{local}")
        self.assigned[name] = None
        return name

    def operand(self, operand: Operand) -> str:
        """Return the expression of an operand."""
        if isinstance(operand, plan.StringOperand):
            return f"s{operand.value}"
        if isinstance(operand, plan.BoolOperand):
            return str(operand.value)
        return self.local(operand.value)

    def kind(self, expression: str) -> str | None:
        """Return the type of a constant expression, None when it is no constant."""
        if expression in ("True", "False"):
            return "bool"
        if expression[0] == "s" and expression[1:].isdigit():
            return "str"
        return self.kinds.get(expression)

    @property
    def scope(self) -> str:
        """Return the name of the scope that holds for the current input and data."""
        return self.scopes[self.local(plan.INPUT), self.local(plan.DATA)]

    def settled(self, local: Local) -> bool:
        """Return whether a local gets one value in one place, seen by this block alone."""
        return local not in self.shared and self.usage.write_counts[local] == 1

    def unread(self, local: Local) -> bool:
        """Return whether nothing depends on a local, other than copies that are not read."""
        copies = self.usage.copies.get(local, [])
        return (
            self.settled(local)
            and self.usage.read_counts[local] == len(copies)
            and all(self.settled(copy) and not self.usage.read_counts[copy] for copy in copies)
        )

    def stable(self, operand: Operand) -> bool:
        """Return whether an operand means the same wherever the current block reads it."""
        local = local_of(operand)
        if local is None:
            return True
        return local in self.parameters or self.settled(local)

    def complete(self, expression: str) -> bool:
        """Return whether the current block adds nothing to the value of an expression."""
        return not any(f"l{local}" == expression for local in self.usage.extended)

    def alias(self, target: Local, expression: str) -> bool:
        """Let a local be another name for an expression; False where that is not the same."""
        if not self.settled(target):
            return False
        self.expressions[target] = expression
        return True

    def number(self, stmt: plan.MakeNumberIntStmt | plan.MakeNumberRefStmt) -> str:
        """Return the expression of a number constant."""
        if isinstance(stmt, plan.MakeNumberIntStmt):
            expression = str(stmt.value)
            self.kinds[expression] = "int"
            return expression
        value = self.symbols.numbers[stmt.index]
        if type(value) is int and abs(value) < _MAX_LITERAL:
            expression = str(value)
            self.kinds[expression] = "int"
            return expression
        expression = f"n{stmt.index}"
        if value not in (0, 1):
            # Python takes 1.0 for True, so that these two are compared like any value.
            self.kinds[expression] = "number"
        return expression
