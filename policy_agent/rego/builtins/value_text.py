"""Values as Rego writes them.

Pure. Semantics of OPA v1.22 v1/ast/term.go (`String`).
"""

from __future__ import annotations

from typing import Final

from policy_agent.rego.builtins.go_text import quote
from policy_agent.rego.values import RegoSet, Value, ordered_keys, thaw
from policy_agent.rego.work import spend

_WORDS: Final = {None: "null", True: "true", False: "false"}


def value_text(value: Value) -> str:
    """Return a value as Rego text."""
    kind = type(value)
    if kind is str:
        return quote(value)
    if value is None or kind is bool:
        return _WORDS[value]
    if kind is list or kind is RegoSet or kind is dict:
        spend(len(value))
    if kind is list:
        return f"[{', '.join(map(value_text, value))}]"
    if kind is RegoSet:
        return f"{{{', '.join(map(value_text, value))}}}" if len(value) else "set()"
    if kind is dict:
        pairs = (
            f"{value_text(thaw(key))}: {value_text(value[key])}" for key in ordered_keys(value)
        )
        return f"{{{', '.join(pairs)}}}"
    return getattr(value, "text", None) or str(value)


def display_text(value: Value) -> str:
    """Return a value as `print` and templates show it: a string is itself."""
    return value if type(value) is str else value_text(value)
