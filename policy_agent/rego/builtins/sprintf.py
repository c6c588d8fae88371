"""`sprintf`.

Pure. Semantics of OPA v1.22 v1/topdown/strings.go: numbers written with a fraction or an exponent
are doubles, others integers; whatever is no number and no string is its Rego text.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Final

from policy_agent.number import Number
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.go_format import Operand, sprintf
from policy_agent.rego.builtins.registry import Builtin, check_size
from policy_agent.rego.builtins.value_text import value_text
from policy_agent.rego.values import Value

_CACHED_FORMATS: Final = 1000
_DIRECTIVE: Final = re.compile("%(.?)", re.DOTALL)
_PLAIN_VERBS: Final = frozenset("svd%")


def _operand(value: Value) -> Operand:
    if type(value) is int or type(value) is str:
        return value
    if isinstance(value, Number) and value.text != "-0":
        double = float(value)
        return value.text if math.isinf(double) else double
    return 0 if isinstance(value, Number) else value_text(value)


@lru_cache(_CACHED_FORMATS)
def _plain(template: str) -> tuple[str, str] | None:
    """Return Python's form of a format of bare `%s`, `%v` and `%d`, and these verbs in order."""
    verbs: list[str] = _DIRECTIVE.findall(template)
    if not set(verbs) <= _PLAIN_VERBS:
        return None
    python = _DIRECTIVE.sub(lambda found: found[0].replace("v", "s"), template)
    return python, "".join(verb for verb in verbs if verb != "%")


def _fits(verb: str, item: Value) -> bool:
    return type(item) is (str if verb == "s" else int) or (verb == "v" and type(item) is str)


def format_(text: Value, values: Value) -> str:
    """Return a format with its directives replaced by an array's items."""
    template, items = operands.need_string(text, 1), operands.need_array(values, 2)
    plain = _plain(template)
    if plain and len(items) == len(plain[1]) and all(map(_fits, plain[1], items)):
        check_size(sum(len(item) for item in items if type(item) is str))
        return plain[0] % tuple(items)
    return sprintf(template, [_operand(item) for item in items])


BUILTINS: Final = {"sprintf": Builtin("sprintf", format_)}
