"""Make the variables that the compiler adds.

Pure. Named as in OPA v1.22 v1/ast/compile.go (localVarGenerator): `__local0__`, and
`__localq0__` in queries.
"""

from __future__ import annotations

from collections.abc import Collection

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import equality


class Names:
    """A source of variables that no author has written."""

    def __init__(self, taken: Collection[str], prefix: str = "__local") -> None:
        self._taken = taken
        self._prefix = prefix
        self._next = 0

    def fresh(self) -> str:
        """Return a new name."""
        while True:
            name = f"{self._prefix}{self._next}__"
            self._next += 1
            if name not in self._taken:
                return name

    def variable(self, location: Location) -> ast.Var:
        """Return a new variable."""
        return ast.Var(self.fresh(), location)

    def bind(self, term: ast.Term, withs: tuple[ast.With, ...] = ()) -> tuple[ast.Var, ast.Expr]:
        """Return a new variable and the expression that unifies it with a term."""
        variable = self.variable(term.location)
        return variable, equality(variable, term, term.location, generated=True, withs=withs)
