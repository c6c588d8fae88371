"""What a sink is handed: some events in the form it asked for, under an id that stays the same.

Pure.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct


class Form(Struct, frozen=True):
    """How the events of a batch are written one after the other."""

    opening: bytes
    between: bytes
    closing: bytes
    is_gzip: bool = True


JSON_ARRAY: Final = Form(b"[", b",", b"]")
JSON_LINES: Final = Form(b"", b"\n", b"\n")
PLAIN_LINES: Final = Form(b"", b"\n", b"\n", is_gzip=False)


class Batch(Struct, frozen=True):
    """One upload.

    Attributes:
        id: the same whenever the same events are sent again, also by a successor.
        body: in the sink's form.
        first_event: JSON of the first event, as recorded.
    """

    id: str
    body: bytes
    first_event: bytes


class Sink(Protocol):
    """Where batches go.

    Attributes:
        form: how it wants them.
        limit_bytes: the largest body that it takes, whatever is configured.
    """

    form: Form
    limit_bytes: int

    async def send(self, batch: Batch, timeout_seconds: float) -> None:
        """Deliver one batch.

        Raises:
            ShipError: it was not accepted, or not in time.
        """
