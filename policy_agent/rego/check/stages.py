"""Run the checks at the stages of a compilation where OPA runs them.

Pure. Follows OPA v1.22 v1/ast/compile.go (AllStages).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.annotations import redeclared_problems
from policy_agent.rego.check.assumptions import Assumptions
from policy_agent.rego.check.bounds import bounded_types
from policy_agent.rego.check.checker import TypeCheck
from policy_agent.rego.check.conflicts import conflict_problems
from policy_agent.rego.check.constants import ground_prefix
from policy_agent.rego.check.functions import (
    call_problems,
    deprecated_problems,
    nameless_problems,
    unsafe_problems,
    void_problems,
)
from policy_agent.rego.check.graph import Graph, build_graph
from policy_agent.rego.check.problems import COMPILE_ERROR, TYPE_ERROR, in_order
from policy_agent.rego.check.recursion import recursion_problems
from policy_agent.rego.check.rules import RuleNode, RuleTree, build_tree, rule_nodes
from policy_agent.rego.check.schemas import SchemaError
from policy_agent.rego.check.sources import source_problems
from policy_agent.rego.check.written import Written
from policy_agent.rego.compile.compiler import Checks, Compiled, compile_modules
from policy_agent.rego.compile.nodes import descend
from policy_agent.rego.compile.signatures import OPA_BUILTINS, Signature
from policy_agent.rego.values import Value

MAX_ERRORS: Final = 10  # OPA v1.22 v1/ast/compile.go, CompileErrorLimitDefault
_LIMIT_REACHED: Final = PolicyProblem(COMPILE_ERROR, "error limit reached")


@dataclass(slots=True)
class PolicyChecks(Checks):
    """OPA's checks of one compilation, and of the queries against it afterwards.

    Attributes:
        strict: also refuse what Rego v1 refuses in modules of Rego v0, and what nothing uses.
        data: the base documents, which no rule may define; None when they are not known.
        refused: built-in functions that may not be called.
        annotations: use the schemas that METADATA comments give.
        schemas: `schema` is the input's schema, `schema.name` one that annotations may name.
    """

    strict: bool = False
    data: Mapping[str, Value] | None = None
    refused: frozenset[str] = frozenset()
    annotations: bool = True
    schemas: Mapping[str, Any] | None = None
    _types: TypeCheck | None = field(default=None, init=False)
    _nodes: list[RuleNode] = field(default_factory=list, init=False)

    def sources(self, modules: Sequence[ast.Module]) -> Iterable[PolicyProblem]:
        """Check names that hide others, and what nothing uses."""
        return source_problems(modules, strict=self.strict)

    def calls(self, compiled: Compiled) -> list[PolicyProblem]:
        """Check rules against each other, then calls for functions that exist."""
        # Recursion is explained with references as they are before later stages cut them up.
        self._nodes = list(rule_nodes(compiled.modules))
        rules = _all_rules(compiled)
        written = Written(compiled.rewritten, rules)
        check = TypeCheck(written.ref, lambda _: ())
        nodes = descend(rules)
        check.declare_functions(nodes)
        tree = build_tree(compiled.modules, self._nodes)
        names = Written(compiled.rewritten)
        return list(
            list(void_problems(nodes, check.known, written.whole))
            or list(redeclared_problems(compiled.modules))
            or conflict_problems(tree, compiled.modules, names.ref, self.data)
            or call_problems(rules, compiled.arity, check.known, names.ref)
        )

    def rules(self, compiled: Compiled) -> list[PolicyProblem]:
        """Check recursion, then types and refused functions."""
        tree = build_tree(compiled.modules, self._nodes)
        graph = build_graph(self._nodes, tree)
        problems = recursion_problems(graph, Written(compiled.rewritten).ref)
        if problems:
            return problems
        rules = _all_rules(compiled)
        check = TypeCheck(Written(compiled.rewritten, rules).ref, _Dependents(graph, tree).paths)
        nodes = descend(rules)
        check.declare_functions(nodes)
        now = zip(self._nodes, rule_nodes(compiled.modules), strict=True)
        final = {
            old: new for one, two in now for old, new in zip(one.all(), two.all(), strict=True)
        }
        assumptions = Assumptions(compiled.modules, self.schemas)
        problems += _input_problems(check, assumptions)
        with bounded_types(len(rules)):
            for node in graph.in_order():
                rule = final[node]
                problems += check.rule(rule, assumptions.of_rule(rule) if self.annotations else ())
        problems += unsafe_problems(nodes, self.refused)
        if self.strict or all(module.rego_version > 0 for module in compiled.modules):
            problems += deprecated_problems(nodes)
        else:
            for module in compiled.modules:
                if module.rego_version > 0:
                    problems += deprecated_problems(descend(module.rules))
        self._types = check
        return problems

    def query_calls(self, body: ast.Body, compiled: Compiled) -> list[PolicyProblem]:
        """Check a query's calls for functions that exist."""
        known = self._query_types(body, compiled).known
        written = Written(compiled.rewritten, body)
        names = Written(compiled.rewritten)
        return in_order(
            list(void_problems(descend(body), known, written.whole))
            or call_problems(body, compiled.arity, known, names.ref)
        )

    def query(self, body: ast.Body, compiled: Compiled) -> list[PolicyProblem]:
        """Check a query's types and the functions it calls."""
        check = self._query_types(body, compiled)
        with bounded_types(0):
            problems = check.query(body, Written(compiled.rewritten, body).ref)
        found: list[PolicyProblem] = [*problems, *unsafe_problems(descend(body), self.refused)]
        if self.strict:
            found += deprecated_problems(descend(body))
        return in_order(found)

    def _query_types(self, body: ast.Body, compiled: Compiled) -> TypeCheck:
        if self._types is None:
            self.calls(compiled)
            self.rules(compiled)
        assert self._types is not None
        self._types.declare_functions(descend(body))
        return self._types


def compile_checked(
    modules: Sequence[ast.Module],
    checks: PolicyChecks,
    *,
    prints: bool = False,
    builtins: Mapping[str, Signature] = OPA_BUILTINS,
    max_errors: int = MAX_ERRORS,
) -> Compiled:
    """Compile modules with all of OPA's checks.

    Args:
        modules: as parsed, in any order.
        checks: used for this compilation, and afterwards for queries against its result.
        prints: keep `print` calls instead of erasing them.
        builtins: the functions that may be called.
        max_errors: how many to report; 0 for all.

    Raises:
        PolicyError: what OPA reports of these modules, in the order of the places.
    """
    nameless = [each for module in modules for each in nameless_problems(module.rules)]
    if nameless:
        raise PolicyError(in_order(nameless))
    try:
        return compile_modules(modules, builtins=builtins, prints=prints, checks=checks)
    except PolicyError as exc:
        raise PolicyError(_limited(exc.problems, max_errors)) from None
    except RecursionError:
        message = "policy is nested too deeply"
        raise PolicyError([PolicyProblem(COMPILE_ERROR, message)]) from None


def _limited(problems: Sequence[PolicyProblem], limit: int) -> list[PolicyProblem]:
    """Return the first problems that were found in order, and that there may be more."""
    if not 0 < limit <= len(problems):
        return in_order(problems)
    return [*in_order(problems[:limit]), _LIMIT_REACHED]


def _input_problems(check: TypeCheck, assumptions: Assumptions) -> list[PolicyProblem]:
    try:
        given = assumptions.input_type()
    except SchemaError as exc:
        return [PolicyProblem(TYPE_ERROR, str(exc))]
    if given is not None:
        check.given.tree.put((ast.Var("input"),), given)
    return []


def _all_rules(compiled: Compiled) -> tuple[ast.Rule, ...]:
    return tuple(rule for module in compiled.modules for rule in module.rules)


@dataclass(frozen=True, slots=True)
class _Dependents:
    graph: Graph
    tree: RuleTree

    def paths(self, target: ast.Ref) -> Sequence[ast.Ref]:
        starts = [each for rule in self.tree.matching(target) for each in rule.all()]
        return [ground_prefix(rule.path) for rule in self.graph.dependents(starts)]
