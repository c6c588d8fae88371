"""Plan compiled modules and queries: the entrance.

Pure. Follows OPA v1.22 internal/planner/planner.go and docs/docs/ir.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego import ast, plan
from policy_agent.rego.check.signatures import signature
from policy_agent.rego.check.type_json import type_json
from policy_agent.rego.compile.capture import captured
from policy_agent.rego.compile.compiler import Compiled, CompiledQuery
from policy_agent.rego.compile.nodes import ROOTS, is_generated, is_wildcard
from policy_agent.rego.compile.tree import PlacedRule
from policy_agent.rego.compile.variables import FOR_SAFETY, variables
from policy_agent.rego.planner.functions import Functions
from policy_agent.rego.planner.scopes import Generations, Variables
from policy_agent.rego.planner.trie import RuleTrie, string_prefix

RESULT = "result"


def as_written(rule: ast.Rule) -> ast.Rule:
    """Return a rule as it is."""
    return rule


class Planner(Functions):
    """Plans functions and queries of compiled modules as they are asked for.

    Args:
        compiled: the modules.
        as_planned: gives a rule as it is to be planned when that comes.
        by_key: where a member of a set or object that rules define is looked up, plan no more than
            that, as OPA evaluates it: what conflicts elsewhere in it is not met. Otherwise it is
            evaluated once as a whole, which costs less as soon as there is a second look.

    Attributes:
        funcs: every function planned so far, by name.
        called: the built-in functions that they call.
    """

    def __init__(
        self,
        compiled: Compiled,
        as_planned: Callable[[ast.Rule], ast.Rule] = as_written,
        *,
        by_key: bool = False,
    ) -> None:
        super().__init__()
        self.as_planned = as_planned
        self.by_key = by_key
        self.builtins = compiled.builtins
        self.funcs = {}
        self.called = set()
        self.generations = Generations()
        self.trie = _trie(compiled)
        self._wanted = []

    def entrypoint(self, path: Iterable[str | int], name: str = "") -> plan.Plan:
        """Plan a document below `data` as a plan whose rows are `{"result": value}`.

        Raises:
            PolicyError: the rules cannot be planned.
        """
        parts = tuple(path)

        def write() -> None:
            scalars = tuple(ast.Scalar(part) for part in parts)
            value = self.reference(ast.Ref(ast.Var("data"), scalars))
            self._add_result([(RESULT, value)])

        return plan.Plan(name or "/".join(map(str, parts)), self._planned(write))

    def query(self, query: CompiledQuery, name: str = "query") -> plan.Plan:
        """Plan a query as a plan whose rows are its variables' values by name.

        Captured values are among them, under the names that `captured` tells.

        Raises:
            PolicyError: the query cannot be planned.
        """
        values = {captured(expr) for expr in query.body}
        shown = []
        for variable in sorted(variables(query.body, FOR_SAFETY).keys() - ROOTS):
            written = query.rewritten.get(variable, variable)
            if variable in values or not (is_generated(written) or is_wildcard(written)):
                shown.append((written, variable))

        def write() -> None:
            self.body(query.body)
            self._add_result([(written, self.term(ast.Var(v))) for written, v in shown])

        return plan.Plan(name, self._planned(write))

    def policy(self, plans: Iterable[plan.Plan] = ()) -> plan.Policy:
        """Return plans with every function and constant planned so far."""
        builtins = tuple(plan.BuiltinFunc(name, _declaration(name)) for name in sorted(self.called))
        static = plan.Static(self.strings.all(), builtins, self.files.all())
        return plan.Policy(static, tuple(plans), tuple(self.funcs.values()))

    def _planned(self, write: Callable[[], None]) -> tuple[plan.Block, ...]:
        self._next_local = plan.UNUSED
        self.variables = Variables({"input": plan.INPUT, "data": plan.DATA})
        try:
            planned = (self.closed(write).block,)
            self.plan_wanted()
        except RecursionError:
            problem = PolicyProblem("rego_compile_error", "policy is nested too deeply")
            raise PolicyError([problem]) from None
        return planned

    def _add_result(self, items: list[tuple[str, plan.Operand]]) -> None:
        row = self.local()
        self.emit(plan.MakeObjectStmt, row)
        for key, value in items:
            self.emit(plan.ObjectInsertStmt, self.string(key), value, row)
        self.emit(plan.ResultSetAddStmt, row)


def _trie(compiled: Compiled) -> RuleTrie:
    root = RuleTrie()
    for module in compiled.modules:
        if not module.rules:
            root.add_package(module.package)
        for rule in module.rules:
            placed = PlacedRule(module, rule)
            root.add(string_prefix(placed), placed)
    return root


def _declaration(name: str) -> dict[str, Any]:
    function = signature(name)
    return {} if function is None else type_json(function)
