"""What one evaluation knows besides its input: the time, its deadline and its caches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from policy_agent.errors import EvaluationDeadlineError, EvaluationError, PolicyProblem
from policy_agent.model import Evidence

# Of results of built-in functions in one evaluation, together; small ones are not counted.
MAX_RESULT_BYTES: Final = 256 << 20


class Context(Struct):
    """The state of one evaluation; never shared between two.

    Attributes:
        now_ns: what `time.now_ns` answers; the same throughout.
        deadline: seconds on the monotonic clock at which evaluation ends; None for never.
        strict: whether a failing built-in ends evaluation instead of being undefined.
        memo: results that must stay the same within an evaluation (`uuid.rfc4122`, `rand.intn`,
            `http.send`), under keys that begin with the built-in's name.
        nd_cache: built-in -> arguments as JSON text -> result, of every non-deterministic call.
        prints: what `print` wrote, one line each.
        allow_net: hosts that built-ins may reach; None for all.
        runtime: what `opa.runtime` answers.
        builtin_errors: what went wrong in built-ins when not strict.
        held: numbers of rules that held, in order, as the program gives them.
        evidence: to be filled, None where nobody asks.
        result_bytes: how much the results of built-ins may still take, roughly.
    """

    now_ns: int = field(default_factory=time.time_ns)
    deadline: float | None = None
    strict: bool = False
    memo: dict[Any, Any] = field(default_factory=dict)
    nd_cache: dict[str, dict[str, Any]] = field(default_factory=dict)
    prints: list[str] = field(default_factory=list)
    allow_net: frozenset[str] | None = None
    runtime: Mapping[str, Any] = field(default_factory=dict)
    builtin_errors: list[str] = field(default_factory=list)
    held: dict[int, bool] = field(default_factory=dict)
    evidence: Evidence | None = None
    result_bytes: int = MAX_RESULT_BYTES
    clock: Callable[[], float] = time.monotonic

    def check(self) -> None:
        """End the evaluation when its time is up.

        Raises:
            EvaluationDeadlineError: the deadline has passed.
        """
        if self.deadline is not None and self.clock() >= self.deadline:
            raise EvaluationDeadlineError("caller cancelled query execution")

    def take(self, name: str, size_bytes: int) -> None:
        """Count the result of a built-in function.

        Raises:
            EvaluationError: the results are more than an evaluation may make.
            EvaluationDeadlineError: its time is up.
        """
        self.check()
        self.result_bytes -= size_bytes
        if self.result_bytes < 0:
            message = f"{name}: results exceed {MAX_RESULT_BYTES >> 20} MB in one evaluation"
            raise EvaluationError(PolicyProblem("eval_builtin_error", message))
