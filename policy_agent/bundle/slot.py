"""One configured bundle and where it stands: its source, its active version, what came last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.bundle.origins import Answer, Clients, Origins, origins_of
from policy_agent.bundle.persist import BundleStore
from policy_agent.bundle.rollback import HighestVersion
from policy_agent.bundle.schedule import Moment, Schedule
from policy_agent.config import BundleSource
from policy_agent.model import Bundle
from policy_agent.status import BundleStatus, SourceStatus


class Remote(Struct):
    """Where a bundle is downloaded from.

    `confirmed` is when the attempt began that found the active version to be the newest: nothing
    later is known for sure.
    """

    origins: Origins
    schedule: Schedule
    store: BundleStore | None
    is_polled: bool = False
    confirmed: Moment | None = None


class Arrival(Struct, frozen=True):
    """A version of a bundle, or (None) word that the active one is the newest.

    Attributes:
        answer: None for what comes from a file.
        asked: when the origin was asked; None for a copy, whose age is not known.
    """

    bundle: Bundle | None
    source: SourceStatus
    answer: Answer | None = None
    asked: Moment | None = None


class Slot(Struct):
    """One configured bundle and where it stands.

    Attributes:
        remote: None for a local file.
        arrived: what came last; it becomes the active version, or proves that to be the newest.
    """

    source: BundleSource
    remote: Remote | None
    highest: HighestVersion
    status: BundleStatus
    active: Bundle | None = None
    arrived: Arrival | None = None

    def confirm(self) -> None:
        """Note that what came last is the active version, or proved that to be the newest."""
        arrived = self.arrived
        if arrived is None:
            return
        self.status = replace(self.status, source=arrived.source)
        if self.remote and arrived.answer:
            self.remote.confirmed = arrived.asked
            self.remote.origins.confirm(arrived.answer)


def slots_of(
    sources: Mapping[str, BundleSource],
    persistence_directory: Path,
    before: Mapping[str, Slot],
    *,
    reverify: bool = False,
) -> dict[str, Slot]:
    """Return the slots of the configured bundles by name.

    Args:
        before: the slots until now. One whose source is the same goes on; of another its version
            goes on deciding, but nothing vouches for it any more.
        reverify: whether what is verified has to be fetched again all the same.
    """
    clients: Clients = {}
    slots = {}
    for name, source in sources.items():
        slot = before.get(name)
        if slot is None or slot.source != source or (reverify and source.signing is not None):
            highest = HighestVersion(persistence_directory, name)
            remote = _remote(source, clients, persistence_directory)
            status = slot.status if slot else BundleStatus(name)
            slot = Slot(source, remote, highest, status, slot.active if slot else None)
        slots[name] = slot
    return slots


def _remote(source: BundleSource, clients: Clients, persistence_directory: Path) -> Remote | None:
    origins = origins_of(source, clients)
    if origins is None:
        return None
    store = None
    if source.persist:
        store = BundleStore(persistence_directory, source.name, origins.first_url)
    return Remote(origins, Schedule(source.polling), store)
