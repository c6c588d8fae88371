"""What a built-in function is to the engine, and how it fails.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from policy_agent.rego.values import Value, type_name

BUILTIN_ERROR: Final = "eval_builtin_error"
# Of one result, in characters. OPA has no limit; an agent in a function must have one.
MAX_SIZE: Final = 64 << 20
# What an element of an array or set counts as.
ELEMENT_SIZE: Final = 16
TYPE_ERROR: Final = "eval_type_error"


class Builtin(Struct, frozen=True):
    """A built-in function.

    Attributes:
        name: as policies call it.
        function: takes the operands by position (after a `Context` if `needs_context`) and returns
            a value or UNDEFINED; it changes no operand. A relation (`walk`) returns a list of its
            values.
        deterministic: whether equal operands always give equal results.
        needs_context: whether the evaluation's `Context` is the first argument.
    """

    name: str
    function: Callable[..., Value]
    deterministic: bool = True
    needs_context: bool = False


class BuiltinError(Exception):
    """A built-in function has no value for its operands: undefined, an error if strict.

    Attributes:
        message: OPA's words without the function's name.
        code: OPA's class of the error.
    """

    def __init__(self, message: str, *, code: str = BUILTIN_ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    def describe(self, name: str) -> str:
        """Return OPA's message: the function's name, then what is wrong."""
        return f"{name}: {self.message}"


class HaltError(BuiltinError):
    """A built-in function failed in a way that always ends the evaluation."""


def check_size(size: int) -> None:
    """Refuse a result before it is made; `size` is in characters.

    Raises:
        HaltError: it is too large.
    """
    if size > MAX_SIZE:
        raise HaltError(f"the result would be larger than {MAX_SIZE >> 20} MB")


def operand_error(position: int, problem: str) -> BuiltinError:
    """Return the error for an operand; `position` counts from 1, `problem` follows it."""
    return BuiltinError(f"operand {position} {problem}", code=TYPE_ERROR)


def operand_type_error(position: int, got: Value, *expected: str) -> BuiltinError:
    """Return the error for an operand of another type than `expected`."""
    wanted = expected[0] if len(expected) == 1 else f"one of {{{', '.join(expected)}}}"
    return operand_error(position, f"must be {wanted} but got {type_name(got)}")


def element_type_error(position: int, whole: Value, got: Value, *expected: str) -> BuiltinError:
    """Return the error for an operand whose element `got` has another type than `expected`."""
    kind, found = type_name(whole), type_name(got)
    if len(expected) == 1:
        wanted = f"{kind} of {expected[0]}s"
    else:
        wanted = f"{kind} of (any of) {{{', '.join(expected)}}}"
    return operand_error(position, f"must be {wanted} but got {kind} containing {found}")
