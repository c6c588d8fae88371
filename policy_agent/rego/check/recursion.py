"""Find rules that need themselves.

Pure. Follows OPA v1.22 v1/ast/compile.go (checkRecursion). Where only the value of a variable
decides it, the message says what would close the circle.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import pairwise

from policy_agent.errors import PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.graph import Graph, Need
from policy_agent.rego.check.origins import Condition, cause_text
from policy_agent.rego.check.problems import RECURSION_ERROR
from policy_agent.rego.check.references import WriteRef
from policy_agent.rego.check.rules import RuleNode
from policy_agent.rego.check.term_text import ref_text

Edges = Callable[[RuleNode], Collection[RuleNode]]


def recursion_problems(graph: Graph, as_written: WriteRef) -> list[PolicyProblem]:
    """Return one problem for each rule that may need itself."""
    found = []
    for rule in graph.leading_to_circles():
        path = _path(lambda each: graph.edges[each], rule)
        if not path:
            continue
        what = "is recursive"
        cause = ""
        if not _is_certain(graph, path):
            certain = _path(lambda each: _certain_edges(graph, each), rule)
            if certain:
                path = certain
            else:
                what = "may be recursive"
                cause = _cause(graph, path, as_written)
        names = [ref_text(as_written(each.path)) for each in path]
        message = f"rule {names[0]} {what}: {' -> '.join(names)}{cause}"
        found.append(PolicyProblem(RECURSION_ERROR, message, rule.location))
    return found


def _certain_edges(graph: Graph, rule: RuleNode) -> list[RuleNode]:
    return [target for target, certain in graph.edges[rule].items() if certain]


def _is_certain(graph: Graph, path: list[RuleNode]) -> bool:
    return all(graph.edges[one][two] for one, two in pairwise(path))


def _path(edges: Edges, start: RuleNode) -> list[RuleNode]:
    """Return the rules from one back to itself, first found first; empty if it does not return."""
    path = [start]
    stack = [iter(edges(start))]
    visited = {start}
    while stack:
        if start in edges(path[-1]):
            return [*path, start]
        following = next((each for each in stack[-1] if each not in visited), None)
        if following is None:
            stack.pop()
            path.pop()
        else:
            visited.add(following)
            path.append(following)
            stack.append(iter(edges(following)))
    return []


def _cause(graph: Graph, path: list[RuleNode], as_written: WriteRef) -> str:
    for index, (rule, target) in enumerate(pairwise(path)):
        if graph.edges[rule][target]:
            continue
        need = _first_need(graph, rule, target)
        # Past the target's path the reference only reads from its value.
        length = len(target.path.path)
        ref = as_written(ast.Ref(need.ref.head, need.ref.path[:length], need.ref.location))
        place = f" in {ref_text(as_written(rule.path))}" if index else ""
        condition = Condition(rule, target, need, ref, ref_text(as_written(rule.path)))
        closing = cause_text(condition, ref_text(as_written(target.path)), as_written)
        return f" ({ref_text(ref)}{place}{closing})"
    return ""


def _first_need(graph: Graph, rule: RuleNode, target: RuleNode) -> Need:
    return next(
        need for need in graph.needs[rule] if any(target in each.all() for each in need.rules)
    )
