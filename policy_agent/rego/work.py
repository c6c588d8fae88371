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


class watched_by:  # noqa: N801 - reads like the function it could be, at a third of the price
    """While this context is open, `check` ends what takes too long in this thread."""

    __slots__ = ("_check", "_outer")

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def __enter__(self) -> None:
        self._outer = _current.check
        _current.check = self._check

    def __exit__(self, *_: object) -> None:
        # What comes after an evaluation is not its work, however late it is.
        _current.check = self._outer


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
