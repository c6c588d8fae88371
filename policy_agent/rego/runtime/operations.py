"""What plan statements do with values; called by generated code.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from policy_agent.errors import EvaluationError, PolicyProblem
from policy_agent.late_json import LateJson
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego.values import RegoSet, Value, equal, freeze, ordered_keys, thaw

CONFLICT = "eval_conflict_error"


def dot(source: Value, key: Value) -> Value:
    """Return `source[key]`, UNDEFINED where there is none."""
    kind = type(source)
    if kind is dict:
        return source.get(key if type(key) is str else freeze(key), UNDEFINED)
    if kind is list:
        if type(key) is Number:
            key = _index(key)
        if type(key) is int and 0 <= key < len(source):
            return source[key]
        return UNDEFINED
    if kind is RegoSet:
        return source.members.get(freeze(key), UNDEFINED)
    return source.member(key) if kind is LateJson else UNDEFINED


def _index(number: Number) -> int | None:
    """Return the index that a number written with a point stands for (OPA v1.22 util.Atoi64)."""
    digits, _, zeros = number.text.partition(".")
    return int(digits) if not zeros.strip("0") and digits.lstrip("-").isdecimal() else None


def items(source: Value) -> Sequence[tuple[Value, Value]]:
    """Return the keys and values of a collection in Rego's order, () for a scalar."""
    kind = type(source)
    if kind is list:
        return list(enumerate(source))
    if kind is dict:
        return [
            (key if type(key) is str else thaw(key), source[key]) for key in ordered_keys(source)
        ]
    if kind is RegoSet:
        return [(member, member) for member in source]
    return ()


def elements(source: Value) -> Sequence[Value]:
    """Return the values of a collection in Rego's order, () for a scalar."""
    kind = type(source)
    if kind is list:
        return list(source)
    if kind is dict:
        return [source[key] for key in ordered_keys(source)]
    if kind is RegoSet:
        return list(source)
    return ()


def size(source: Value) -> Value:
    """Return the number of elements of a collection or characters of a string."""
    return len(source) if type(source) in (list, dict, RegoSet, str) else UNDEFINED


def set_add(target: RegoSet, value: Value) -> None:
    """Add a value to a set under construction."""
    target.members[freeze(value)] = value


def conflict(message: str) -> NoReturn:
    """End the evaluation because a document would have two values.

    Raises:
        EvaluationError: always.
    """
    raise EvaluationError(PolicyProblem(CONFLICT, message))


def once(current: Value, value: Value, name: str) -> Value:
    """Return `value` for a document that so far is `current`.

    Args:
        name: what produces it: `rule data.app.allow`.

    Raises:
        EvaluationError: it already has another value.
    """
    if current is not UNDEFINED and not equal(current, value):
        if name.startswith("function "):
            conflict(f"{name} produced conflicting values for the same inputs")
        conflict(f"{name} produced conflicting values")
    return value


def insert_once(target: dict[Value, Value], key: Value, value: Value) -> None:
    """Insert a key that must be new or hold the same value.

    Raises:
        EvaluationError: the key holds another value.
    """
    frozen = freeze(key)
    known = target.get(frozen, UNDEFINED)
    if known is UNDEFINED:
        target[frozen] = value
    elif not equal(known, value):
        conflict("object keys must be unique")


def merge(first: Value, second: Value) -> Value:
    """Return two documents as one; where both have a value that is no object, the first's."""
    if type(first) is not dict or type(second) is not dict:
        return first
    merged = dict(second)
    for key, value in first.items():
        merged[key] = merge(value, second[key]) if key in second else value
    return merged


def upsert(source: Value, path: Iterable[str], value: Value) -> Value:
    """Return a copy of `source` with `value` at `path`; what is shared is not changed."""
    keys = list(path)
    root: dict[Value, Value] = dict(source) if type(source) is dict else {}
    node = root
    for key in keys[:-1]:
        below = node.get(key)
        node[key] = dict(below) if type(below) is dict else {}
        node = node[key]
    node[keys[-1]] = value
    return root
