"""Send telemetry events to the extensions that subscribed.

Delivery rests while the environment is frozen, so what was not sent before arrives after the thaw.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime

import httpx

from policy_agent.codec import encode_json
from policy_agent.emulator import platform_events
from policy_agent.emulator.events import EventLog
from policy_agent.emulator.telemetry_buffer import TelemetryBuffer
from policy_agent.emulator.telemetry_subscription import Subscription
from policy_agent.model import JsonObject

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 1.0
MAX_REPLAYED_EVENTS = 1000


class TelemetryHub:
    """Takes each event once and hands it to every subscriber of its type."""

    def __init__(
        self, events: EventLog, *, lost: Iterable[str] = (), late_seconds: float = 0.0
    ) -> None:
        """Begin without subscribers.

        Args:
            lost: types of events that are never delivered.
            late_seconds: how much later than asked for each batch is sent.
        """
        self._events = events
        self._lost = frozenset(lost)
        self._late_seconds = late_seconds
        self._awake = asyncio.Event()
        self._subscribers: dict[str, _Subscriber] = {}
        self._since_start: deque[tuple[str, bytes]] = deque(maxlen=MAX_REPLAYED_EVENTS)

    def emit(self, event_type: str, record: JsonObject | str) -> None:
        """Buffer one event for everyone who subscribed to its type, now or later in this Init."""
        now = platform_events.telemetry_time(datetime.now(UTC))
        encoded = encode_json({"time": now, "type": event_type, "record": record})
        kind = event_type.partition(".")[0]
        self._events.record("telemetry", type=event_type, record=record)
        if event_type in self._lost:
            return
        self._since_start.append((kind, encoded))
        for subscriber in self._subscribers.values():
            subscriber.push(kind, encoded)

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Start delivering, beginning with what happened in this Init so far."""
        replaced = self._subscribers.pop(name, None)
        if replaced is not None:
            replaced.cancel()
        subscriber = _Subscriber(name, subscription, self._awake, self._events, self._late_seconds)
        for kind, encoded in self._since_start:
            subscriber.push(kind, encoded)
        self._subscribers[name] = subscriber
        record = platform_events.subscription(name, subscription.types)
        self.emit("platform.telemetrySubscription", record)

    def rest(self) -> None:
        """Deliver nothing until `wake`."""
        self._awake.clear()

    def wake(self) -> None:
        """Deliver what is due."""
        self._awake.set()

    def hurry(self) -> None:
        """Deliver everything now, because the end is near."""
        self.wake()
        for subscriber in self._subscribers.values():
            subscriber.hurry()

    async def reset(self) -> None:
        """Forget all subscribers and what was not delivered: their processes are gone."""
        tasks = [subscriber.cancel() for subscriber in self._subscribers.values()]
        self._subscribers.clear()
        self._since_start.clear()
        if tasks:
            await asyncio.wait(tasks)


class _Subscriber:
    def __init__(
        self,
        name: str,
        subscription: Subscription,
        awake: asyncio.Event,
        events: EventLog,
        late_seconds: float,
    ) -> None:
        self._name = name
        self._subscription = subscription
        self._awake = awake
        self._events = events
        self._late_seconds = late_seconds
        self._buffer = TelemetryBuffer(subscription.buffering)
        self._hurried = False
        self._changed = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._task = asyncio.create_task(self._deliver())

    def push(self, kind: str, encoded: bytes) -> None:
        if kind not in self._subscription.types:
            return
        dropped = self._buffer.push(encoded, self._clock())
        if dropped:
            size_bytes = sum(map(len, dropped))
            self._events.record(
                "telemetry_dropped", self._name, records=len(dropped), size_bytes=size_bytes
            )
            self._tell_dropped(len(dropped), size_bytes)
        self._changed.set()

    def _tell_dropped(self, records: int, size_bytes: int) -> None:
        if "platform" in self._subscription.types:
            now = platform_events.telemetry_time(datetime.now(UTC))
            record = platform_events.logs_dropped(records, size_bytes)
            event = {"time": now, "type": "platform.logsDropped", "record": record}
            self._buffer.push(encode_json(event), self._clock())

    def hurry(self) -> None:
        self._hurried = True
        self._changed.set()

    def cancel(self) -> asyncio.Task[None]:
        self._task.cancel()
        return self._task

    async def _deliver(self) -> None:
        async with httpx.AsyncClient(
            trust_env=False,  # a proxy must not get these
            verify=False,  # noqa: S501 - http only, and loading certificates takes 20 ms
            timeout=None,  # noqa: S113 - a frozen listener answers after the thaw
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client:
            while True:
                await self._until_due()
                if self._late_seconds:
                    await asyncio.sleep(self._late_seconds)
                    await self._awake.wait()
                batch = self._buffer.take(self._clock())
                await self._post(client, b"[" + b",".join(batch) + b"]")
                self._events.record("telemetry_batch", self._name, records=len(batch))

    async def _until_due(self) -> None:
        while True:
            await self._awake.wait()
            self._changed.clear()
            seconds = self._buffer.seconds_until_due(self._clock())
            if seconds == 0 or (self._hurried and seconds is not None):
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Host": self._subscription.host}
        pause_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                response = await client.post(self._subscription.url, content=body, headers=headers)
                problem = "" if response.is_success else f"status {response.status_code}"
            except httpx.HTTPError as exc:
                problem = type(exc).__name__
            if not problem:
                return
            self._events.record("telemetry_retry", self._name, problem=problem)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LAST_RETRY_SECONDS)
            await self._awake.wait()
