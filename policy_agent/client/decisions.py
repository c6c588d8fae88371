"""Decisions as a function sees them: allow or deny, and what must be done along with it."""

from __future__ import annotations

from policy_agent.client import connection, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Obligation = Mapping[str, Any]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")


class AgentUnavailableError(Exception):
    """No decision could be had from the agent, which is a denial; nothing was done."""


class Decision:
    """One answer of the agent.

    Attributes:
        allow: true only where the policy said so in as many words.
        obligations: objects with a `type`, to be fulfilled if the request goes on.
        reasons: why it was denied, as the policy or the agent puts it.
        decision_id: finds this decision in the audit log.
        result: the policy's whole value; None when it is undefined.
        code: why the agent asked no policy, such as `token_expired`; "" when it did.
    """

    __slots__ = ("allow", "code", "decision_id", "obligations", "reasons", "result")

    def __init__(
        self,
        allow: bool,
        *,
        obligations: tuple[Obligation, ...] = (),
        reasons: tuple[str, ...] = (),
        decision_id: str = "",
        result: Any = None,
        code: str = "",
    ) -> None:
        self.allow = allow
        self.obligations = obligations
        self.reasons = reasons
        self.decision_id = decision_id
        self.result = result
        self.code = code

    def __bool__(self) -> bool:
        """A decision is true when it allows and asks for nothing in return."""
        return self.allow and not self.obligations

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decision) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"Decision({', '.join(values)})"


class DeniedError(Exception):
    """The request must not go on.

    Attributes:
        reasons: sentences for the caller's developer.
        obligations: what the policy sent along with the denial, such as a step-up that would
            change it.
        decision: what was decided; None where a handler denies of its own accord.
    """

    def __init__(
        self,
        reasons: tuple[str, ...],
        obligations: tuple[Obligation, ...] = (),
        decision: Decision | None = None,
    ) -> None:
        super().__init__("; ".join(reasons) or "denied by policy")
        self.reasons = reasons
        self.obligations = obligations
        self.decision = decision


def decide(
    path: str,
    input: Mapping[str, Any],  # noqa: A002 - OPA's name for it
    *,
    token: str = "",
) -> Decision:
    """Ask for the decision at `path`, such as `orders/authz/decision`.

    The policy's value may be a boolean or an object `{"allow": bool, "obligations": [...],
    "reasons": [...]}`. Anything else, or no value at all, is a denial.

    Args:
        path: the document below `data`.
        input: what the policy is to see.
        token: the caller's, for an agent that verifies it; with or without `Bearer` before it.

    Raises:
        AgentUnavailableError: there is no decision; treat it as a denial.
        TypeError, ValueError: the input is no JSON, or the token holds a line break.
    """
    try:
        answer = connection.post(data_path(path), {"input": input}, credentials(token))
    except connection.UnreachableError as exc:
        raise AgentUnavailableError(str(exc)) from exc
    return decision_of(path, answer)


def data_path(path: str) -> str:
    """Return the request path of a document below `data`."""
    path = path.strip("/")
    if not _PLAIN.issuperset(path):
        from urllib.parse import quote  # 3 ms that plain paths do not cost

        path = quote(path)
    return "/v1/data/" + path


def credentials(token: str) -> dict[str, str]:
    """Return the headers that pass the caller's token on."""
    if not token:
        return {}
    return {"Authorization": token if " " in token else f"Bearer {token}"}


def decision_of(path: str, answer: wire.Answer) -> Decision:
    """Read the agent's answer.

    Raises:
        AgentUnavailableError: it is an error, or not an answer of the agent's.
    """
    content = answer.json()
    if answer.status != 200 or not isinstance(content, dict):
        said = content.get("message") if isinstance(content, dict) else None
        msg = f"the policy agent answered {answer.status}: {said or 'no decision'}"
        raise AgentUnavailableError(msg)
    result = content.get("result")
    decision_id = str(content.get("decision_id", ""))
    if isinstance(result, bool):
        return Decision(result, decision_id=decision_id, result=result)
    if isinstance(result, dict):
        return _structured(result, decision_id)
    warning = content.get("warning", {})
    reason = warning.get("message") or f"the policy has no decision at {path.strip('/')}"
    code = "" if "result" in content else str(warning.get("code", ""))
    return Decision(False, reasons=(reason,), decision_id=decision_id, result=result, code=code)


def _structured(result: dict[str, Any], decision_id: str) -> Decision:
    obligations = result.get("obligations", [])
    reasons = result.get("reasons", [])
    if not isinstance(obligations, list) or not all(isinstance(o, dict) for o in obligations):
        # An obligation that cannot be read cannot be fulfilled.
        reason = "the policy's obligations are not a list of objects"
        return Decision(False, reasons=(reason,), decision_id=decision_id, result=result)
    return Decision(
        allow=result.get("allow") is True,
        obligations=tuple(obligations),
        reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (str(reasons),),
        decision_id=decision_id,
        result=result,
    )
