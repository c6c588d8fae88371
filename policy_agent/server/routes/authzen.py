"""OpenID AuthZEN's Authorization API 1.0: `/access/v1` and its metadata.

Served where `authzen.decision` is configured. Every evaluation and search is a decision in the log;
what AuthZEN was answered is its `mapped_result`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from policy_agent.codec import encode_json
from policy_agent.config import AuthZen
from policy_agent.errors import PolicyAgentError, RequestError
from policy_agent.model import Decision, JsonObject
from policy_agent.server import authzen, wire
from policy_agent.server.authzen import Verdict
from policy_agent.server.authzen_search import found, read_page, search_answer
from policy_agent.server.call import Call
from policy_agent.server.questions import TURN, Questions, decide
from policy_agent.server.routing import Handler, Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer

_Handler = Callable[[Call, Services], Awaitable[Answer]]
_REQUEST_ID: Final = b"x-request-id"


def _served(handle: _Handler) -> Handler:
    """Answer 404 where AuthZEN is not configured, and repeat the caller's request id."""

    async def served(call: Call, services: Services) -> Answer:
        if services.authzen is None:
            return wire.not_found()
        try:
            answer = await handle(call, services)
        except PolicyAgentError as exc:
            answer = wire.answer_of_error(exc)
        if (identifier := call.headers.get(_REQUEST_ID)) is None:
            return answer
        return Answer(answer.status, answer.body, (*answer.headers, (_REQUEST_ID, identifier)))

    return served


async def _evaluation(call: Call, services: Services) -> Answer:
    request = _request(call)
    return await _single(call, services, request)


async def _evaluations(call: Call, services: Services) -> Answer:
    request = _request(call)
    items, semantic = authzen.read_evaluations(request)
    if not items:
        return await _single(call, services, request)
    batch_id = services.decisions.new_id()
    questions = Questions(call, services, _config(services).decision, batch_id)
    verdicts: list[JsonObject] = []
    for number, item in enumerate(items, start=1):
        if number % TURN == 0:
            await asyncio.sleep(0)
        verdict = await _item(services, questions, item, request)
        verdicts.append(verdict.to_json())
        if verdict.decision is (semantic == "permit_on_first_permit") and semantic != "execute_all":
            break
    return wire.json_answer(encode_json({"evaluations": verdicts}))


async def _single(call: Call, services: Services, request: JsonObject) -> Answer:
    question = authzen.read_evaluation(request)
    questions = Questions(call, services, _config(services).decision)
    decision = await _decide(services, questions, question)
    if decision.error is not None and not decision.refused:
        return wire.evaluation_failed(decision.error)
    return wire.json_answer(encode_json(_verdict(services, decision, question).to_json()))


async def _item(
    services: Services, questions: Questions, item: Any, defaults: Mapping[str, Any]
) -> Verdict:
    if not isinstance(item, dict):
        return authzen.refused("an evaluation must be an object", 400)
    try:
        question = authzen.read_evaluation(item, defaults)
    except RequestError as exc:
        return authzen.refused(str(exc), 400)
    decision = await _decide(services, questions, question)
    if decision.error is not None and not decision.refused:
        return authzen.refused(decision.error["message"], 500)
    return _verdict(services, decision, question)


async def _decide(services: Services, questions: Questions, question: JsonObject) -> Decision:
    supported = _config(services).supported_obligations

    def mapped(value: Any) -> JsonObject:
        return {"decision": authzen.verdict_of(value, question, supported).decision}

    return await decide(services.decisions, questions.about(question, mapped))


def _verdict(services: Services, decision: Decision, question: JsonObject) -> Verdict:
    if decision.error is not None:
        verdict = authzen.refused(decision.error["message"])
    else:
        supported = _config(services).supported_obligations
        verdict = authzen.verdict_of(decision.result, question, supported)
    if services.show_decision_ids:
        verdict.context["decision_id"] = decision.decision_id
    return verdict


async def _search(entity: str, call: Call, services: Services) -> Answer:
    path = _config(services).searches.get(entity)
    if path is None:
        return wire.not_found()
    request = _request(call)
    question = authzen.read_evaluation(request, searched=entity)
    page = read_page(request, question)
    decision = await decide(services.decisions, Questions(call, services, path).about(question))
    if decision.error is not None and not decision.refused:
        return wire.evaluation_failed(decision.error)
    wanted_type = question.get(entity, {}).get("type", "")
    results = found(decision.result, entity, wanted_type)
    if results is None:
        message = f"the policy's answer is no list of {entity}s"
        return wire.error_answer(500, "internal_error", message)
    answer = search_answer(results, page)
    if decision.error is not None:
        answer["context"] = {"reasons": [decision.error["message"]]}
    return wire.json_answer(encode_json(answer))


async def _metadata(call: Call, services: Services) -> Answer:
    config = _config(services)
    host = call.header(b"host")
    base = config.policy_decision_point or f"{call.scheme}://{host}"
    document = {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "supported_obligations": sorted(config.supported_obligations),
    }
    for entity in config.searches:
        document[f"search_{entity}_endpoint"] = f"{base}/access/v1/search/{entity}"
    return wire.json_answer(encode_json(document))


def _request(call: Call) -> JsonObject:
    return authzen.read_object(call.body, call.header(b"content-type"), call.parsed)


def _config(services: Services) -> AuthZen:
    if services.authzen is None:
        raise RequestError("AuthZEN is not configured")
    return services.authzen


def _route(path: str, handle: _Handler, method: str = "POST", allow: bytes = b"POST") -> Route:
    return Route(path, {method: _served(handle)}, allow=allow, label=path.lstrip("/"), decides=True)


ROUTES: Final = (
    _route("/access/v1/evaluations", _evaluations),
    _route("/access/v1/evaluation", _evaluation),
    *(
        _route(f"/access/v1/search/{entity}", partial(_search, entity))
        for entity in authzen.ENTITIES
    ),
    _route("/.well-known/authzen-configuration", _metadata, "GET", b"GET, HEAD"),
)
