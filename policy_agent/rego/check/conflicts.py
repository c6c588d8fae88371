"""Find rules that contradict each other, a package or the base data.

Pure. Follows OPA v1.22 v1/ast/compile.go (checkRuleConflicts) and conflicts.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from policy_agent.errors import Location, PolicyProblem
from policy_agent.late_json import LateJson
from policy_agent.model import UNDEFINED
from policy_agent.rego import ast
from policy_agent.rego.check.constants import is_ground
from policy_agent.rego.check.problems import COMPILE_ERROR, type_problem
from policy_agent.rego.check.references import WriteRef
from policy_agent.rego.check.rules import RuleNode, RuleTree, package_ref
from policy_agent.rego.check.term_text import ref_text
from policy_agent.rego.values import Value


def conflict_problems(
    tree: RuleTree,
    modules: Iterable[ast.Module],
    as_written: WriteRef,
    data: Mapping[str, Value] | None = None,
) -> list[PolicyProblem]:
    """Return the problems of rules that cannot stand beside each other.

    Args:
        tree: all rules.
        modules: those of the rules.
        as_written: gives a reference back the names its author used.
        data: the base documents; rules may not define what is there.
    """
    found = list(_in_tree(tree, as_written))
    root = tree.find(ast.Ref(ast.Var("data"), ()))
    if data is not None and root is not None:
        for child in root.children.values():
            found += _with_data(child, data, "")
    return found + list(_with_packages(tree, list(modules)))


def _in_tree(tree: RuleTree, as_written: WriteRef) -> Iterator[PolicyProblem]:
    for node in tree.below():
        if node.rules:
            yield from _at_node(node, as_written)


def _at_node(node: RuleTree, as_written: WriteRef) -> Iterator[PolicyProblem]:
    rules = node.rules
    name = ref_text(as_written(rules[-1].path))
    below = _conflicts_below(node)
    defaults = [rule for rule in rules if rule.rule.default]
    if below:
        listed = "\n".join(
            f"  rule {ref_text(as_written(each.path))} at {_place(each.location)}" for each in below
        )
        yield type_problem(rules[0].location, f"rule {name} conflicts with:\n{listed}")
    elif _differ(rules):
        yield type_problem(rules[0].location, f"conflicting rules {name} found")
    elif len(defaults) > 1:
        places = ", ".join(_place(each.location) for each in defaults)
        message = f"multiple default rules {name} found at {places}"
        yield type_problem(defaults[0].module.location, message)


def _differ(rules: list[RuleNode]) -> bool:
    """Return whether rules of one path are of different kinds."""
    kinds = {(rule.multiple, is_ground(rule.path)) for rule in rules}
    return len(kinds) > 1 or len({len(rule.args or ()) for rule in rules}) > 1


def _conflicts_below(node: RuleTree) -> list[RuleNode]:
    """Return the rules that define parts of what the rules of a node define."""
    if not node.children:
        return []
    ground = any(is_ground(rule.path) for rule in node.rules)
    found: list[RuleNode] = []
    for child in node.children.values():
        for each in child.below():
            for rule in each.rules:
                if (ground or rule.args) and not any(_begins(rule.path, x.path) for x in found):
                    found = [x for x in found if not _begins(x.path, rule.path)] + [rule]
    return sorted(found, key=lambda rule: ref_text(rule.path))


def _begins(path: ast.Ref, prefix: ast.Ref) -> bool:
    return path.path[: len(prefix.path)] == prefix.path


def _place(location: Location) -> str:
    return f"{location.file}:{location.row}" if location.file else f"{location.row}:{location.col}"


def _with_data(node: RuleTree, data: Any, above: str) -> Iterator[PolicyProblem]:
    if not isinstance(node.term, ast.Scalar) or not isinstance(node.term.value, str):
        return
    key = node.term.value
    below = _member(data, key)
    if below is UNDEFINED:
        return
    path = f"{above}{key}"
    if node.rules:
        message = f"conflicting rule for data path {path} found"
        yield PolicyProblem(COMPILE_ERROR, message, node.rules[0].location)
    else:
        for child in node.children.values():
            yield from _with_data(child, below, f"{path}/")


def _member(data: Any, key: str) -> Any:
    if isinstance(data, LateJson):
        data.keep_late(key)
        return data.member(key)
    return data.get(key, UNDEFINED) if isinstance(data, dict) else UNDEFINED


def _with_packages(tree: RuleTree, modules: list[ast.Module]) -> Iterator[PolicyProblem]:
    packages: dict[ast.Ref, list[ast.Module]] = {}
    for module in modules:
        packages.setdefault(package_ref(module), []).append(module)
    for node in tree.below():
        for rule in node.rules:
            if not is_ground(rule.path):
                continue
            for module in packages.get(rule.path, ()):
                package = ref_text(package_ref(module)).removeprefix("data.")
                head = ref_text(rule.rule.head.reference)
                message = (
                    f"package {package} conflicts with rule {head}"
                    f" defined at {_place(rule.location)}"
                )
                yield type_problem(rule.module.location, message)
