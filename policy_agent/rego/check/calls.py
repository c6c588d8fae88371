"""Check the arguments of calls, of `=` and of `in`.

Pure. Follows OPA v1.22 v1/ast/check.go (checkExprBuiltin, checkExprEq, checkExprMember).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.compatible import compatible
from policy_agent.rego.check.environment import Environment
from policy_agent.rego.check.inference import fits, unify
from policy_agent.rego.check.problems import CheckProblem, type_problem
from policy_agent.rego.check.signatures import signature
from policy_agent.rego.check.term_text import ref_text
from policy_agent.rego.check.types import Array, Function, Object, Set, Type, is_any, is_unknown
from policy_agent.rego.check.wording import (
    difference,
    is_short,
    outermost_text,
    short_text,
    too_wide,
    type_text,
)

_EQUALITY_OPERANDS = 2
_MEMBER: Final = {"internal.member_2": 2, "internal.member_3": 3}
_MATCH_ERROR_PAGE = "https://www.openpolicyagent.org/docs/errors/rego-type-error/match-error"


class Wanted(Struct, frozen=True):
    """The arguments that a function takes.

    Attributes:
        named: name, "" for none, and type of each.
        variadic: the type of any further ones.
    """

    named: tuple[tuple[str, Type | None], ...]
    variadic: Type | None = None

    @classmethod
    def of(cls, function: Function, *, result: bool = False) -> Wanted:
        """Return a function's arguments, with its result as the last if it has one."""
        names = function.names or ("",) * len(function.args)
        named = tuple(zip(names, function.args, strict=True))
        if result and function.result is not None:
            named = (*named, (function.result_name, function.result))
        return cls(named, function.variadic)

    def type_at(self, position: int) -> Type | None:
        """Return the type of one argument."""
        return self.named[position][1] if position < len(self.named) else self.variadic


def call_problem(env: Environment, call: ast.Call, location: Location) -> CheckProblem | None:
    """Return what is wrong with a call; variables learn their types from its arguments."""
    name = ref_text(call.operator)
    if name == "eq":
        return _equality_problem(env, call, location)
    if name in _MEMBER and (problem := _member_problem(env, call, location, _MEMBER[name])):
        return problem
    function = env.type_of_ref(call.operator)
    if is_any(function):
        return None
    if not isinstance(function, Function):
        return type_problem(location, f"undefined function {name}")
    wanted = Wanted.of(function, result=True)
    if len(call.args) > len(wanted.named) and function.variadic is None:
        return _argument_problem(env, call, location, "too many arguments", wanted)
    if len(call.args) < len(function.args):
        return _argument_problem(env, call, location, "too few arguments", wanted)
    return _mismatch(env, call, location, wanted)


def _mismatch(
    env: Environment, call: ast.Call, location: Location, wanted: Wanted
) -> CheckProblem | None:
    before = [env.type_of(arg) for arg in call.args]
    for position, (arg, have) in enumerate(zip(call.args, before, strict=True)):
        want = wanted.type_at(position)
        if not is_unknown(have) and not compatible(have, want):
            return argument_problem(location, call.operator, "invalid argument(s)", before, wanted)
        if not fits(env, arg, want):
            return _argument_problem(env, call, location, "invalid argument(s)", wanted)
    return None


def _argument_problem(
    env: Environment, call: ast.Call, location: Location, what: str, wanted: Wanted
) -> CheckProblem:
    have = [env.type_of(arg) for arg in call.args]
    return argument_problem(location, call.operator, what, have, wanted)


def argument_problem(
    location: Location,
    function: ast.Ref,
    what: str,
    have: Sequence[Type | None],
    wanted: Wanted,
) -> CheckProblem:
    """Return the problem of a function that was given other arguments than it takes."""
    lines = _argument_lines(have, wanted)
    unknown = any(map(is_unknown, have))
    return type_problem(location, f"{ref_text(function)}: {what}", lines, of_unknown=unknown)


def _argument_lines(have: Sequence[Type | None], wanted: Wanted) -> tuple[str, str]:
    given = list(map(type_text, have))
    taken = [_named(name, type_text(one)) for name, one in wanted.named]
    rest = [] if wanted.variadic is None else [type_text(wanted.variadic) + "..."]
    lines = f"have: ({', '.join(given)})", f"want: ({', '.join(taken + rest)})"
    if not too_wide(*lines):
        return lines
    given = list(map(short_text, have))
    taken = [_short_named(name, one) for name, one in wanted.named]
    for position, (one, (name, want)) in enumerate(zip(have, wanted.named, strict=False)):
        if one is None or want is None or not compatible(one, want):
            given[position], shown = difference(one, want)
            taken[position] = _named(name, shown)
    if wanted.variadic is not None:
        rest = [short_text(wanted.variadic) + "..."]
    return f"have: ({', '.join(given)})", f"want: ({', '.join(taken + rest)})"


def _named(name: str, text: str) -> str:
    return f"{name}: {text}" if name else text


def _short_named(name: str, one: Type | None) -> str:
    full = _named(name, type_text(one))
    return full if is_short(full) else _named(name, outermost_text(one))


def _equality_problem(env: Environment, call: ast.Call, location: Location) -> CheckProblem | None:
    count = len(call.args)
    if count != _EQUALITY_OPERANDS:
        what = "too few arguments" if count < _EQUALITY_OPERANDS else "too many arguments"
        function = signature("eq")
        assert function is not None
        return _argument_problem(env, call, location, what, Wanted.of(function))
    left, right = call.args
    one, two = env.type_of(left), env.type_of(right)
    return None if unify(env, left, right) else _match_problem(location, one, two)


def _match_problem(location: Location, left: Type | None, right: Type | None) -> CheckProblem:
    lines = [f"left  : {type_text(left)}", f"right : {type_text(right)}"]
    if too_wide(*lines):
        one, two = difference(left, right)
        lines = [f"left  : {one}", f"right : {two}"]
    for kind, name in ((Object, "objects"), (Array, "arrays"), (Set, "sets")):
        if isinstance(left, kind) and isinstance(right, kind):
            lines.append(
                f"hint  : both sides are {name} but their types differ, so they can never be equal"
                f" (see {_MATCH_ERROR_PAGE})"
            )
    unknown = is_unknown(left) or is_unknown(right)
    return type_problem(location, "match error", lines, of_unknown=unknown)


def _member_problem(
    env: Environment, call: ast.Call, location: Location, arity: int
) -> CheckProblem | None:
    if len(call.args) < arity:
        return None
    *searched, collection = call.args[:arity]
    type_ = env.type_of(collection)
    # What has no items holds nothing, which is no error.
    wanted = types.values_of(type_)
    if wanted is None:
        return None
    pairs: list[tuple[ast.Term, Type | None]] = [(searched[-1], wanted)]
    if len(searched) > 1:
        pairs.insert(0, (searched[0], types.keys(type_)))
    for term, want in pairs:
        if is_unknown(want):
            continue
        have = env.type_of(term)
        known_to_differ = not is_unknown(have) and not compatible(have, want)
        if known_to_differ or not fits(env, term, want):
            return _match_problem(location, have, want)
    return None
