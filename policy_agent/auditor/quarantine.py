"""Keep what was received and is no event, with the reason, for a person to look at.

Writing is idempotent: a body that is ingested again after a crash replaces its own file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from policy_agent.auditor.durable import make_directory, write_file
from policy_agent.codec import encode_json
from policy_agent.errors import AuditError


@dataclass(frozen=True, slots=True)
class Reject:
    """One entry of a body that is no event.

    Attributes:
        index: position in the body's array, from 0.
        reason: what is wrong with it.
        entry: its text as received.
    """

    index: int
    reason: str
    entry: bytes


class Quarantine:
    """A directory with `<body>.ndjson` for rejected entries and `<body>` for unreadable bodies."""

    def __init__(self, directory: Path) -> None:
        """Create the directory when there is none.

        Raises:
            AuditError: it cannot be created.
        """
        self._directory = directory
        with _own_errors(directory):
            make_directory(directory)

    def put_entries(self, source: str, rejects: Sequence[Reject]) -> None:
        """Store rejected entries as lines `{"entry","index","reason","source"}`.

        Raises:
            AuditError: they are not stored.
        """
        lines = (
            encode_json(
                {
                    "source": source,
                    "index": reject.index,
                    "reason": reject.reason,
                    "entry": reject.entry.decode("utf-8", "replace"),
                }
            )
            + b"\n"
            for reject in rejects
        )
        with _own_errors(self._directory):
            write_file(self._directory / f"{source}.ndjson", lines)

    def put_body(self, source: str, body: bytes, reason: str) -> None:
        """Store a body that could not be taken apart, and beside it a line that says why.

        Raises:
            AuditError: it is not stored.
        """
        line = encode_json({"source": source, "reason": reason}) + b"\n"
        with _own_errors(self._directory):
            write_file(self._directory / source, [body])
            write_file(self._directory / f"{source}.ndjson", [line])


@contextmanager
def _own_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise AuditError(f"cannot write to {directory}: {exc.strerror}") from exc
