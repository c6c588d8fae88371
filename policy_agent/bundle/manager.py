"""Keep the configured bundles fresh: fetch what is due, switch to what is good, say how it went.

Does I/O through its parts and keeps their state; the rules live in `schedule`, `switch`, `activate`
and `history`. Nothing runs by itself: `start` and `refresh` are called at moments when the sandbox
is known to be awake.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from policy_agent.bundle import history
from policy_agent.bundle.directory import read_path
from policy_agent.bundle.download import NotModified, download
from policy_agent.bundle.persist import BundleStore, Copy
from policy_agent.bundle.reader import read_bundle
from policy_agent.bundle.schedule import Clock, Moment, Schedule
from policy_agent.bundle.switch import CompilePolicy, Failure, Outcome, compile_changed
from policy_agent.config import FILE_SCHEME, BundleSource, Freshness, Key, Service
from policy_agent.errors import BundleError
from policy_agent.model import Bundle, Snapshot
from policy_agent.service import ServiceClient
from policy_agent.status import BundleStatus, rfc3339

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slot:
    """One configured bundle and where it stands; `remote` is None for a local file."""

    source: BundleSource
    remote: _Remote | None
    status: BundleStatus
    active: Bundle | None = None


@dataclass(slots=True)
class _Remote:
    """Where a bundle is downloaded from.

    `asked` is when the last attempt began, `confirmed` when the one began that found the active
    version to be the newest: nothing later is known for sure.
    """

    client: ServiceClient
    schedule: Schedule
    store: BundleStore | None
    asked: Moment | None = None
    confirmed: Moment | None = None


class BundleManager:
    """Holds the active snapshot and replaces it when bundles change.

    A bundle that cannot be had, read, verified or compiled never raises and never disturbs what is
    active: its status says why, and its old version and old ETag stay.

    Args:
        sources: the configured bundles by name.
        keys: verification keys by id.
        persistence_directory: where last good copies are kept.
        compile_policy: modules by id and base documents -> policy; runs in a worker thread.
        activate: told of each new snapshot, on the event loop, before the old policy is closed.
        clock: where times and random draws come from.
    """

    def __init__(
        self,
        sources: Mapping[str, BundleSource],
        *,
        keys: Mapping[str, Key],
        persistence_directory: Path,
        compile_policy: CompilePolicy,
        activate: Callable[[Snapshot], None],
        clock: Clock = Clock(),  # noqa: B008 - frozen
    ) -> None:
        self._keys = keys
        self._compile_policy = compile_policy
        self._activate = activate
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._busy = asyncio.Lock()
        self._freshening: asyncio.Task[None] | None = None
        clients: dict[str, ServiceClient] = {}
        self._slots = {
            name: _Slot(source, _remote(source, clients, persistence_directory), BundleStatus(name))
            for name, source in sources.items()
        }

    @property
    def snapshot(self) -> Snapshot | None:
        """What decides now; None until the first bundle is active."""
        return self._snapshot

    @property
    def statuses(self) -> Mapping[str, BundleStatus]:
        """Every configured bundle's status by name."""
        return {name: slot.status for name, slot in self._slots.items()}

    async def start(self, timeout_seconds: float) -> None:
        """Activate the copies on disk, then fetch every bundle.

        Args:
            timeout_seconds: for the network; compiling what has arrived is not cut short.
        """
        async with self._busy:
            restored = await asyncio.to_thread(self._restore)
            await self._switch(restored)
            await self._update(list(self._slots), timeout_seconds)

    async def refresh(self, timeout_seconds: float) -> None:
        """Fetch the bundles that are due and switch to the new versions together.

        A call during another one waits for it, then fetches what is due by then.

        Args:
            timeout_seconds: for the network; compiling what has arrived is not cut short.
        """
        async with self._busy:
            due = [name for name, seconds in self._seconds_until_due().items() if seconds == 0]
            if due:
                await self._update(due, timeout_seconds)

    def is_stale(self) -> bool:
        """Whether a bundle is so old that a decision has to wait for a newer one."""
        return any(self._stale())

    async def freshen(self) -> str:
        """Wait, no longer than allowed, until every bundle is as fresh as it should be.

        Returns:
            "" when decisions may be taken, else a sentence that says why not.
        """
        wait_ms = max((freshness.wait_ms for _, freshness in self._stale()), default=0)
        if wait_ms:
            if self._freshening is None or self._freshening.done():
                refreshing = self.refresh(wait_ms / 1000)
                self._freshening = asyncio.create_task(refreshing, name="freshen")
            # Not cancelled when time is up: what arrives late serves the next decision.
            await asyncio.wait([self._freshening], timeout=wait_ms / 1000)
        return "; ".join(
            self._staleness(slot, freshness)
            for slot, freshness in self._stale()
            if freshness.on_stale == "deny"
        )

    def _stale(self) -> Iterator[tuple[_Slot, Freshness]]:
        for slot in self._slots.values():
            freshness = slot.source.freshness
            if freshness is None or freshness.on_stale == "serve" or slot.active is None:
                continue
            age_seconds = self._age_seconds(slot)
            if age_seconds is None or age_seconds > freshness.max_age_seconds:
                yield slot, freshness

    def _age_seconds(self, slot: _Slot) -> float | None:
        confirmed = slot.remote.confirmed if slot.remote else None
        return None if confirmed is None else confirmed.age_seconds(self._clock)

    def _staleness(self, slot: _Slot, freshness: Freshness) -> str:
        age_seconds = self._age_seconds(slot)
        age = "of unknown age" if age_seconds is None else f"{age_seconds:.0f} s old"
        reason = f" ({slot.status.message})" if slot.status.message else ""
        limit = f"max_age_seconds is {freshness.max_age_seconds:g}"
        return f"bundle {slot.source.name} is {age}, {limit}{reason}"

    def due(self) -> bool:
        """Tell whether any bundle should be fetched now."""
        return self.seconds_until_due() == 0

    def seconds_until_due(self) -> float | None:
        """Return how long until a bundle is due, None when all are local and none ever will be."""
        return min(self._seconds_until_due().values(), default=None)

    def _seconds_until_due(self) -> dict[str, float]:
        stale = {slot.source.name for slot, _ in self._stale()}
        return {
            name: 0.0
            if name in stale and not slot.remote.schedule.failures
            else slot.remote.schedule.seconds_until_due(self._clock)
            for name, slot in self._slots.items()
            if slot.remote
        }

    def _restore(self) -> dict[str, Bundle]:
        restored = {}
        for name, slot in self._slots.items():
            store = slot.remote.store if slot.remote else None
            copy = store.load() if store else None
            if store is None or copy is None:
                continue
            try:
                restored[name] = self._read(slot.source, copy.raw, copy.etag)
            except BundleError as exc:
                store.set_aside(exc)
        return restored

    async def _update(self, names: list[str], timeout_seconds: float) -> None:
        fetched = await asyncio.gather(
            *(self._attempt(self._slots[name], timeout_seconds) for name in names)
        )
        changed = {bundle.name: bundle for bundle in fetched if bundle is not None}
        await self._switch(changed)
        for name in names:
            slot = self._slots[name]
            if slot.remote:
                schedule = slot.remote.schedule
                after = schedule.after_failure if slot.status.code else schedule.after_success
                slot.remote.schedule = after(self._clock)
        await asyncio.to_thread(self._persist, [self._slots[name] for name in changed])

    async def _attempt(self, slot: _Slot, timeout_seconds: float) -> Bundle | None:
        """Return the new version, None when there is none or it cannot be used."""
        try:
            bundle = await self._fetch(slot, timeout_seconds)
        except BundleError as exc:
            slot.status = history.requested(slot.status, self._now())
            self._fail(slot, exc)
            return None
        if bundle is None:
            slot.status = history.unchanged(slot.status, self._now())
            _confirm(slot)
            return None
        slot.status = history.downloaded(slot.status, self._now())
        if slot.active and (bundle.raw, bundle.etag) == (slot.active.raw, slot.active.etag):
            slot.status = history.unchanged(slot.status, self._now())
            _confirm(slot)
            return None
        return bundle

    async def _fetch(self, slot: _Slot, timeout_seconds: float) -> Bundle | None:
        source = slot.source
        if slot.remote is None:
            return await asyncio.to_thread(
                read_path,
                source.name,
                Path(source.resource.removeprefix(FILE_SCHEME)),
                size_limit_bytes=source.size_limit_bytes,
                signing=source.signing,
                keys=self._keys,
            )
        client = slot.remote.client
        slot.remote.asked = Moment.now(self._clock)
        etag = slot.active.etag if slot.active else None
        # As in OPA, a service's timeout of 0 is no timeout of its own.
        timeout_seconds = min(timeout_seconds, client.timeout_seconds or timeout_seconds)
        answer = await download(source, client, etag, timeout_seconds)
        if isinstance(answer, NotModified):
            return None
        return await asyncio.to_thread(self._read, source, answer.raw, answer.etag)

    def _read(self, source: BundleSource, raw: bytes, etag: str | None) -> Bundle:
        return read_bundle(
            source.name,
            raw,
            size_limit_bytes=source.size_limit_bytes,
            signing=source.signing,
            keys=self._keys,
            etag=etag,
        )

    async def _switch(self, changed: Mapping[str, Bundle]) -> None:
        if not changed:
            return
        active = {name: slot.active for name, slot in self._slots.items() if slot.active}
        outcome = await _unless_cancelled(
            asyncio.to_thread(compile_changed, active, changed, self._compile_policy)
        )
        if outcome.snapshot is not None:
            old, self._snapshot = self._snapshot, outcome.snapshot
            self._activate(outcome.snapshot)
            if old is not None:
                old.policy.close()
        for name in outcome.activated:
            slot = self._slots[name]
            slot.active = changed[name]
            _confirm(slot)
            slot.status = history.activated(slot.status, self._now(), changed[name])
        for name, error in outcome.failures.items():
            self._fail(self._slots[name], error)

    def _fail(self, slot: _Slot, error: Failure) -> None:
        slot.status = history.failed(slot.status, error)
        log.warning("bundle %s: %s", slot.source.name, error)

    def _persist(self, slots: Iterable[_Slot]) -> None:
        for slot in slots:
            store = slot.remote.store if slot.remote else None
            if store is not None and slot.active is not None and not slot.status.code:
                copy = Copy(slot.active.raw, slot.active.etag)
                store.save(copy, fetched_at=rfc3339(slot.status.last_successful_download_at))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)


def _confirm(slot: _Slot) -> None:
    if slot.remote:
        slot.remote.confirmed = slot.remote.asked


def _remote(
    source: BundleSource, clients: dict[str, ServiceClient], persistence_directory: Path
) -> _Remote | None:
    service = source.service
    if service is None:
        return None
    store = None
    if source.persist:
        store = BundleStore(persistence_directory, source.name, _origin(service, source))
    client = clients.setdefault(service.name, ServiceClient(service))
    return _Remote(client, Schedule(source.polling), store)


def _origin(service: Service, source: BundleSource) -> str:
    return f"{service.url}/{source.resource.lstrip('/')}"


async def _unless_cancelled(compiling: Awaitable[Outcome]) -> Outcome:
    """Wait for a compilation; when cancelled, see to it that its policy is closed all the same."""
    task = asyncio.ensure_future(compiling)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_discard)
        raise


def _discard(task: asyncio.Future[Outcome]) -> None:
    if task.cancelled() or task.exception() is not None:
        return
    snapshot = task.result().snapshot
    if snapshot is not None:
        snapshot.policy.close()
