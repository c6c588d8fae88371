"""Compile queries against compiled modules: the passes in OPA's order.

Pure. Follows OPA v1.22 v1/ast/compile.go (queryCompiler).
"""

from __future__ import annotations

from collections.abc import Sequence

from policy_agent.rego import ast
from policy_agent.rego.compile.capture import capture_values
from policy_agent.rego.compile.compiled import (
    NO_CHECKS,
    Checks,
    Compiled,
    CompiledQuery,
    bounded,
    require,
)
from policy_agent.rego.compile.expand import Expansion
from policy_agent.rego.compile.hoist import ComprehensionTerms, DynamicTerms
from policy_agent.rego.compile.locals import LocalNames
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import ROOTS
from policy_agent.rego.compile.prints import Prints, erase_prints_in_body
from policy_agent.rego.compile.problems import Problems
from policy_agent.rego.compile.resolve import exported_names, global_names, resolve_query
from policy_agent.rego.compile.safety import BodySafety, unsafe_problems
from policy_agent.rego.compile.scopes import Scopes
from policy_agent.rego.compile.templates import Templates
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.compile.withs import Withs


def compile_query(
    body: ast.Body,
    compiled: Compiled,
    *,
    package: tuple[str, ...] | None = None,
    imports: Sequence[ast.Import] = (),
    checks: Checks = NO_CHECKS,
    capture: bool = False,
) -> CompiledQuery:
    """Compile a query against modules.

    Args:
        body: as parsed.
        compiled: what the query may refer to.
        package: the package that the query is asked in, None for none.
        imports: imports that hold in the query.
        checks: further checks, run at the stages where OPA runs them.
        capture: give each expression's value a variable, so that a false one is a result.

    Raises:
        PolicyError: the errors of the first stage that found any.
    """
    with bounded():
        exported = exported_names(compiled.modules).get(package, set()) if package else set()
        problems = Problems()
        body = resolve_query(body, global_names(package or (), exported, imports))
        if capture:
            body = capture_values(body, compiled.arity, compiled.builtins)
        return _compile_query(body, compiled, problems, checks)


def _compile_query(
    body: ast.Body,
    compiled: Compiled,
    problems: Problems,
    checks: Checks,
) -> CompiledQuery:
    names = Names(variables(body), "__localq")
    scopes = Scopes(names)
    body = LocalNames(names, scopes, problems).body(body)
    problems.raise_found()
    rewritten = scopes.rewritten

    templates = Templates(
        names, compiled.arity, compiled.builtins, compiled.is_defined, rewritten, problems
    )
    body = templates.query(body)
    problems.raise_found()
    if compiled.prints:
        body = Prints(names, compiled.arity, rewritten, problems).body(body)
        problems.raise_found()
    else:
        body = erase_prints_in_body(body)
    body = Expansion(names).body(body)
    body = ComprehensionTerms(names).body(body)
    body = Withs(names, compiled.tree, compiled.builtins, problems).body(body)
    problems.raise_found()
    require(checks.query_calls(body, compiled))
    safety = BodySafety(compiled.arity)
    body = safety.body(body, ROOTS)
    require(unsafe_problems(safety.unsafe, rewritten, ""))
    body = DynamicTerms(names).body(body)
    require(checks.query(body, compiled))
    return CompiledQuery(body, rewritten)
