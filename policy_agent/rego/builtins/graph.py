"""Walking values and graphs.

Pure. Semantics of OPA v1.22 v1/topdown/walk.go and reachable.go. A graph is an object from each
node to the array or set of its neighbours.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import Builtin, operand_type_error
from policy_agent.rego.context import Context
from policy_agent.rego.values import (
    Frozen,
    RegoSet,
    Value,
    freeze,
    ordered_keys,
    thaw,
)
from policy_agent.rego.work import spend


def walk(value: Value) -> list[Value]:
    """Return `[path, value]` of a value and of everything in it, each before what it holds."""
    found: list[Value] = []
    waiting: list[tuple[list[Value], Value]] = [([], value)]
    while waiting:
        path, item = waiting.pop()
        found.append([path, item])
        spend(len(path) + 1)
        kind = type(item)
        if kind is dict:
            steps = [([*path, thaw(key)], item[key]) for key in ordered_keys(item)]
        elif kind is list:
            steps = [([*path, index], inner) for index, inner in enumerate(item)]
        elif kind is RegoSet:
            steps = [([*path, inner], inner) for inner in item]
        else:
            continue
        steps.reverse()
        waiting += steps
    return found


def _vertices(value: Value) -> list[Value]:
    return list(value) if type(value) is list or type(value) is RegoSet else []


def _initial(value: Value) -> list[Value]:
    if type(value) is list or type(value) is RegoSet:
        return list(value)
    raise operand_type_error(2, value, "{array, set}")


def reachable(graph: Value, initial: Value) -> RegoSet:
    """Return the nodes of a graph that can be reached from some, themselves included."""
    nodes = operands.need_object(graph, 1)
    queue = deque((freeze(node), node) for node in _initial(initial))
    reached: dict[Frozen, Value] = {}
    while queue:
        spend(1)
        key, node = queue.popleft()
        if key in reached or key not in nodes:
            continue
        reached[key] = node
        queue.extend((freeze(near), near) for near in _vertices(nodes[key]))
    return RegoSet(reached)


def reachable_paths(context: Context, graph: Value, initial: Value) -> RegoSet:
    """Return the paths from some nodes to where they end or would begin to repeat."""
    nodes = operands.need_object(graph, 1)
    paths: dict[Frozen, Value] = {}
    # A node to visit, the path before it and which nodes are on that path.
    waiting: list[tuple[Value, list[Value], frozenset[Frozen]]] = []
    for node in _initial(initial):
        key = freeze(node)
        near = _vertices(nodes.get(key))
        # The first step is taken even if it leads straight back.
        waiting += [(vertex, [node], frozenset([key])) for vertex in near]
        if key in nodes and not near:
            paths[freeze([node])] = [node]
    while waiting:
        context.check()
        node, path, passed = waiting.pop()
        key = freeze(node)
        near = _vertices(nodes.get(key))
        if key in nodes:
            path, passed = [*path, node], passed | {key}
        onward = [vertex for vertex in near if freeze(vertex) not in passed]
        waiting += [(vertex, path, passed) for vertex in onward]
        if not near or len(onward) < len(near):
            paths[freeze(path)] = path
    return RegoSet(paths)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("walk", walk),
        Builtin("graph.reachable", reachable),
        Builtin("graph.reachable_paths", reachable_paths, needs_context=True),
    )
}
