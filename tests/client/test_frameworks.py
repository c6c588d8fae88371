import asyncio

import httpx
import pytest
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from policy_agent.client import aio, mask_fields
from policy_agent.client.asgi import AuthorizationMiddleware, request_input
from policy_agent.client.powertools import authorization
from tests.client.test_events import http_api

MASK = {"type": "mask_fields", "fields": ["card"]}
HANDLERS = {"mask_fields": mask_fields}


class Application:
    """A Starlette application behind the middleware, and what it was asked."""

    def __init__(self, **settings) -> None:
        self.decisions = []
        middleware = Middleware(AuthorizationMiddleware, path="http/decision", **settings)
        routes = [Route("/order", self.order), Route("/text", self.text)]
        self._app = Starlette(routes=routes, middleware=[middleware])

    async def order(self, request):
        self.decisions.append(request.state.decision)
        return JSONResponse({"id": 1, "card": "4111"}, headers={"x-kept": "yes"})

    async def text(self, request):
        return PlainTextResponse("card 4111")

    def get(self, path, **headers):
        async def ask():
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
                try:
                    return await client.get(path, headers=headers)
                finally:
                    await aio.close()

        return asyncio.run(ask())


def test_asgi_an_allowed_request_goes_through(agent):
    answers, seen = agent
    answers.append((200, {"result": True, "decision_id": "d"}))
    app = Application(pass_token=True)
    answer = app.get("/order", authorization="Bearer t")
    assert answer.json() == {"id": 1, "card": "4111"}
    assert [decision.decision_id for decision in app.decisions] == ["d"]
    assert seen[0].path == "/v1/data/http/decision"
    assert seen[0].body["input"]["action"] == "GET /order"
    assert seen[0].headers["Authorization"] == "Bearer t"


def test_asgi_a_denied_request_does_not(agent):
    answers, _ = agent
    step_up = {"type": "step_up", "method": "mfa"}
    answers.append((200, {"result": {"allow": False, "reasons": ["no"], "obligations": [step_up]}}))
    app = Application()
    answer = app.get("/order")
    assert answer.status_code == 403
    assert answer.json() == {"message": "forbidden", "reasons": ["no"], "obligations": [step_up]}
    assert app.decisions == []


def test_asgi_obligations_are_fulfilled_on_the_answer_or_deny(agent):
    answers, _ = agent
    allowed = (200, {"result": {"allow": True, "obligations": [MASK]}})
    answers += [allowed] * 3
    answer = Application(handlers=HANDLERS).get("/order")
    assert answer.json() == {"id": 1, "card": "***"}
    assert answer.headers["x-kept"] == "yes"
    assert Application(handlers=HANDLERS).get("/text").status_code == 403
    assert Application().get("/order").status_code == 403


def test_asgi_without_an_agent_nothing_goes_through(monkeypatch):
    monkeypatch.setenv("POLICY_AGENT_ADDR", "127.0.0.1:1")
    app = Application()
    assert app.get("/order").status_code == 503
    assert app.decisions == []


def test_asgi_some_requests_may_pass_undecided(agent):
    def questions(scope):
        return None if scope["path"] == "/text" else request_input(scope)

    assert Application(input_of=questions).get("/text").text == "card 4111"


def test_asgi_a_websocket_that_is_denied_is_closed(agent):
    answers, _ = agent
    answers.append((200, {"result": False}))
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    async def connect():
        scope = {"type": "websocket", "path": "/live", "headers": []}
        await AuthorizationMiddleware(Starlette(), path="a")(scope, receive, send)
        await aio.close()

    asyncio.run(connect())
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "forbidden"}]


class Resolver(APIGatewayHttpResolver):
    """A resolver that notes which decisions its route saw."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[object] = []


@pytest.fixture
def resolver():
    app = Resolver()
    app.use(middlewares=[authorization("http/decision", handlers=HANDLERS, pass_token=True)])

    @app.get("/orders/<number>")
    def order(number):
        app.ran.append(app.context["decision"])
        return {"id": number, "card": "4111"}

    return app


def test_powertools_obligations_are_fulfilled_on_what_the_route_returns(agent, resolver):
    answers, seen = agent
    answers.append((200, {"result": {"allow": True, "obligations": [MASK]}}))
    answer = resolver.resolve(http_api(), None)
    assert (answer["statusCode"], answer["body"]) == (200, '{"id":"1","card":"***"}')
    assert seen[0].body["input"]["action"] == "GET /orders/{id}"
    assert seen[0].headers["Authorization"] == "Bearer t.o.k"
    assert len(resolver.ran) == 1


def test_powertools_a_denied_request_reaches_no_route(agent, resolver, monkeypatch):
    answers, _ = agent
    answers.append((200, {"result": {"allow": False, "reasons": ["no"]}}))
    answer = resolver.resolve(http_api(), None)
    assert answer["statusCode"] == 403
    assert answer["body"] == '{"message":"forbidden","reasons":["no"]}'
    monkeypatch.setenv("POLICY_AGENT_ADDR", "127.0.0.1:1")
    from policy_agent.client import connection

    connection.close()
    assert resolver.resolve(http_api(), None)["statusCode"] == 503
    assert resolver.ran == []
