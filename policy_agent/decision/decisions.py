"""Answer one question against the active policies and record it before anyone sees the answer.

Pure but for the clock and the recorder it is given. Follows OPA v1.22 v1/server/server.go for what
a decision holds: metrics by OPA's names, every active bundle's revision, errors in OPA's form.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from msgspec import Struct, field

from policy_agent.decision.answers import NO_ANSWER, Answer, Answers, question_key
from policy_agent.decision.callers import Callers
from policy_agent.errors import EvaluationError, IdentityError, KeysNeededError
from policy_agent.model import (
    UNDEFINED,
    DataPath,
    Decision,
    Evaluator,
    Evidence,
    Fulfilment,
    JsonObject,
    Snapshot,
)

EVALUATION_MESSAGE = "error(s) occurred while evaluating query"
NO_POLICY_CODE = "policy_unavailable"

Recorder = Callable[[Decision, Evaluator | None], None]
FulfilmentRecorder = Callable[[Fulfilment], None]
RoomMaker = Callable[[], Awaitable[bool]]


# Not frozen, like `Decision`: made for each decision, and freezing takes four times as long.
class Asked(Struct, kw_only=True):
    """What a caller asks, whatever it asks for.

    Attributes:
        input: UNDEFINED when the caller sent none.
        started_ns: `time.perf_counter_ns()` when the request arrived.
        refusal: why no policy may decide it now, such as its age; "" when one may.
        credential: the header that may hold the caller's token; "" without one.
        trace: of the request, as `policy_agent.trace_context` reads it.
    """

    input: Any
    started_ns: int
    requested_by: str | None = None
    refusal: str = ""
    credential: str = ""
    trace: Mapping[str, str] = field(default_factory=dict)


class Question(Asked, kw_only=True):
    """What is the value of a document?

    Attributes:
        path: as requested, escapes kept; "" for the root document.
        segments: the same path, unescaped; integers are array indexes.
        parse_ns: how long reading the input took.
        strict: whether a failing built-in function is an error rather than undefined.
        raw: the JSON that the input was read from, by which its answer may be kept; b"" when it
            is not known, or was something else.
        is_exact: the input holds no floats; what was read from JSON never does.
        batch_decision_id: of the call that asks several questions, "" for a single one.
        map_result: the policy's value, UNDEFINED included -> what the caller is told instead.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"raw"})

    path: str
    segments: DataPath
    parse_ns: int = 0
    custom: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    raw: bytes = b""
    is_exact: bool = False
    batch_decision_id: str = ""
    map_result: Callable[[Any], Any] | None = None


class AdHocQuery(Asked, kw_only=True):
    """What are the solutions of a Rego query?"""

    text: str


class Decisions:
    """Turns questions into recorded decisions.

    Attributes:
        snapshot: the active policies; None until a first bundle is active.
        unavailable: why there are none, a sentence for the caller.
        callers: who identifies callers; None when nobody does.
        answers: those that may be given again; None to evaluate each time.
        new_id: makes decision ids.
    """

    def __init__(
        self,
        record: Recorder,
        new_id: Callable[[], str],
        callers: Callers | None = None,
        record_fulfilment: FulfilmentRecorder | None = None,
        answers: Answers | None = None,
        make_room: RoomMaker | None = None,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.unavailable = "no policy is active yet"
        self.callers = callers
        self._record = record
        self._record_fulfilment = record_fulfilment
        self.answers = answers
        self.new_id = new_id
        self._make_room = make_room

    def decide(self, question: Question) -> Decision:
        """Evaluate and record one decision.

        Where no policy may be asked, because none is active or because the caller is unknown, the
        result is undefined and `error` says why: to a client of OPA that is a denial, and no value
        is made up.

        Raises:
            SpoolFullError: it could not be recorded; `make_room`, then ask once more.
            DecisionLogError: the decision could not be recorded, so it must not be answered.
            KeysNeededError: nothing was decided; wait for `fetch_keys` and ask again.
        """
        timestamp_ns = time.time_ns()
        snapshot = self.snapshot
        value, problem = self._admit(question, snapshot)
        evaluation_started_ns = time.perf_counter_ns()
        refused = problem is not None
        answer = NO_ANSWER
        cache_hit = False
        if snapshot is not None and not refused:
            if self.answers is not None and question.raw:
                answer, cache_hit = _remembered(question, value, snapshot, self.answers)
            else:
                answer = _evaluated(question, value, snapshot)
            problem = answer.problem
        result = answer.result
        mapped: Any = UNDEFINED
        if question.map_result is not None and problem is None:
            mapped = question.map_result(result)
        now_ns = time.perf_counter_ns()
        decision = Decision(
            decision_id=self.new_id(),
            path=question.path,
            input=value,
            result=result,
            error=problem,
            revisions=snapshot.revisions if snapshot else {},
            timestamp_ns=timestamp_ns,
            metrics={
                "timer_rego_input_parse_ns": question.parse_ns,
                "timer_rego_query_eval_ns": now_ns - evaluation_started_ns,
                "timer_server_handler_ns": now_ns - question.started_ns,
            },
            requested_by=question.requested_by,
            custom=question.custom,
            batch_decision_id=question.batch_decision_id,
            mapped_result=mapped,
            refused=refused,
            trace=question.trace,
            cache_hit=cache_hit,
            evidence=answer.evidence,
        )
        self._record(decision, snapshot.policy if snapshot else None)
        return decision

    def record_fulfilment(self, fulfilment: Fulfilment) -> None:
        """Record what became of the obligations of an earlier decision.

        Raises:
            DecisionLogError: it could not be recorded.
        """
        if self._record_fulfilment is not None:
            self._record_fulfilment(fulfilment)

    def credential_of(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the header that may hold the caller's token, "" without one.

        Args:
            headers: lower-case name -> value.
        """
        if self.callers is None:
            return ""
        return headers.get(self.callers.header, b"").decode("latin-1")

    async def fetch_keys(self, needed: KeysNeededError) -> None:
        """Fetch what a decision asked for; it may then be asked again."""
        if self.callers is not None:
            await self.callers.fetch(needed)

    async def make_room(self) -> bool:
        """Wait for room for a decision that could not be recorded; False when it may not wait."""
        return self._make_room is not None and await self._make_room()

    async def query(self, query: AdHocQuery) -> Decision:
        """Evaluate and record a query, whose result is a list of bindings.

        Compiling may take long, so it happens in a worker thread.

        Raises:
            PolicyError: the text is not a query that this policy can answer.
            DecisionLogError: as for `decide`.
            KeysNeededError: as for `decide`.
        """
        timestamp_ns = time.time_ns()
        snapshot = self.snapshot
        value, problem = self._admit(query, snapshot)
        evaluation_started_ns = time.perf_counter_ns()
        refused = problem is not None
        result: Any = UNDEFINED
        if snapshot is not None and not refused:
            try:
                result = await asyncio.to_thread(snapshot.policy.query, query.text, value)
            except EvaluationError as exc:
                problem = exc.problem.to_json()
        now_ns = time.perf_counter_ns()
        decision = Decision(
            decision_id=self.new_id(),
            path="",
            query=query.text,
            input=value,
            result=result,
            error=problem,
            revisions=snapshot.revisions if snapshot else {},
            timestamp_ns=timestamp_ns,
            metrics={
                "timer_rego_query_eval_ns": now_ns - evaluation_started_ns,
                "timer_server_handler_ns": now_ns - query.started_ns,
            },
            requested_by=query.requested_by,
            refused=refused,
            trace=query.trace,
        )
        self._record(decision, snapshot.policy if snapshot else None)
        return decision

    def has_rules(self, path: str) -> bool:
        """Tell whether a rule is at a path below `data`, or below it."""
        rules = self.snapshot.policy.rules if self.snapshot else frozenset()
        return path in rules or any(rule.startswith(path + "/") for rule in rules)

    def _admit(self, asked: Asked, snapshot: Snapshot | None) -> tuple[Any, JsonObject | None]:
        """Return the input that policies see, and why none may be asked."""
        value, problem = asked.input, None
        if self.callers is not None:
            value, problem = _identified(asked, self.callers)
        if problem is None and (snapshot is None or asked.refusal):
            problem = {"code": NO_POLICY_CODE, "message": asked.refusal or self.unavailable}
        return value, problem


def _identified(asked: Asked, callers: Callers) -> tuple[Any, JsonObject | None]:
    """Return the input without the token and with the identity, and why there is none."""
    value, token = callers.withhold(asked.input)
    try:
        value, _ = callers.identify(value, token or asked.credential)
    except KeysNeededError:
        raise
    except IdentityError as exc:
        return value, {"code": exc.reason, "message": str(exc)}
    return value, None


def _remembered(
    question: Question, value: Any, snapshot: Snapshot, answers: Answers
) -> tuple[Answer, bool]:
    """Return the kept answer, or evaluate and keep it; the last value tells which."""
    key = question_key(question.path, question.credential, question.raw, strict=question.strict)
    kept = answers.find(snapshot, key)
    if kept is not None:
        return kept, True
    answer = _evaluated(question, value, snapshot)
    if answer.result is not UNDEFINED and snapshot.policy.is_repeatable(question.segments):
        answers.keep(key, answer)
    return answer, False


def _evaluated(question: Question, value: Any, snapshot: Snapshot) -> Answer:
    evidence = Evidence()
    try:
        result = snapshot.policy.evaluate(
            question.segments,
            value,
            strict=question.strict,
            is_exact=question.is_exact,
            evidence=evidence,
        )
    except EvaluationError as exc:
        return Answer(UNDEFINED, exc.problem.to_json())
    return Answer(result, None, evidence)
