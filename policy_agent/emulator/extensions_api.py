"""Lambda's Extensions API, version 2020-01-01 (developer guide, "Lambda Extensions API")."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.extension_rules import (
    MAX_EXTENSIONS,
    ExtensionState,
    parse_registration,
    refused_transition,
)
from policy_agent.emulator.failure import Failure
from policy_agent.emulator.generation import Extension, Generation
from policy_agent.emulator.refusal import Refusal
from policy_agent.emulator.replies import accepted, gone, json_reply, refuse
from policy_agent.emulator.settings import (
    ACCOUNT_ID,
    FUNCTION_VERSION,
    MANAGED_INSTANCES,
    LambdaSettings,
)

PREFIX = "/2020-01-01/extension"
IDENTIFIER = "Lambda-Extension-Identifier"
_ERROR_TYPE = "Lambda-Extension-Function-Error-Type"


def identify(request: Request, generation: Generation) -> Extension | Refusal:
    """Return the extension that a request's identifier belongs to."""
    identifier = request.headers.get(IDENTIFIER)
    if not identifier:
        kind, message = "MissingExtensionIdentifier", f"Missing {IDENTIFIER} header"
    else:
        extension = generation.by_identifier(identifier)
        if extension is not None:
            return extension
        kind, message = "UnknownExtensionIdentifier", f"Unknown {IDENTIFIER}"
        try:
            uuid.UUID(identifier)
        except ValueError:
            kind, message = "InvalidExtensionIdentifier", f"Invalid {IDENTIFIER}"
    return Refusal(403, f"Extension.{kind}", message)


class ExtensionsApi:
    """Answers extensions for whichever generation is current."""

    def __init__(
        self, current: Callable[[], Generation | None], settings: LambdaSettings, events: EventLog
    ) -> None:
        self._current = current
        self._settings = settings
        self._events = events

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        return [
            Route(f"{PREFIX}/register", self._register, methods=["POST"]),
            Route(f"{PREFIX}/event/next", self._next, methods=["GET"]),
            Route(f"{PREFIX}/init/error", self._init_error, methods=["POST"]),
            Route(f"{PREFIX}/exit/error", self._exit_error, methods=["POST"]),
        ]

    async def _register(self, request: Request) -> Response:
        generation = self._current()
        if generation is None:
            return gone()
        name = request.headers.get("Lambda-Extension-Name", "")
        result = self._admit(generation, name, await request.body())
        if isinstance(result, Refusal):
            self._events.record("register_refused", name, error_type=result.error_type)
            return refuse(result)
        self._events.record("register", name, events=sorted(result.subscriptions))
        generation.notify()
        answer = {
            "functionName": self._settings.function_name,
            "functionVersion": FUNCTION_VERSION,
            "handler": self._settings.handler,
        }
        if "accountId" in request.headers.get("Lambda-Extension-Accept-Feature", ""):
            answer["accountId"] = ACCOUNT_ID
        return json_reply(200, answer, {IDENTIFIER: result.identifier})

    def _admit(self, generation: Generation, name: str, body: bytes) -> Extension | Refusal:
        if not name:
            return Refusal(403, "Extension.InvalidExtensionName", "Empty extension name")
        known = generation.extensions.get(name)
        subscriptions = parse_registration(
            body,
            internal=known is None or not known.external,
            managed=self._settings.initialization_type == MANAGED_INSTANCES,
        )
        if isinstance(subscriptions, Refusal):
            return subscriptions
        if known is not None:
            refused = refused_transition(name, known.state, ExtensionState.REGISTERED)
            if refused is not None:
                return refused
        elif generation.registration_closed:
            message = "Extension registration closed already"
            return Refusal(403, "Extension.RegistrationClosed", message)
        elif len(generation.extensions) >= MAX_EXTENSIONS:
            message = f"Extension limit ({MAX_EXTENSIONS}) reached"
            return Refusal(403, "Extension.TooManyExtensions", message)
        extension = generation.extensions.setdefault(name, known or Extension(name))
        extension.register(subscriptions)
        return extension

    async def _next(self, request: Request) -> Response:
        generation = self._current()
        if generation is None:
            return gone()
        extension = identify(request, generation)
        if isinstance(extension, Refusal):
            return refuse(extension)
        if not extension.poll.has_mail:
            refused = refused_transition(extension.name, extension.state, ExtensionState.READY)
            if refused is not None:
                return refuse(refused)
            extension.state = ExtensionState.READY
        self._events.record("next", extension.name)
        generation.notify()
        event = await extension.poll.wait()
        if event is None:
            return gone()
        return json_reply(200, event, {"Lambda-Extension-Event-Identifier": str(uuid.uuid4())})

    async def _init_error(self, request: Request) -> Response:
        return self._error(request, ExtensionState.INIT_ERROR)

    async def _exit_error(self, request: Request) -> Response:
        return self._error(request, ExtensionState.EXIT_ERROR)

    def _error(self, request: Request, target: ExtensionState) -> Response:
        generation = self._current()
        if generation is None:
            return gone()
        extension = identify(request, generation)
        if isinstance(extension, Refusal):
            return refuse(extension)
        detail = request.headers.get(_ERROR_TYPE)
        if not detail:
            message = f"Missing {_ERROR_TYPE} header"
            return refuse(Refusal(403, "Extension.MissingHeader", message))
        refused = refused_transition(extension.name, extension.state, target)
        if refused is not None:
            return refuse(refused)
        extension.state = target
        self._events.record("extension_error", extension.name, error_type=detail)
        generation.fail(Failure(f"Extension.{target}", f"{extension.name}: {detail}"))
        return accepted()
