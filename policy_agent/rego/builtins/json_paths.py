"""Documents cut down by paths: `json.filter` and `json.remove`.

Pure. Semantics of OPA v1.22 v1/topdown/json.go. A path is an array of keys or a JSON pointer; array
items are addressed by the index as a string.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.json_patch import patch
from policy_agent.rego.builtins.json_pointer import parse_path
from policy_agent.rego.builtins.registry import Builtin, operand_type_error
from policy_agent.rego.values import Frozen, RegoSet, Value, freeze

# Key -> what is selected below it; None selects everything.
Tree = dict[Frozen, Any]


def _tree(paths: Value) -> Tree:
    if type(paths) is not list and type(paths) is not RegoSet:
        raise operand_type_error(2, paths, "set", "array")
    root: Tree = {}
    for path in map(parse_path, paths):
        node: Tree | None = root
        for step in map(freeze, path[:-1]):
            node = None if node is None else node.setdefault(step, {})
        if path and node is not None:
            node[freeze(path[-1])] = None
    return root


def filter_(whole: Value, paths: Value) -> Value:
    """Return an object with only what the paths select."""
    return _kept(operands.need_object(whole, 1), _tree(paths))


def _kept(value: Value, tree: Tree | None) -> Value:
    if tree is None:
        return value
    kind = type(value)
    if kind is dict:
        return {key: _kept(item, tree[key]) for key, item in value.items() if key in tree}
    if kind is list:
        chosen = ((str(index), item) for index, item in enumerate(value))
        return [_kept(item, tree[index]) for index, item in chosen if index in tree]
    if kind is RegoSet:
        members = value.members.items()
        return RegoSet.of(_kept(item, tree[key]) for key, item in members if key in tree)
    return value


def remove(whole: Value, paths: Value) -> Value:
    """Return an object without what the paths select; array items close up."""
    return _left(operands.need_object(whole, 1), _tree(paths))


def _left(value: Value, tree: Tree) -> Value:
    kind = type(value)
    if kind is dict:
        return dict(_rest(value.items(), tree))
    if kind is list:
        numbered = ((str(index), item) for index, item in enumerate(value))
        return [item for _, item in _rest(numbered, tree)]
    if kind is RegoSet:
        return RegoSet.of(item for _, item in _rest(value.members.items(), tree))
    return value


def _rest(items: Iterable[tuple[Frozen, Value]], tree: Tree) -> Iterator[tuple[Frozen, Value]]:
    for key, item in items:
        below = tree.get(key, UNDEFINED)
        if below is UNDEFINED:
            yield key, item
        elif below is not None:
            yield key, _left(item, below)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("json.filter", filter_),
        Builtin("json.remove", remove),
        Builtin("json.patch", patch),
    )
}
