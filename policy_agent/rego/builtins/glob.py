"""Glob functions.

Pure. Semantics of OPA v1.22 v1/topdown/glob.go.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from policy_agent.glob_pattern import GlobError, translate
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.go_regexp import Pattern, compile_pattern
from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.registry import (
    Builtin,
    BuiltinError,
    element_type_error,
    operand_type_error,
)
from policy_agent.rego.values import Value

_CACHED_GLOBS: Final = 1000
_SPECIAL: Final = re.compile(r"[*?\\\[\]{}]")


@lru_cache(_CACHED_GLOBS)
def _compiled(pattern: str, delimiters: str) -> Pattern:
    try:
        return compile_pattern(translate(pattern, delimiters))
    except GlobError as exc:
        raise BuiltinError(str(exc)) from None


def _delimiters(value: Value) -> str:
    if value is None:
        return ""
    if type(value) is not list:
        raise operand_type_error(2, value, "array", "null")
    for item in value:
        if type(item) is not str:
            raise element_type_error(2, value, item, "string")
        if len(item) != 1:
            raise element_type_error(2, value, item, "rune")
    return "".join(value) or "."


def match(pattern: Value, delimiters: Value, text: Value) -> bool:
    """Return whether a glob matches a whole string.

    Raises:
        BuiltinError: the glob is malformed.
    """
    glob = operands.need_string(pattern, 1)
    separators = _delimiters(delimiters)
    return _compiled(glob, separators).search(to_bytes(operands.need_string(text, 3)))


def quote_meta(text: Value) -> str:
    """Return a string as a glob that matches only itself."""
    return _SPECIAL.sub(r"\\\g<0>", operands.need_string(text, 1))


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (Builtin("glob.match", match), Builtin("glob.quote_meta", quote_meta))
}
