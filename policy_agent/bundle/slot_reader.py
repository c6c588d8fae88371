"""Read a version of a configured bundle and hold it to all that its configuration asks for."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from policy_agent.bundle.directory import read_path
from policy_agent.bundle.keyring import Keyring
from policy_agent.bundle.reader import read_bundle
from policy_agent.bundle.schedule import Clock
from policy_agent.bundle.slot import Arrival, Slot
from policy_agent.errors import BundleError
from policy_agent.model import Bundle
from policy_agent.status import SourceStatus


class SlotReader:
    """Reads with the keys there are; runs in worker threads."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    def read(
        self, slot: Slot, raw: bytes, etag: str | None, *, base: Bundle | None = None
    ) -> Bundle:
        """Return the bundle in an archive.

        Args:
            base: the active version, which a delta changes.

        Raises:
            BundleError: it cannot be read or verified, or is older than one seen before.
        """
        bundle = read_bundle(
            slot.source.name,
            raw,
            size_limit_bytes=slot.source.size_limit_bytes,
            signing=slot.source.signing,
            keys=self._keyring.keys,
            etag=etag,
            base=base,
            now=self._clock.wall(),
            lazily=True,
        )
        slot.highest.check(bundle)
        return bundle

    def read_path(self, slot: Slot, path: Path) -> Bundle:
        """Return the bundle at a path, an archive or a directory.

        Raises:
            BundleError: as for `read`.
        """
        bundle = read_path(
            slot.source.name,
            path,
            size_limit_bytes=slot.source.size_limit_bytes,
            signing=slot.source.signing,
            keys=self._keyring.keys,
            now=self._clock.wall(),
            lazily=True,
        )
        slot.highest.check(bundle)
        return bundle

    def restore(self, slot: Slot) -> Bundle | None:
        """Return the last good copy on disk as what came last, None when none can be used."""
        store = slot.remote.store if slot.remote else None
        copy = store.load() if store else None
        if slot.remote is None or store is None or copy is None:
            return None
        try:
            bundle = self.read(slot, copy.raw, copy.etag)
        except BundleError as exc:
            slot.status = replace(slot.status, copy_problem=store.set_aside(exc))
            return None
        source = SourceStatus("persisted", str(store.path))
        slot.arrived = Arrival(bundle, source, slot.remote.origins.restored(copy.etag, source))
        return bundle
