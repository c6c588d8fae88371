"""Keep the configured bundles fresh: fetch what is due, switch to what is good, say how it went.

Does I/O through its parts and keeps their state; the rules live in `schedule`, `switch`, `activate`
and `history`. Nothing runs by itself: `start` and `refresh` are called at moments when the sandbox
is known to be awake.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from policy_agent.bundle import history, staleness
from policy_agent.bundle.keyring import Keyring
from policy_agent.bundle.persist import Copy
from policy_agent.bundle.schedule import Clock, Moment
from policy_agent.bundle.slot import Arrival, Slot, slots_of
from policy_agent.bundle.slot_reader import SlotReader
from policy_agent.bundle.switch import (
    CompilePolicy,
    Failure,
    Outcome,
    compile_changed,
    unless_cancelled,
)
from policy_agent.config import FILE_SCHEME, BundleSource, Freshness, Key
from policy_agent.errors import BundleActivationError, BundleError, BundleVerificationError
from policy_agent.model import Bundle, JsonObject, Snapshot
from policy_agent.status import BundleStatus, SourceStatus, rfc3339

log = logging.getLogger(__name__)

LONG_POLL_MARGIN_SECONDS = 60  # for the answer itself, once the source has waited long enough


class BundleManager:
    """Holds the active snapshot and replaces it when bundles change.

    A bundle that cannot be had, read, verified or compiled never raises and never disturbs what is
    active: its status says why, and its old version and old ETag stay.

    Args:
        sources: the configured bundles by name.
        keys: verification keys by id.
        persistence_directory: where last good copies are kept.
        compile_policy: modules by id and base documents -> policy; runs in a worker thread.
        activate: told of each new snapshot, on the event loop, before the old policy is closed;
            of None when the last bundle has gone.
        clock: where times and random draws come from.
    """

    def __init__(
        self,
        sources: Mapping[str, BundleSource],
        *,
        keys: Mapping[str, Key],
        persistence_directory: Path,
        compile_policy: CompilePolicy,
        activate: Callable[[Snapshot | None], None],
        clock: Clock = Clock(),  # noqa: B008 - frozen
    ) -> None:
        self._clock = clock
        self._directory = persistence_directory
        self._use_keys(keys)
        self._compile_policy = compile_policy
        self._activate = activate
        self._snapshot: Snapshot | None = None
        self._busy = asyncio.Lock()
        self._freshening: asyncio.Task[None] | None = None
        self._slots = slots_of(sources, persistence_directory, {})

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
            await self._begin(list(self._slots), timeout_seconds)

    async def reconfigure(
        self, sources: Mapping[str, BundleSource], keys: Mapping[str, Key], timeout_seconds: float
    ) -> None:
        """Take other settings: fetch what is new or changed, let go of what has gone.

        A bundle that is as before stays as it is, ETag and all. One that comes from elsewhere, or
        is verified otherwise, decides in its old version until the new one is active.

        Args:
            timeout_seconds: for the network; compiling what has arrived is not cut short.
        """
        async with self._busy:
            has_other_keys = keys != self._keys
            if has_other_keys:
                self._use_keys(keys)
            before = self._slots
            self._slots = slots_of(sources, self._directory, before, reverify=has_other_keys)
            new = [
                name
                for name, slot in self._slots.items()
                if slot is not before.get(name) or slot.status.last_request_at is None
            ]
            await self._begin(new, timeout_seconds)

    async def refresh(self, timeout_seconds: float) -> None:
        """Fetch the bundles that are due and switch to the new versions together.

        A call during another one waits for it, then fetches what is due by then.

        Args:
            timeout_seconds: for the network; compiling what has arrived is not cut short.
        """
        async with self._busy:
            due = [name for name, seconds in self._seconds_until_due().items() if seconds == 0]
            if due:
                timeout_seconds = await self._keyring.renew(timeout_seconds)
                await self._update(due, timeout_seconds)

    @property
    def long_polled(self) -> list[str]:
        """The bundles whose source may hold a request back until there is news."""
        return [name for name, slot in self._slots.items() if slot.source.long_poll_seconds]

    async def poll(self, name: str) -> None:
        """Wait until a long-polled bundle is due, ask for it, and switch to what comes.

        Its source may keep the request for as long as configured; `refresh`, which would wait with
        it, leaves the bundle alone unless it is stale.
        """
        slot = self._slots[name]
        assert slot.remote is not None
        slot.remote.is_polled = True
        await asyncio.sleep(slot.remote.schedule.seconds_until_due(self._clock))
        await self._keyring.renew(LONG_POLL_MARGIN_SECONDS)
        before = slot.active
        wait_seconds = slot.source.long_poll_seconds if slot.remote.origins.long_polls else 0
        timeout_seconds = wait_seconds + LONG_POLL_MARGIN_SECONDS
        fetching = asyncio.ensure_future(self._fetch(slot, timeout_seconds, wait_seconds))
        try:
            await asyncio.wait([fetching])
            async with self._busy:
                # If not, a refresh or other settings in the meantime knew better.
                if slot.active is before and self._slots.get(name) is slot:
                    await self._settle([name], [await self._attempt(slot, fetching)])
        finally:
            fetching.cancel()

    def is_stale(self) -> bool:
        """Whether a bundle is so old that a decision has to wait for a newer one, or be refused."""
        return any(self._stale()) or any(self._expired())

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
        reasons = list(self._expired())
        reasons += [
            staleness.refusal(slot, freshness, self._clock)
            for slot, freshness in self._stale()
            if freshness.on_stale == "deny"
        ]
        return "; ".join(reasons)

    def older_than(self, seconds: float) -> list[str]:
        """Return the bundles that their source has not confirmed within `seconds`.

        Those read from a file have no age.
        """
        ages = {
            name: staleness.age_seconds(slot, self._clock)
            for name, slot in self._slots.items()
            if slot.remote
        }
        return [name for name, age in ages.items() if age is None or age > seconds]

    def provenance(self) -> JsonObject:
        """Return, of each active bundle, how old it is and where it came from.

        Those read from a file have no age, nor have those that no source has confirmed yet.
        """
        told: JsonObject = {}
        for name, slot in self._slots.items():
            if slot.active is not None:
                source, age_seconds = slot.status.source, staleness.age_seconds(slot, self._clock)
                told[name] = {"source": source.kind} if source else {}
                if age_seconds is not None:
                    told[name]["age_seconds"] = round(age_seconds, 3)
        return told

    def _stale(self) -> Iterator[tuple[Slot, Freshness]]:
        return staleness.stale(self._slots.values(), self._clock)

    def _expired(self) -> Iterator[str]:
        return staleness.expired(self._slots.values(), self._clock)

    def due(self) -> bool:
        """Tell whether any bundle should be fetched now."""
        return self.seconds_until_due() == 0

    def seconds_until_due(self) -> float | None:
        """Return how long until `refresh` has something to do, None when it never will."""
        return min(self._seconds_until_due().values(), default=None)

    def _seconds_until_due(self) -> dict[str, float]:
        stale = {slot.source.name for slot, _ in self._stale()}
        return {
            name: 0.0
            if name in stale and not slot.remote.schedule.failures
            else slot.remote.schedule.seconds_until_due(self._clock)
            for name, slot in self._slots.items()
            if slot.remote and (name in stale or not slot.remote.is_polled)
        }

    def _use_keys(self, keys: Mapping[str, Key]) -> None:
        self._keys = keys
        self._keyring = Keyring(keys, self._clock)
        self._reader = SlotReader(self._keyring, self._clock)

    async def _begin(self, names: list[str], timeout_seconds: float) -> None:
        timeout_seconds = await self._keyring.renew(timeout_seconds)
        if restored := await asyncio.to_thread(self._restore):
            await self._switch(restored)
        await self._update(names, timeout_seconds)
        await self._use_packaged()

    def _restore(self) -> dict[str, Bundle]:
        waiting = [slot for slot in self._slots.values() if slot.active is None]
        restored = {slot.source.name: self._reader.restore(slot) for slot in waiting}
        return {name: bundle for name, bundle in restored.items() if bundle is not None}

    async def _use_packaged(self) -> None:
        for name, slot in self._slots.items():
            if slot.active is not None or not slot.source.packaged:
                continue
            path, before = Path(slot.source.packaged), slot.status
            try:
                bundle = await asyncio.to_thread(self._reader.read_path, slot, path)
            except BundleError as exc:
                message = f"{before.message}; packaged copy: {exc}"
                slot.status = replace(before, message=message)
                log.warning("bundle %s: packaged copy: %s", name, exc)
                continue
            source = SourceStatus("packaged", str(path), before.message)
            slot.arrived = Arrival(bundle, source)
            if name in await self._switch({name: bundle}):
                slot.status = history.still_failing(slot.status, before)

    async def _update(self, names: list[str], timeout_seconds: float) -> None:
        slots = [self._slots[name] for name in names]
        fetched = await asyncio.gather(
            *(self._attempt(slot, self._fetch(slot, timeout_seconds)) for slot in slots)
        )
        await self._settle(names, fetched)

    async def _settle(self, names: Iterable[str], fetched: Iterable[Bundle | None]) -> None:
        changed = {bundle.name: bundle for bundle in fetched if bundle is not None}
        await self._switch(changed)
        for name in names:
            slot = self._slots[name]
            if slot.remote is None:
                continue
            schedule = slot.remote.schedule
            slot.remote.schedule = (
                schedule.after_failure(self._clock)
                if slot.status.code
                else schedule.after_success(
                    self._clock,
                    long_polls=slot.remote.is_polled and slot.remote.origins.long_polls,
                )
            )
        for name in changed:
            await self._persist(self._slots[name])

    async def _attempt(self, slot: Slot, fetching: Awaitable[Arrival]) -> Bundle | None:
        """Return the new version, None when there is none or it cannot be used."""
        try:
            slot.arrived = await fetching
        except BundleError as exc:
            slot.status = history.requested(slot.status, self._now())
            self._fail(slot, exc)
            return None
        bundle = slot.arrived.bundle
        if bundle is None:
            slot.status = history.unchanged(slot.status, self._now())
            slot.confirm()
            return None
        slot.status = history.downloaded(slot.status, self._now(), bundle)
        if slot.active and bundle.raw and bundle.raw == slot.active.raw:
            slot.status = history.unchanged(slot.status, self._now())
            slot.confirm()
            return None
        return bundle

    async def _fetch(self, slot: Slot, timeout_seconds: float, wait_seconds: int = 0) -> Arrival:
        if slot.remote is None:
            path = Path(slot.source.resource.removeprefix(FILE_SCHEME))
            bundle = await asyncio.to_thread(self._reader.read_path, slot, path)
            return Arrival(bundle, SourceStatus("file", str(path)))
        asked, read = Moment.now(self._clock), partial(self._reader.read, slot, base=slot.active)
        answer = await slot.remote.origins.fetch(read, timeout_seconds, wait_seconds)
        return Arrival(answer.bundle, answer.status, answer, asked)

    async def _switch(self, changed: Mapping[str, Bundle]) -> Collection[str]:
        """Return the names of the changed bundles that are active now."""
        serving = self._snapshot.bundles if self._snapshot else {}
        has_gone = any(name not in self._slots for name in serving)
        if not changed and not has_gone:
            return ()
        active = {name: slot.active for name, slot in self._slots.items() if slot.active}
        if not changed:
            await self._let_go(active)
            return ()
        outcome = await self._compiled(active, changed)
        if outcome.snapshot is not None:
            self._replace(outcome.snapshot)
        elif has_gone:
            await self._let_go(active)
        for name in outcome.activated:
            slot = self._slots[name]
            slot.active = changed[name]
            slot.confirm()
            slot.status = history.activated(slot.status, self._now(), changed[name])
        for name, error in outcome.failures.items():
            self._fail(self._slots[name], error)
        for name in outcome.activated:
            await asyncio.to_thread(self._slots[name].highest.raise_to, changed[name].version)
        return outcome.activated

    async def _let_go(self, active: Mapping[str, Bundle]) -> None:
        """Have `active` alone decide, without the bundles that are no longer configured."""
        if not active:
            self._replace(None)
            return
        outcome = await self._compiled(active, {})
        if outcome.snapshot is not None:
            self._replace(outcome.snapshot)
            return
        for name in active:
            message = "cannot be compiled without a bundle that is no longer configured"
            self._fail(self._slots[name], BundleActivationError(message))

    async def _compiled(
        self, active: Mapping[str, Bundle], changed: Mapping[str, Bundle]
    ) -> Outcome:
        return await unless_cancelled(
            asyncio.to_thread(compile_changed, active, changed, self._compile_policy)
        )

    def _replace(self, snapshot: Snapshot | None) -> None:
        old, self._snapshot = self._snapshot, snapshot
        self._activate(snapshot)
        if old is not None:
            old.policy.close()

    def _fail(self, slot: Slot, error: Failure) -> None:
        if isinstance(error, BundleVerificationError) and self._keyring.problem:
            error = BundleVerificationError(f"{error} ({self._keyring.problem})")
        slot.status = history.failed(slot.status, error)
        log.warning("bundle %s: %s", slot.source.name, error)

    async def _persist(self, slot: Slot) -> None:
        store = slot.remote.store if slot.remote else None
        if slot.remote is None or store is None or slot.active is None or slot.status.code:
            return
        if slot.active.kind == "delta":
            # The copy stays the snapshot as it was signed; after a restart its ETag leads on.
            return
        copy = Copy(slot.active.raw, slot.remote.origins.first_etag)
        fetched_at = rfc3339(slot.status.last_successful_download_at)
        problem = await asyncio.to_thread(store.save, copy, fetched_at=fetched_at)
        slot.status = replace(slot.status, copy_problem=problem)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.wall(), UTC)
