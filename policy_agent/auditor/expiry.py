"""Forget old snapshots of the table, and delete the metadata files that only they used.

Data files are left alone: appends never drop one, and removing those that a compaction replaced is
the compaction's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

# pyiceberg copies the list of snapshots some twenty times a commit: 76 ms for the first commit grew
# to 861 ms by the 500th, and expiring brought it back.
MAX_SNAPSHOTS: Final = 20
# A reader that is slower than this many commits would miss its files.
KEPT_SNAPSHOTS: Final = 10


def expire_old_snapshots(table: Table) -> None:
    """Bring the table back to `KEPT_SNAPSHOTS` when it has more than `MAX_SNAPSHOTS`.

    A crash in between leaves files that nothing refers to; they do no harm.
    """
    snapshots = table.metadata.snapshots
    if len(snapshots) <= MAX_SNAPSHOTS:
        return
    old = snapshots[:-KEPT_SNAPSHOTS]
    used_by_old = _metadata_files(table, old)
    table.maintenance.expire_snapshots().by_ids([snapshot.snapshot_id for snapshot in old]).commit()
    for location in used_by_old - _metadata_files(table, table.metadata.snapshots):
        table.io.delete(location)


def _metadata_files(table: Table, snapshots: Iterable[Snapshot]) -> set[str]:
    files: set[str] = set()
    for snapshot in snapshots:
        files.add(snapshot.manifest_list)
        files.update(manifest.manifest_path for manifest in snapshot.manifests(table.io))
    return files
