"""How much an evaluation may do before it looks at the clock again.

What walks values spends steps here: a value of a few lines can stand for thousands of millions of
elements when the same array is in it over and over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

STEPS_BETWEEN_CHECKS: Final = 50_000


class _Current(threading.local):
    """The evaluation of a thread; `check` ends it when its time is up."""

    check: Callable[[], None] | None = None


_current = _Current()
# Of all threads together: whoever takes the last step looks at the clock of its own evaluation.
_left = STEPS_BETWEEN_CHECKS


def begin(check: Callable[[], None]) -> None:
    """Ask `check` from now on, in this thread."""
    _current.check = check


def spend(steps: int) -> None:
    """Count steps of work, and look at the clock now and then.

    Raises:
        EvaluationDeadlineError: the evaluation's time is up.
    """
    global _left  # an attribute would double what counting costs
    _left -= steps
    if _left < 0:
        _left = STEPS_BETWEEN_CHECKS
        if _current.check is not None:
            _current.check()
