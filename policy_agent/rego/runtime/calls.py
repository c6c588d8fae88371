"""Built-in functions as generated code calls them: with the scope first, errors as undefined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from policy_agent.errors import EvaluationError, PolicyProblem
from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, HaltError
from policy_agent.rego.runtime.scope import Scope
from policy_agent.rego.values import Value

# Built-ins that have a value for any operands; they are called as they are.
NEVER_FAIL: Final = frozenset(
    {"assign", "eq", "equal", "neq", "lt", "lte", "gt", "gte", "type_name"}
    | {"internal.member_2", "internal.member_3", "is_array", "is_boolean", "is_null"}
    | {"is_number", "is_object", "is_set", "is_string"}
)


def guarded(builtin: Builtin) -> Callable[..., Value]:
    """Return a function `(scope, *operands)` that has no value where the built-in fails."""
    function, name = builtin.function, builtin.name

    def call(scope: Scope, *operands: Value) -> Value:
        try:
            return function(*operands)
        except BuiltinError as exc:
            return _failed(scope, name, exc)

    def call_with_context(scope: Scope, *operands: Value) -> Value:
        try:
            return function(scope.context, *operands)
        except BuiltinError as exc:
            return _failed(scope, name, exc)

    return call_with_context if builtin.needs_context else call


def _failed(scope: Scope, name: str, error: BuiltinError) -> Value:
    message = error.describe(name)
    if scope.context.strict or isinstance(error, HaltError):
        raise EvaluationError(PolicyProblem(error.code, message)) from error
    scope.context.builtin_errors.append(message)
    return UNDEFINED
