"""Built-in functions as generated code calls them: with the scope first, errors as undefined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from policy_agent.errors import EvaluationError, PolicyProblem
from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins.registry import ELEMENT_SIZE, Builtin, BuiltinError, HaltError
from policy_agent.rego.runtime.scope import Scope
from policy_agent.rego.values import RegoSet, Value

# Built-ins that have a value for any operands; they are called as they are.
NEVER_FAIL: Final = frozenset(
    {"assign", "eq", "equal", "neq", "lt", "lte", "gt", "gte", "type_name"}
    | {"internal.member_2", "internal.member_3", "is_array", "is_boolean", "is_null"}
    | {"is_number", "is_object", "is_set", "is_string"}
)

# A call counts as so many steps of a loop: what is called may take long.
_STEPS: Final = 100
_SIZED: Final = frozenset({str, list, dict, RegoSet})
# What takes no time worth counting, and no memory.
_ALWAYS_SMALL: Final = frozenset(
    {"abs", "count", "endswith", "minus", "object.get", "plus", "startswith"}
)
# Smaller results are as good as free.
_SMALL: Final = 10_000


def guarded(builtin: Builtin) -> Callable[..., Value]:
    """Return a function `(scope, *operands)` that has no value where the built-in fails."""
    function, name = builtin.function, builtin.name

    def call_small(scope: Scope, *operands: Value) -> Value:
        try:
            return function(*operands)
        except BuiltinError as exc:
            return _failed(scope, name, exc)

    def call(scope: Scope, *operands: Value) -> Value:
        left = scope.steps = scope.steps - _STEPS
        try:
            result = function(*operands)
        except BuiltinError as exc:
            return _failed(scope, name, exc)
        if left < 0 or (type(result) in _SIZED and len(result) > _SMALL):
            _account(scope, name, result)
        return result

    def call_with_context(scope: Scope, *operands: Value) -> Value:
        return call(scope, scope.context, *operands)

    if builtin.needs_context:
        return call_with_context
    return call_small if name in _ALWAYS_SMALL else call


def _account(scope: Scope, name: str, result: Value) -> None:
    """Look at the clock, and at how much has been made."""
    scope.spend(0)
    if type(result) in _SIZED and len(result) > _SMALL:
        scope.context.take(name, len(result) * (1 if type(result) is str else ELEMENT_SIZE))


def _failed(scope: Scope, name: str, error: BuiltinError) -> Value:
    message = error.describe(name)
    if scope.context.strict or isinstance(error, HaltError):
        raise EvaluationError(PolicyProblem(error.code, message)) from error
    scope.context.builtin_errors.append(message)
    return UNDEFINED
