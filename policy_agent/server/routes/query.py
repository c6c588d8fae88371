"""OPA's query API: `/v1/query`, any Rego query over the active policies."""

from __future__ import annotations

from typing import Any, Final

from policy_agent.codec import encode_json
from policy_agent.decision.decisions import AdHocQuery
from policy_agent.errors import PolicyError, PolicyProblem, RequestError
from policy_agent.model import UNDEFINED, Decision
from policy_agent.server import request as reading
from policy_agent.server import results, wire
from policy_agent.server.call import Call
from policy_agent.server.explanations import Fields, explanations
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

EMPTY_QUERY: Final = "cannot evaluate empty query"


async def _get(call: Call, services: Services) -> Answer:
    if call.below:
        return wire.method_not_allowed()
    if "q" not in call.parameters:
        raise RequestError("missing parameter 'q'")
    return await _answer(call, services, call.parameters["q"][-1], UNDEFINED)


async def _post(call: Call, services: Services) -> Answer:
    if call.below:
        return wire.method_not_allowed()
    if call.parsed is UNDEFINED:
        text, value = reading.query_of_body(call.body)
    else:
        text, value = reading.query_of_value(call.parsed)
    return await _answer(call, services, text, value)


async def _answer(call: Call, services: Services, text: str, value: Any) -> Answer:
    query = AdHocQuery(
        text=text,
        input=value,
        started_ns=call.started_ns,
        requested_by=call.client,
        refusal=call.refusal,
        credential=services.decisions.credential_of(call.headers),
        trace=call.trace,
    )
    try:
        decision = await services.decisions.query(query)
    except PolicyError as exc:
        return _refused(exc.problems)
    if decision.error is not None and not decision.refused:
        return wire.evaluation_failed(decision.error)
    fields = await explanations(call, services, decision, text)
    return _solutions(call, decision, fields)


def _refused(problems: list[PolicyProblem]) -> Answer:
    if problems[0].message == EMPTY_QUERY:
        return wire.error_answer(500, "internal_error", EMPTY_QUERY)
    parsing = any(problem.code == "rego_parse_error" for problem in problems)
    message = f"error(s) occurred while {'parsing' if parsing else 'compiling'} query"
    errors = [problem.to_json() for problem in problems]
    return wire.error_answer(400, "invalid_parameter", message, errors=errors)


def _solutions(call: Call, decision: Decision, explained: Fields) -> Answer:
    parts = []
    if "explanation" in explained:
        parts.append(b'"explanation":' + explained["explanation"])
    if results.wants_metrics(call.parameters):
        parts.append(b'"metrics":' + encode_json(decision.metrics))
    if decision.result:
        parts.append(b'"result":' + encode_json(decision.result))
    if "rule_labels" in explained:
        parts.append(b'"rule_labels":' + explained["rule_labels"])
    if decision.error is not None:
        parts.append(b'"warning":' + encode_json(decision.error))
    body = b"{" + b",".join(parts) + b"}"
    return wire.json_answer(body, pretty=reading.flag(call.parameters, "pretty"))


ROUTES: Final = (
    Route(
        "/v1/query",
        {"GET": _get, "POST": _post},
        subtree=True,
        label="v1/query",
        decides=True,
    ),
)
