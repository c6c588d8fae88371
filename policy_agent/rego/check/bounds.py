"""How much work types may be: one of a few lines can have thousands of millions of parts.

What walks types spends steps (`work.spend`); here is who stops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego.check.problems import TYPE_ERROR
from policy_agent.rego.work import STEPS_BETWEEN_CHECKS, watched_by

# Large policies take some ten steps a rule.
_STEPS: Final = 500_000
_STEPS_PER_RULE: Final = 200


@contextmanager
def bounded_types(rules: int) -> Iterator[None]:
    """Refuse types that take too long to compare or to write.

    Args:
        rules: how many there are.

    Raises:
        PolicyError: inside the block, they did.
    """
    left = (_STEPS + _STEPS_PER_RULE * rules) // STEPS_BETWEEN_CHECKS

    def check() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            message = "types of this policy are too large to check"
            raise PolicyError([PolicyProblem(TYPE_ERROR, message)])

    with watched_by(check):
        yield
