"""Fulfil what a decision asks for, and tell the agent that it was done.

An obligation is an object with a `type`. What nobody here understands, or what fails, denies
(AuthZEN obligations profile). docs/client.md has the types that policies commonly use.
"""

from __future__ import annotations

from policy_agent.client import connection, wire
from policy_agent.client.decisions import DeniedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from policy_agent.client.decisions import Decision, Obligation

    T = TypeVar("T")
    Handler = Callable[[Obligation, Any], Any]

MASK = "***"


def enforce(
    decision: Decision,
    handlers: Mapping[str, Callable[[Obligation, T], T]],
    act: Callable[[], T],
    *,
    before: Mapping[str, Callable[[Obligation], object]] | None = None,
) -> T:
    """Act if the decision allows it, fulfil its obligations, and return the outcome.

    The agent is told which obligations were fulfilled; that a report fails is logged, no more.

    Args:
        decision: what the agent said.
        handlers: obligation type -> function of the obligation and the outcome so far.
        act: what the caller asked for; called once, and only when nothing stands against it.
        before: obligation type -> function of the obligation, called before `act`; what it raises
            keeps `act` from being called.

    Raises:
        DeniedError: the decision is a denial, an obligation has no handler (nothing was done then),
            or a handler failed (the outcome is withheld then).
    """
    first = before or {}
    check(decision, handlers, first)
    fulfilment = Fulfilment(decision)
    try:
        for obligation in decision.obligations:
            if obligation["type"] in first:
                fulfilment.run(obligation, first[obligation["type"]])
        outcome = act()
        for obligation in decision.obligations:
            if obligation["type"] in handlers:
                outcome = fulfilment.run(obligation, handlers[obligation["type"]], outcome)
    finally:
        if fulfilment.outcomes:
            report_fulfilment(decision.decision_id, fulfilment.outcomes)
    return outcome


def check(decision: Decision, *handlers: Mapping[str, Any]) -> None:
    """Make sure that a decision allows, and that each of its obligations has a handler.

    Raises:
        DeniedError: otherwise.
    """
    if not decision.allow:
        raise DeniedError(decision.reasons, decision.obligations, decision)
    for obligation in decision.obligations:
        kind = obligation.get("type")
        if not any(isinstance(kind, str) and kind in known for known in handlers):
            reason = f"obligation {kind!r} cannot be fulfilled here"
            raise DeniedError((reason,), (obligation,), decision)


class Fulfilment:
    """What has become of the obligations of one decision.

    Attributes:
        outcomes: one object for each that was attempted, as the agent is told.
    """

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self.outcomes: list[dict[str, str]] = []

    def run(self, obligation: Obligation, handler: Callable[..., Any], *outcome: Any) -> Any:
        """Fulfil one obligation and note how it went.

        Raises:
            DeniedError: it failed.
        """
        try:
            changed = handler(obligation, *outcome)
        except Exception as exc:
            self.note(obligation, exc)
            raise
        self.note(obligation, None)
        return changed

    def note(self, obligation: Obligation, error: Exception | None) -> None:
        """Note how an obligation went.

        Raises:
            DeniedError: `error` is one of another kind; a handler that denies is taken at its word.
        """
        kind = obligation["type"]
        if error is None:
            self.outcomes.append({"type": kind, "status": "fulfilled"})
            return
        # The name only: the text may quote what was to be masked.
        self.outcomes.append({"type": kind, "status": "failed", "error": type(error).__name__})
        if not isinstance(error, DeniedError):
            reason = f"obligation {kind!r} could not be fulfilled"
            raise DeniedError((reason,), (obligation,), self._decision) from error


def report_fulfilment(decision_id: str, outcomes: list[dict[str, str]]) -> bool:
    """Tell the agent what has become of a decision's obligations; return whether it took note.

    Args:
        decision_id: of a decision that was logged; without one there is nothing to add to.
        outcomes: `type`, `status` (`fulfilled` or `failed`) and, when it failed, `error`.
    """
    if not decision_id:
        return False
    try:
        answer = connection.post(fulfilment_path(decision_id), {"obligations": outcomes}, {})
    except connection.UnreachableError as exc:
        return not_on_record(decision_id, str(exc))
    return is_on_record(decision_id, answer)


def fulfilment_path(decision_id: str) -> str:
    """Return where the fulfilment of a decision's obligations is reported."""
    return f"/v1/obligations/{decision_id}"


def is_on_record(decision_id: str, answer: wire.Answer) -> bool:
    """Tell whether the agent took note of a report; log when it did not."""
    if answer.status == 204:
        return True
    return not_on_record(decision_id, f"the policy agent answered {answer.status}")


def not_on_record(decision_id: str, reason: str) -> bool:
    """Log that a report is lost; what was decided and done stands all the same."""
    import logging  # 4 ms that nobody pays before something goes wrong

    message = "Obligations of decision %s were reported in vain: %s"
    logging.getLogger(__name__).warning(message, decision_id, reason)
    return False


def mask_fields(obligation: Obligation, outcome: Any) -> Any:
    """Return a copy in which `fields` (keys joined by dots) read `with`, or `***`.

    Lists on the way stand for all of their items. A field that is not there needs no mask.

    Raises:
        TypeError: the outcome is neither an object nor a list, so nothing can be found in it.
    """
    if not isinstance(outcome, dict | list):
        raise TypeError("fields can be masked in objects and lists only")
    for field in obligation["fields"]:
        outcome = _masked(outcome, field.split("."), obligation.get("with", MASK))
    return outcome


def _masked(value: Any, path: list[str], mask: Any) -> Any:
    if not path:
        return mask
    if isinstance(value, list):
        return [_masked(item, path, mask) for item in value]
    if isinstance(value, dict) and path[0] in value:
        return {**value, path[0]: _masked(value[path[0]], path[1:], mask)}
    return value


def filter_rows(obligation: Obligation, outcome: Any) -> Any:
    """Return the rows whose `field` (keys joined by dots) is one of `values`.

    Raises:
        TypeError: the outcome is no list of rows.
    """
    if not isinstance(outcome, list):
        raise TypeError("rows can be filtered in lists only")
    path, values = obligation["field"].split("."), obligation["values"]
    return [row for row in outcome if _field(row, path) in values]


def _field(row: Any, path: list[str]) -> Any:
    for key in path:
        row = row.get(key) if isinstance(row, dict) else None
    return row


def limit(obligation: Obligation, outcome: Any) -> Any:
    """Return at most the first `rows` rows.

    Raises:
        TypeError: the outcome is no list of rows.
    """
    if not isinstance(outcome, list):
        raise TypeError("only lists of rows can be limited")
    return outcome[: obligation["rows"]]


STANDARD_HANDLERS: dict[str, Handler] = {
    "mask_fields": mask_fields,
    "filter_rows": filter_rows,
    "limit": limit,
}
