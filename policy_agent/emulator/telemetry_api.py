"""Lambda's Telemetry API, version 2022-07-01 (developer guide, "Lambda Telemetry API")."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.extensions_api import identify
from policy_agent.emulator.generation import Generation
from policy_agent.emulator.refusal import Refusal
from policy_agent.emulator.replies import gone, json_reply, refuse
from policy_agent.emulator.settings import LambdaSettings
from policy_agent.emulator.telemetry import TelemetryHub
from policy_agent.emulator.telemetry_subscription import parse_subscription, schemas_of


class TelemetryApi:
    """Takes subscriptions during Init; in the mode `refuse`, none at all."""

    def __init__(
        self,
        current: Callable[[], Generation | None],
        hub: TelemetryHub,
        settings: LambdaSettings,
        events: EventLog,
    ) -> None:
        self._current = current
        self._hub = hub
        self._mode = settings.telemetry
        self._schemas = schemas_of(settings.initialization_type)
        self._events = events

    def routes(self) -> list[Route]:
        """Return the routes of this API."""
        return [Route("/2022-07-01/telemetry", self._subscribe, methods=["PUT"])]

    async def _subscribe(self, request: Request) -> Response:
        generation = self._current()
        if generation is None:
            return gone()
        extension = identify(request, generation)
        if isinstance(extension, Refusal):
            return refuse(extension)
        if self._mode == "refuse":
            message = "Telemetry API is not supported"
            return refuse(Refusal(202, "Telemetry.NotSupported", message))
        subscription = parse_subscription(await request.body(), self._schemas)
        if generation.initialized:
            message = "Telemetry API subscription is closed already"
            subscription = Refusal(403, "Telemetry.SubscriptionClosed", message)
        if isinstance(subscription, Refusal):
            self._events.record(
                "subscribe_refused", extension.name, error_type=subscription.error_type
            )
            return refuse(subscription)
        self._events.record("subscribe", extension.name, types=sorted(subscription.types))
        self._hub.subscribe(extension.name, subscription)
        return json_reply(200, "OK")
