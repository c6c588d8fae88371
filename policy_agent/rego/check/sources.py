"""Checks of modules as written: imports, and names that hide `input` and `data`.

Pure. Follows OPA v1.22 v1/ast/rego_v1.go and compile.go (checkImports, checkKeywordOverrides).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policy_agent.errors import PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.problems import COMPILE_ERROR
from policy_agent.rego.check.term_text import term_text
from policy_agent.rego.check.unused import import_name, import_text, unused_problems
from policy_agent.rego.compile.nodes import ROOTS, call_name, descend


def source_problems(
    modules: Sequence[ast.Module], *, strict: bool = False
) -> Iterator[PolicyProblem]:
    """Iterate over what Rego v1 refuses of modules as parsed, and Rego v0 when `strict`."""
    checked = [module for module in modules if strict or module.rego_version > 0]
    for module in checked:
        yield from _shadowing(module)
        yield from _imports(module)
    if strict:
        yield from unused_problems(modules)


def _shadowing(module: ast.Module) -> Iterator[PolicyProblem]:
    for rule in module.rules:
        if rule.head.name in ROOTS:
            message = f"rules must not shadow {rule.head.name} (use a different rule name)"
            yield PolicyProblem(COMPILE_ERROR, message, rule.location)
    yield from _assignments(module.rules)


def _root(term: ast.Term) -> str:
    text = term_text(term) if isinstance(term, ast.Var | ast.Ref) else ""
    return text if text in ROOTS else ""


def _assignments(node: ast.Body | tuple[ast.Rule, ...]) -> Iterator[PolicyProblem]:
    for each in descend(node):
        if isinstance(each, ast.Expr) and call_name(each) == "assign":
            assert isinstance(each.statement, ast.Call)
            name = _root(each.statement.args[0]) if each.statement.args else ""
            if name:
                message = f"variables must not shadow {name} (use a different variable name)"
                yield PolicyProblem(COMPILE_ERROR, message, each.location)


def _imports(module: ast.Module) -> Iterator[PolicyProblem]:
    seen: dict[str, ast.Import] = {}
    for each in module.imports:
        first = seen.setdefault(import_name(each), each)
        if first is not each:
            message = f"import must not shadow {import_text(first)}"
            yield PolicyProblem(COMPILE_ERROR, message, each.location)
