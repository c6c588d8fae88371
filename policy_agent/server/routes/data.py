"""OPA's data API: `/v1/data`, `/v0/data`, and `/`, the default decision."""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, Final

from msgspec.structs import replace

from policy_agent.decision.decisions import Question
from policy_agent.model import UNDEFINED, Decision, JsonObject
from policy_agent.server import request as reading
from policy_agent.server import results, wire
from policy_agent.server.call import Call
from policy_agent.server.explanations import explanations, is_asked
from policy_agent.server.routes import status
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

# What is asked for almost always: nothing beside the result.
_PLAIN: Final = {shown: results.V1Options(show_id=shown) for shown in (True, False)}


def _v1_get(call: Call, services: Services) -> Answer | Coroutine[Any, Any, Answer]:
    parse_started_ns = time.perf_counter_ns()
    value = reading.input_of_parameter(call.parameters)
    return _v1(call, services, _question(call, services, call.below, value, parse_started_ns))


def _v1_post(call: Call, services: Services) -> Answer | Coroutine[Any, Any, Answer]:
    parse_started_ns = time.perf_counter_ns()
    raw, content_type = call.body, call.header(b"content-type")
    if call.parsed is UNDEFINED:
        value, metadata = reading.input_of_v1_body(raw, content_type)
    else:
        value, metadata = reading.input_of_v1_value(call.parsed), {}
    if "yaml" in content_type:
        raw = b""  # as JSON it would mean something else
    path = call.below
    question = _question(call, services, path, value, parse_started_ns, metadata, raw)
    return _v1(call, services, question)


def _v1(call: Call, services: Services, question: Question) -> Answer | Coroutine[Any, Any, Answer]:
    parameters = call.parameters
    if not parameters and question.input is not UNDEFINED:
        options = _PLAIN[services.show_decision_ids]
        return results.v1_answer(services.decisions.decide(question), options)
    options = results.V1Options(
        show_id=services.show_decision_ids,
        pretty=reading.flag(parameters, "pretty"),
        metrics=results.wants_metrics(parameters),
        provenance=reading.flag(parameters, "provenance"),
        warn_missing_input=call.method == "POST" and question.input is UNDEFINED,
    )
    decision = services.decisions.decide(question)
    if is_asked(call):
        return _explained(call, services, decision, options)
    return results.v1_answer(decision, options)


async def _explained(
    call: Call, services: Services, decision: Decision, options: results.V1Options
) -> Answer:
    query = reading.reference(reading.parse_data_path(call.below))
    fields = await explanations(call, services, decision, query)
    return results.v1_answer(decision, replace(options, explanations=fields))


def _v0_post(call: Call, services: Services) -> Answer:
    return _v0(call, services, call.below)


def _default_decision(call: Call, services: Services) -> Answer:
    return _v0(call, services, services.default_decision)


def _v0(call: Call, services: Services, path: str) -> Answer:
    parse_started_ns = time.perf_counter_ns()
    value = call.parsed
    if value is UNDEFINED:
        value = reading.input_of_v0_body(call.body, call.header(b"content-type"))
    question = _question(call, services, path, value, parse_started_ns)
    decision = services.decisions.decide(question)
    reference = reading.reference(question.segments)
    has_rules = services.decisions.has_rules(path)
    pretty = reading.flag(call.parameters, "pretty")
    return results.v0_answer(decision, reference, has_rules=has_rules, pretty=pretty)


def _question(
    call: Call,
    services: Services,
    path: str,
    value: Any,
    parse_started_ns: int,
    metadata: JsonObject | None = None,
    raw: bytes = b"",
) -> Question:
    return Question(
        path=path,
        segments=reading.parse_data_path(path),
        input=value,
        started_ns=call.started_ns,
        parse_ns=time.perf_counter_ns() - parse_started_ns,
        requested_by=call.client,
        custom={"request_metadata": metadata} if metadata else {},
        refusal=call.refusal,
        credential=services.decisions.credential_of(call.headers),
        trace=call.trace,
        strict=reading.flag(call.parameters, "strict-builtin-errors"),
        raw=raw,
        is_exact=reading.is_exact(call.header(b"content-type")),
    )


def _refuse_write(call: Call, services: Services) -> Answer:
    path = call.below
    if call.method == "DELETE" and not path:
        return wire.method_not_allowed()
    snapshot = services.decisions.snapshot
    for name, bundle in snapshot.bundles.items() if snapshot else ():
        roots = bundle.manifest.roots
        if any(_overlap(path, root) for root in roots):
            return wire.write_refused(path, name, owns_all="" in roots)
    return wire.write_refused(path, None)


def _overlap(path: str, root: str) -> bool:
    return not root or path == root or path.startswith(root + "/") or root.startswith(path + "/")


ROUTES: Final = (
    Route(
        "/v1/data",
        {
            "POST": _v1_post,
            "GET": _v1_get,
            "PUT": _refuse_write,
            "PATCH": _refuse_write,
            "DELETE": _refuse_write,
        },
        subtree=True,
        label="v1/data",
        decides=True,
    ),
    Route("/v0/data", {"POST": _v0_post}, subtree=True, label="v0/data", decides=True),
    Route(
        "/",
        {"POST": _default_decision, "GET": status.banner},
        allow=b"GET, HEAD, POST",
        label="index",
        decides=True,
    ),
)
