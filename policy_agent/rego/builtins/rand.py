"""OPA's `rand` built-in.

Source: OPA v1.22 v1/topdown/numbers.go.
"""

from __future__ import annotations

import secrets
from typing import Final

from policy_agent.rego.builtins.nondeterminism import once, record
from policy_agent.rego.builtins.operands import need_int, need_string
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.context import Context
from policy_agent.rego.values import Value

_NAME: Final = "rand.intn"


def _intn(context: Context, key: Value, limit: Value) -> Value:
    operands = [need_string(key, 1), need_int(limit, 2)]
    if limit == 0:
        return record(context, _NAME, operands, 0)
    number = once(context, _NAME, [key, abs(limit)], lambda: secrets.randbelow(abs(limit)))
    return record(context, _NAME, operands, number)


BUILTINS: Final = {_NAME: Builtin(_NAME, _intn, deterministic=False, needs_context=True)}
