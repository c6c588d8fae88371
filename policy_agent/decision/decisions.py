"""Answer one question against the active policies and record it before anyone sees the answer.

Pure but for the clock and the recorder it is given. Follows OPA v1.22 v1/server/server.go for what
a decision holds: metrics by OPA's names, every active bundle's revision, errors in OPA's form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policy_agent.errors import EvaluationError
from policy_agent.model import (
    UNDEFINED,
    DataPath,
    Decision,
    Evaluator,
    JsonObject,
    Snapshot,
)

EVALUATION_MESSAGE = "error(s) occurred while evaluating query"
NO_POLICY_CODE = "policy_unavailable"

Recorder = Callable[[Decision, Evaluator | None], None]


@dataclass(frozen=True, slots=True)
class Question:
    """What a caller asks.

    Attributes:
        path: as requested, escapes kept; "" for the root document.
        segments: the same path, unescaped; integers are array indexes.
        input: UNDEFINED when the caller sent none.
        started_ns: `time.perf_counter_ns()` when the request arrived.
        parse_ns: how long reading the input took.
        refusal: why no policy may decide it now, such as its age; "" when one may.
    """

    path: str
    segments: DataPath
    input: Any
    started_ns: int
    parse_ns: int = 0
    requested_by: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)
    refusal: str = ""


class Decisions:
    """Turns questions into recorded decisions.

    Attributes:
        snapshot: the active policies; None until a first bundle is active.
        unavailable: why there are none, a sentence for the caller.
    """

    def __init__(self, record: Recorder, new_id: Callable[[], str]) -> None:
        self.snapshot: Snapshot | None = None
        self.unavailable = "no policy is active yet"
        self._record = record
        self._new_id = new_id

    def decide(self, question: Question) -> Decision:
        """Evaluate and record one decision.

        Without an active policy the result is undefined and `error` says why: to a client of OPA
        that is a denial, and no value is made up.

        Raises:
            DecisionLogError: the decision could not be recorded, so it must not be answered.
        """
        timestamp_ns = time.time_ns()
        snapshot = self.snapshot
        evaluation_started_ns = time.perf_counter_ns()
        result, error = self._evaluate(question, snapshot)
        now_ns = time.perf_counter_ns()
        decision = Decision(
            decision_id=self._new_id(),
            path=question.path,
            input=question.input,
            result=result,
            error=error,
            revisions=snapshot.revisions if snapshot else {},
            timestamp_ns=timestamp_ns,
            metrics={
                "timer_rego_input_parse_ns": question.parse_ns,
                "timer_rego_query_eval_ns": now_ns - evaluation_started_ns,
                "timer_server_handler_ns": now_ns - question.started_ns,
            },
            requested_by=question.requested_by,
            custom=question.custom,
        )
        self._record(decision, snapshot.policy if snapshot else None)
        return decision

    def has_rules(self, path: str) -> bool:
        """Tell whether a rule is at a path below `data`, or below it."""
        rules = self.snapshot.policy.rules if self.snapshot else frozenset()
        return path in rules or any(rule.startswith(path + "/") for rule in rules)

    def _evaluate(
        self, question: Question, snapshot: Snapshot | None
    ) -> tuple[Any, JsonObject | None]:
        if snapshot is None or question.refusal:
            message = question.refusal or self.unavailable
            return UNDEFINED, {"code": NO_POLICY_CODE, "message": message}
        try:
            return snapshot.policy.evaluate(question.segments, question.input), None
        except EvaluationError as exc:
            return UNDEFINED, exc.problem.to_json()
