"""Decisions as a function sees them: allow or deny, and what must be done along with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from policy_agent.client.connection import post

T = TypeVar("T")
Obligation = Mapping[str, Any]


class DeniedError(Exception):
    """The request must not go on.

    Attributes:
        reasons: sentences for the caller's developer.
        obligations: what the policy sent along with the denial, such as a step-up that would
            change it.
    """

    def __init__(self, reasons: tuple[str, ...], obligations: tuple[Obligation, ...] = ()) -> None:
        super().__init__("; ".join(reasons) or "denied by policy")
        self.reasons = reasons
        self.obligations = obligations


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer of the agent.

    Attributes:
        allow: true only where the policy said so in as many words.
        obligations: objects with a `type`, to be fulfilled if the request goes on.
        reasons: why it was denied, as the policy or the agent puts it.
        decision_id: finds this decision in the audit log.
        result: the policy's whole value; None when it is undefined.
    """

    allow: bool
    obligations: tuple[Obligation, ...] = ()
    reasons: tuple[str, ...] = ()
    decision_id: str = ""
    result: Any = None


def decide(path: str, input: Mapping[str, Any]) -> Decision:  # noqa: A002 - OPA's name for it
    """Ask for the decision at `path`, such as `orders/authz/decision`.

    The policy's value may be a boolean or an object `{"allow": bool, "obligations": [...],
    "reasons": [...]}`. Anything else, or no value at all, is a denial.

    Raises:
        AgentUnavailableError: there is no decision; treat it as a denial.
    """
    path = path.strip("/")
    answer = post("/v1/data/" + quote(path), {"input": input})
    result = answer.get("result")
    decision_id = str(answer.get("decision_id", ""))
    if isinstance(result, bool):
        return Decision(result, decision_id=decision_id, result=result)
    if isinstance(result, dict):
        return Decision(
            allow=result.get("allow") is True,
            obligations=tuple(result.get("obligations", ())),
            reasons=tuple(result.get("reasons", ())),
            decision_id=decision_id,
            result=result,
        )
    warning = answer.get("warning", {}).get("message")
    reason = warning or f"the policy has no decision at {path}"
    return Decision(False, reasons=(reason,), decision_id=decision_id, result=result)


def enforce(
    decision: Decision, handlers: Mapping[str, Callable[[Obligation, T], T]], act: Callable[[], T]
) -> T:
    """Act if the decision allows it, fulfil its obligations on the outcome, and return that.

    Args:
        handlers: obligation type -> function of the obligation and the outcome so far.
        act: what the caller asked for; called once, and only when nothing stands against it.

    Raises:
        DeniedError: the decision is a denial, or an obligation has no handler (AuthZEN obligations
            profile: what is not understood denies). Nothing was done.
    """
    if not decision.allow:
        raise DeniedError(decision.reasons, decision.obligations)
    for obligation in decision.obligations:
        if obligation.get("type") not in handlers:
            raise DeniedError((f"obligation {obligation.get('type')!r} cannot be fulfilled here",))
    outcome = act()
    for obligation in decision.obligations:
        outcome = handlers[obligation["type"]](obligation, outcome)
    return outcome
