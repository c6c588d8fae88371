"""What policies write for people: `print`, `trace` and template strings.

Semantics of OPA v1.22 v1/topdown/print.go and template_string.go. The compiler wraps each operand
of `print` and of a template string in a set, which is empty when the operand is undefined.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.registry import Builtin, HaltError
from policy_agent.rego.builtins.value_text import display_text
from policy_agent.rego.context import Context
from policy_agent.rego.values import RegoSet, Value, type_name

_UNDEFINED_TEXT: Final = "<undefined>"


def _alternatives(whole: Value) -> list[list[str]]:
    return [_texts(item) for item in operands.need_array(whole, 1)]


def _texts(item: Value) -> list[str]:
    if type(item) is RegoSet:
        return [display_text(member) for member in item] or [_UNDEFINED_TEXT]
    if type(item) is list or type(item) is dict:
        raise HaltError(f"illegal argument type: {type_name(item)}", code="eval_internal_error")
    return [display_text(item)]


def internal_print(context: Context, whole: Value) -> bool:
    """Write one line for every combination of the operands' values."""
    context.prints.extend(" ".join(row) for row in product(*_alternatives(whole)))
    return True


def template_string(whole: Value) -> str:
    """Return the parts of a template string as one.

    Raises:
        HaltError: a part has several values.
    """
    parts = _alternatives(whole)
    if any(len(texts) > 1 for texts in parts):
        message = "template-strings must not produce multiple outputs"
        raise HaltError(message, code="eval_conflict_error")
    return "".join(texts[0] for texts in parts)


def trace(note: Value) -> bool:
    """Return true; the note is for tracers, of which there are none."""
    operands.need_string(note, 1)
    return True


def print_(context: Context, *items: Value) -> bool:
    """Write the operands on one line, where the compiler has not rewritten the call."""
    context.prints.append(" ".join(map(display_text, items)))
    return True


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("internal.print", internal_print, needs_context=True),
        Builtin("internal.template_string", template_string),
        Builtin("print", print_, needs_context=True),
        Builtin("trace", trace),
    )
}
