"""The number constants of a plan, which are kept as text.

Pure.
"""

from __future__ import annotations

from decimal import InvalidOperation

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.number import Number


def number_of(text: str) -> int | Number:
    """Return the number that a text stands for.

    Raises:
        PolicyError: it stands for none.
    """
    try:
        is_integer = text.lstrip("-").isdecimal() and text != "-0"
        return int(text) if is_integer else Number(text)
    except (ValueError, InvalidOperation) as exc:
        message = f"{text[:40]!r} is not a number"
        raise PolicyError([PolicyProblem("plan_error", message)]) from exc
