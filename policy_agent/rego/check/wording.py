"""Types and terms as OPA's messages write them.

Pure. Follows OPA v1.22 v1/types/types.go (String) and v1/ast/check_elide.go: lines above 80
characters show only how two types differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from policy_agent.rego import values
from policy_agent.rego.check.types import (
    AnyOf,
    Array,
    Function,
    Object,
    Plain,
    Recursive,
    Set,
    Type,
)
from policy_agent.rego.values import Frozen, Value, thaw
from policy_agent.rego.work import spend

_ELISION = "..."
_LINE_LIMIT_CHARS = 80
_TYPE_LIMIT_CHARS = 32
_DIFFERENCE_DEPTH = 8


def type_text(one: Type | None) -> str:
    """Return a type in full; `???` when unknown."""
    return _elided(one, -1)


def too_wide(*lines: str) -> bool:
    """Return whether a line is too long to be shown in full."""
    return any(len(line) > _LINE_LIMIT_CHARS for line in lines)


def short_text(one: Type | None) -> str:
    """Return a type, only its outermost part when it is long."""
    full = type_text(one)
    return full if is_short(full) else outermost_text(one)


def outermost_text(one: Type | None) -> str:
    """Return only the outermost part of a type."""
    return _elided(one, 0)


def is_short(text: str) -> bool:
    """Return whether a type's text is never shortened."""
    return len(text) <= _TYPE_LIMIT_CHARS


def _elided(one: Type | None, depth: int) -> str:
    """Return a type with what is nested more than `depth` deep left out; negative for all."""
    spend(1)
    shut = depth == 0

    def part(inner: Type | None) -> str:
        return _ELISION if shut else _elided(inner, depth - 1)

    match one:
        case None:
            return "???"
        case Plain(name):
            return name
        case Recursive(name):
            return f"recursive({name})"
        case Set(of):
            return "set" if of is None else f"set[{part(of)}]"
        case Array(static, dynamic):
            parts = [_ELISION] if shut and static else [part(inner) for inner in static]
            return _composite("array", parts, "" if dynamic is None else part(dynamic))
        case Object():
            return _object_text(one, depth)
        case AnyOf(members):
            return _any_text([_ELISION] if shut and members else list(map(part, members)))
        case Function():
            return _function_elided(one, depth)


def _object_text(one: Object, depth: int) -> str:
    shut = depth == 0
    if shut and one.static:
        parts = [_ELISION]
    else:
        parts = [_property(key, _elided(part, depth - 1)) for key, part in one.static.items()]
    if one.dynamic is None:
        return _composite("object", parts, "")
    key, value = (_elided(part, depth - 1) for part in one.dynamic) if not shut else ("", "")
    return _composite("object", parts, _ELISION if shut else f"{key}: {value}")


def _function_elided(one: Function, depth: int) -> str:
    if depth == 0:
        parts = [_ELISION] if one.args or one.variadic is not None else []
        return _function_text(parts, "???" if one.result is None else _ELISION)
    parts = [_elided(part, depth - 1) for part in one.args]
    if one.variadic is not None:
        parts.append(_elided(one.variadic, depth - 1) + "...")
    return _function_text(parts, _elided(one.result, depth - 1))


def _composite(name: str, static: list[str], dynamic: str) -> str:
    inner = f"<{', '.join(static)}>" if static else ""
    return f"{name}{inner}[{dynamic}]" if dynamic else name + inner


def _any_text(members: list[str]) -> str:
    return f"any<{', '.join(members)}>" if members else "any"


def _function_text(args: list[str], result: str) -> str:
    return f"({', '.join(args)}) => {result}"


def _property(key: Frozen, text: str) -> str:
    return f"{_go_text(thaw(key))}: {text}"


def _go_text(value: Value) -> str:
    """Return a value as Go's fmt prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return str(value).lower()
        case list() | values.RegoSet():
            return f"[{' '.join(map(_go_text, value))}]"
        case dict():
            pairs = (f"{_go_text(thaw(key))}:{_go_text(part)}" for key, part in value.items())
            return f"map[{' '.join(pairs)}]"
    return str(value)


def difference(left: Type | None, right: Type | None, depth: int = 0) -> tuple[str, str]:
    """Return two types, each showing only where it differs from the other."""
    same = type_text(left) == type_text(right)
    if depth < _DIFFERENCE_DEPTH and left is not None and right is not None and not same:
        match left, right:
            case Set(one), Set(two) if one is not None and two is not None:
                first, second = difference(one, two, depth + 1)
                return f"set[{first}]", f"set[{second}]"
            case Array(), Array():
                return _array_difference(left, right, depth)
            case Object(), Object():
                return _object_difference(left, right, depth)
            case AnyOf(), AnyOf():
                return _any_difference(left, right), _any_difference(right, left)
            case Function(), Function() if len(left.args) == len(right.args):
                return _function_difference(left, right, depth)
    return short_text(left), short_text(right)


def _array_difference(left: Array, right: Array, depth: int) -> tuple[str, str]:
    dynamic = left.dynamic is not None
    if len(left.static) != len(right.static) or dynamic != (right.dynamic is not None):
        return _elided(left, 1), _elided(right, 1)
    first, second = _all_differences(left.static, right.static, depth)
    rest = difference(left.dynamic, right.dynamic, depth + 1) if dynamic else ("", "")
    return _composite("array", first, rest[0]), _composite("array", second, rest[1])


def _all_differences(
    left: Iterable[Type | None], right: Iterable[Type | None], depth: int
) -> tuple[list[str], list[str]]:
    pairs = [difference(one, two, depth + 1) for one, two in zip(left, right, strict=True)]
    return [one for one, _ in pairs], [two for _, two in pairs]


def _object_difference(left: Object, right: Object, depth: int) -> tuple[str, str]:
    differing = {
        key: difference(part, right.static[key], depth + 1)
        for key, part in left.static.items()
        if key in right.static and type_text(part) != type_text(right.static[key])
    }
    shared = left.static.keys() & right.static.keys()
    left_out = [_ELISION] if len(shared) > len(differing) else []
    rest = ("", "")
    if left.dynamic is not None and right.dynamic is not None:
        first, second = _all_differences(left.dynamic, right.dynamic, depth)
        rest = ": ".join(first), ": ".join(second)
    elif left.dynamic is not None:
        rest = ": ".join(map(short_text, left.dynamic)), ""
    elif right.dynamic is not None:
        rest = "", ": ".join(map(short_text, right.dynamic))

    def texts(static: Mapping[Frozen, Type | None], side: int) -> list[str]:
        return [
            _property(key, differing[key][side] if key in differing else short_text(part))
            for key, part in static.items()
            if key in differing or key not in shared
        ]

    return (
        _composite("object", texts(left.static, 0) + left_out, rest[0]),
        _composite("object", texts(right.static, 1) + left_out, rest[1]),
    )


def _any_difference(one: AnyOf, other: AnyOf) -> str:
    known = set(map(type_text, other.members))
    own = {type_text(member): short_text(member) for member in one.members}
    left = [short for full, short in own.items() if full not in known]
    return _any_text([*left, _ELISION] if own.keys() & known else left)


def _function_difference(left: Function, right: Function, depth: int) -> tuple[str, str]:
    first, second = _all_differences(left.args, right.args, depth)
    if left.variadic is not None:
        first.append(short_text(left.variadic) + "...")
    if right.variadic is not None:
        second.append(short_text(right.variadic) + "...")
    results = difference(left.result, right.result, depth + 1)
    return _function_text(first, results[0]), _function_text(second, results[1])


def arguments_text(args: Iterable[Type | None]) -> str:
    """Return the types of a call's arguments."""
    return f"({', '.join(map(type_text, args))})"
