"""Forget old snapshots of the table, and delete the files that only they used.

A commit that replaces data files (compaction, retention) lists them as deleted. Once every snapshot
before it is forgotten, nobody can read them any more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from policy_agent.auditor.file_io import local_path

# pyiceberg copies the list of snapshots some twenty times a commit: 76 ms for the first commit grew
# to 861 ms by the 500th, and expiring brought it back.
MAX_SNAPSHOTS: Final = 20
# A reader that is slower than this many commits would miss its files.
KEPT_SNAPSHOTS: Final = 10
# No writer takes so long from a file to the commit that refers to it.
ORPHAN_SECONDS: Final = 24 * 3600


def expire_old_snapshots(
    table: Table, *, most: int = MAX_SNAPSHOTS, kept: int = KEPT_SNAPSHOTS
) -> None:
    """Bring the table back to `kept` snapshots when it has more than `most`.

    A crash in between leaves files that nothing refers to, for `delete_orphans`.
    """
    snapshots = table.metadata.snapshots
    if len(snapshots) <= most:
        return
    old, left = snapshots[:-kept], snapshots[-kept:]
    used_by_old = _metadata_files(table, old)
    # What the first that stays has replaced is used by none of those that stay.
    replaced = list(_replaced_files(table, [*old, left[0]]))
    table.maintenance.expire_snapshots().by_ids([snapshot.snapshot_id for snapshot in old]).commit()
    for location in (used_by_old - _metadata_files(table, table.metadata.snapshots)).union(
        replaced
    ):
        with suppress(FileNotFoundError):
            table.io.delete(location)


def delete_orphans(table: Table, older_than_seconds: float = ORPHAN_SECONDS) -> int:
    """Delete the data files that no snapshot knows, which crashes have left.

    Returns:
        How many.
    """
    known = {
        local_path(entry.data_file.file_path)
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
    }
    before = time.time() - older_than_seconds
    count = 0
    for path in _data_folder(table).rglob("*.parquet"):
        if path not in known and path.stat().st_mtime < before:
            path.unlink()
            count += 1
    return count


def _data_folder(table: Table) -> Path:
    return local_path(table.location()) / "data"


def _metadata_files(table: Table, snapshots: Iterable[Snapshot]) -> set[str]:
    files: set[str] = set()
    for snapshot in snapshots:
        files.add(snapshot.manifest_list)
        files.update(manifest.manifest_path for manifest in snapshot.manifests(table.io))
    return files


def _replaced_files(table: Table, snapshots: Sequence[Snapshot]) -> Iterator[str]:
    for snapshot in snapshots:
        for manifest in snapshot.manifests(table.io):
            # Others only repeat what earlier snapshots have deleted.
            if (
                manifest.added_snapshot_id != snapshot.snapshot_id
                or not manifest.deleted_files_count
            ):
                continue
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                if entry.status == ManifestEntryStatus.DELETED:
                    yield entry.data_file.file_path
