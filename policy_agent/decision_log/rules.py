"""Apply what a policy says of its own log: what to drop, how often to record, what to hide.

Drop first, then sample, then mask. OPA knows drop and mask (v1.22 v1/plugins/logs/plugin.go, `Log`)
and loses the event when either fails. Here an event is never lost for that: one that cannot be
masked is recorded without input and result, one that cannot be sampled is recorded.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from policy_agent.config import RulePaths
from policy_agent.decision_log.counters import Counters
from policy_agent.decision_log.mask import Pseudonyms, masked, parse_rules, withheld
from policy_agent.errors import DecisionLogError, EvaluationError, PolicyAgentError
from policy_agent.model import UNDEFINED, Evaluator, JsonObject
from policy_agent.number import Number

_DRAW_BYTES: Final = 6


class LogRules:
    """The rules of one sink."""

    def __init__(
        self, paths: RulePaths, counters: Counters, pseudonyms: Pseudonyms | None = None
    ) -> None:
        self._paths = paths
        self._counters = counters
        self._pseudonyms = pseudonyms
        self._policy: Evaluator | None = None
        self._defined = RulePaths("", "", "")

    def apply(self, event: JsonObject, policy: Evaluator | None) -> JsonObject | None:
        """Return the event as it may be recorded, None when it is not to be; counts both.

        Args:
            policy: the one that decided. Without one nothing can say what is secret, so the input
                is withheld.
        """
        counters = self._counters
        if policy is None:
            counters.withheld += 1
            return withheld(event, "no policy is active", parts=("input",))
        try:
            paths = self._defined_by(policy)
            if paths.drop and _evaluated(policy, paths.drop, event) is True:
                counters.dropped_by_policy += 1
                return None
            if paths.sample and (rate := _rate_of(policy, paths.sample, event)) < 1:
                if not _is_drawn(event["decision_id"], rate):
                    counters.sampled_out += 1
                    return None
                event = _weighted(event, rate)
            rules = _evaluated(policy, paths.mask, event) if paths.mask else UNDEFINED
            if rules is UNDEFINED:
                return event
            result = masked(event, parse_rules(rules, self._pseudonyms))
        except DecisionLogError as exc:
            counters.withheld += 1
            return withheld(event, str(exc))
        counters.masked += "erased" in result or "masked" in result
        return result

    def _defined_by(self, policy: Evaluator) -> RulePaths:
        """Return the paths to evaluate, "" for one that is always undefined."""
        if policy is not self._policy:
            paths = self._paths
            self._defined = RulePaths(
                *(
                    path if _defines(policy, path) else ""
                    for path in (paths.drop, paths.sample, paths.mask)
                )
            )
            self._policy = policy
        return self._defined


def _rate_of(policy: Evaluator, path: str, event: JsonObject) -> float:
    """Return the share of events like this one to record; 1 for anything that is no such share."""
    try:
        rate = _evaluated(policy, path, event)
    except DecisionLogError:
        return 1
    if isinstance(rate, bool) or not isinstance(rate, int | float | Number):
        return 1
    rate = float(rate)
    return rate if 0 < rate < 1 else 1


def _is_drawn(decision_id: str, rate: float) -> bool:
    """Tell whether a decision belongs to the sample: for the same id and rate always the same."""
    digest = hashlib.sha256(decision_id.encode()).digest()
    return int.from_bytes(digest[:_DRAW_BYTES], "big") < rate * (1 << 8 * _DRAW_BYTES)


def _weighted(event: JsonObject, rate: float) -> JsonObject:
    sampling = {"rate": rate, "weight": 1 / rate}
    return {**event, "custom": {**event.get("custom", {}), "sampling": sampling}}


def _defines(policy: Evaluator, path: str) -> bool:
    for rule in policy.rules:
        # A rule above the path counts as well: `log := {"mask": ...}` in package system.
        if f"{rule}/".startswith(f"{path}/") or f"{path}/".startswith(f"{rule}/"):
            return True
    return _evaluated(policy, path, UNDEFINED) is not UNDEFINED  # base data can hold rules too


def _evaluated(policy: Evaluator, path: str, event: Any) -> Any:
    try:
        return policy.evaluate(path, event)
    except PolicyAgentError as exc:
        # Only the code: the message may quote the input.
        code = exc.problem.code if isinstance(exc, EvaluationError) else exc.code
        msg = f"{path} could not be evaluated: {code}"
        raise DecisionLogError(msg) from exc
