"""One question about many inputs, for calls that ask for several decisions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from policy_agent.decision.decisions import Decisions, Question
from policy_agent.errors import DecisionLogError, KeysNeededError, SpoolFullError
from policy_agent.model import Decision
from policy_agent.server.call import Call
from policy_agent.server.request import flag, is_exact, parse_data_path
from policy_agent.server.services import Services

# Others must not wait for all of them: about 3 ms of decisions.
TURN: Final = 64


class Questions:
    """What all questions of one call have in common.

    Args:
        path: what is asked, below `data`, escapes kept.
        batch_id: names the call in each decision; "" for a call with a single one.
    """

    def __init__(self, call: Call, services: Services, path: str, batch_id: str = "") -> None:
        self._call = call
        self._path = path
        self._segments = parse_data_path(path)
        self._batch_id = batch_id
        self._credential = services.decisions.credential_of(call.headers)
        self._is_exact = is_exact(call.header(b"content-type"))
        self._trace = call.trace
        self._strict = flag(call.parameters, "strict-builtin-errors")

    def about(self, value: Any, map_result: Callable[[Any], Any] | None = None) -> Question:
        """Return the question about one input.

        Args:
            map_result: as in `Question`.
        """
        return Question(
            path=self._path,
            segments=self._segments,
            input=value,
            started_ns=time.perf_counter_ns(),
            requested_by=self._call.client,
            refusal=self._call.refusal,
            credential=self._credential,
            strict=self._strict,
            trace=self._trace,
            is_exact=self._is_exact,
            batch_decision_id=self._batch_id,
            map_result=map_result,
        )


async def decide(decisions: Decisions, question: Question) -> Decision:
    """Decide one of several questions, of which none may be asked twice.

    Raises:
        DecisionLogError: as for `Decisions.decide`.
    """
    has_waited = False
    while True:
        try:
            return decisions.decide(question)
        except KeysNeededError as exc:
            await decisions.fetch_keys(exc)
        except SpoolFullError as exc:
            if has_waited or not await decisions.make_room():
                raise DecisionLogError(str(exc)) from exc
            has_waited = True
