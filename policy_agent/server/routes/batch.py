"""Many decisions in one call: `POST /v1/batch/data/<path>`, the batch API of Enterprise OPA.

Each input is a decision of its own, with its own id and log entry; all name the batch. 200 when
every one was evaluated, 500 when none, 207 with a status for each otherwise.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from policy_agent.codec import encode_json
from policy_agent.decision.decisions import EVALUATION_MESSAGE
from policy_agent.model import Decision, JsonObject
from policy_agent.server import request as reading
from policy_agent.server import results, wire
from policy_agent.server.call import Call
from policy_agent.server.questions import TURN, Questions, decide
from policy_agent.server.results import V1Options
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

_NO_INPUTS: Final = {
    "code": "api_usage_warning",
    "message": "'inputs' key missing from the request",
}
_ITEM_FAILED: Final = b'"http_status_code":"500"'
_ITEM_DONE: Final = b'"http_status_code":"200"'


async def _batch(call: Call, services: Services) -> Answer:
    parse_started_ns = time.perf_counter_ns()
    request = reading.batch_of_body(call.body, call.header(b"content-type"), call.parsed)
    parse_ns = time.perf_counter_ns() - parse_started_ns
    batch_id = services.decisions.new_id()
    questions = Questions(call, services, call.below, batch_id)
    decided: dict[str, Decision] = {}
    for number, (key, value) in enumerate(sorted((request.inputs or {}).items()), start=1):
        if number % TURN == 0:
            await asyncio.sleep(0)
        question = questions.about(reading.merged(request.common, value))
        decided[key] = await decide(services.decisions, question)
    metrics = {
        "timer_rego_input_parse_ns": parse_ns,
        "timer_server_handler_ns": time.perf_counter_ns() - call.started_ns,
    }
    warning = _NO_INPUTS if request.inputs is None else None
    return _answer(call, services, batch_id, decided, metrics, warning)


def _answer(
    call: Call,
    services: Services,
    batch_id: str,
    decided: dict[str, Decision],
    metrics: JsonObject,
    warning: JsonObject | None,
) -> Answer:
    failed = sum(_is_failed(decision) for decision in decided.values())
    status = 200 if not failed else 500 if failed == len(decided) else 207
    options = V1Options(
        show_id=services.show_decision_ids,
        metrics=results.wants_metrics(call.parameters),
        provenance=reading.flag(call.parameters, "provenance"),
    )
    items = (
        encode_json(key) + b":" + _item(decision, options, is_mixed=status == 207)
        for key, decision in decided.items()
    )
    parts = [b'"responses":{' + b",".join(items) + b"}"]
    if options.show_id:
        parts.insert(0, b'"batch_decision_id":' + encode_json(batch_id))
    if options.metrics:
        parts.append(b'"metrics":' + encode_json(metrics))
    if warning is not None:
        parts.append(b'"warning":' + encode_json(warning))
    body = b"{" + b",".join(parts) + b"}"
    pretty = reading.flag(call.parameters, "pretty")
    return wire.json_answer(body, pretty=pretty, status=status)


def _item(decision: Decision, options: V1Options, *, is_mixed: bool) -> bytes:
    if not _is_failed(decision):
        more = (_ITEM_DONE,) if is_mixed else ()
        return results.v1_body(decision, options, *more)
    parts = [_ITEM_FAILED] if is_mixed else []
    if options.show_id:
        parts.append(b'"decision_id":' + encode_json(decision.decision_id))
    error: Any = decision.error
    return (
        b"{"
        + b",".join((*parts, wire.error_fields("internal_error", EVALUATION_MESSAGE, [error])))
        + b"}"
    )


def _is_failed(decision: Decision) -> bool:
    return decision.error is not None and not decision.refused


ROUTES: Final = (
    Route(
        "/v1/batch/data",
        {"POST": _batch},
        subtree=True,
        allow=b"POST",
        label="v1/batch/data",
        decides=True,
    ),
)
