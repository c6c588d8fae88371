"""What the decision log counts, from the start of the process.

Pure.
"""

from __future__ import annotations

from msgspec import Struct


class Counters(Struct):
    """Numbers of events, but for `shipped_bytes` and `upload_failures`, which counts attempts.

    Attributes:
        recorded: stored in the spool or printed.
        refused: not stored, for want of room or a broken disk; the decision was not answered, or
            tried again (`on_full: block`).
        dropped_by_policy: not recorded because the drop decision was true.
        sampled_out: not recorded because they are not in the sample.
        dropped_oldest: given up for newer ones, the spool being full (`on_full: drop_oldest`).
        masked: at least one mask rule had an effect.
        withheld: recorded without input and result because masking was not possible.
        shipped: accepted by the receiver, stubs and closing records included.
        shipped_bytes: of the batches that the receiver accepted, compressed where they were.
        upload_failures: flushes that the receiver ended.
        nd_builtin_cache_dropped: shipped without their cache, being too large with it.
        oversize_stubbed: shipped as a stub, being too large.
        rejected_set_aside: refused by the receiver one by one and kept in `*.rejected`.
        printed_at_shutdown: not shipped in time, hence printed.
        retried: sent more than once, since an attempt failed.
        late: shipped more than a minute after they were recorded.
        corrupt_set_aside: damaged lines of dead predecessors, kept in `*.corrupt`.
    """

    recorded: int = 0
    refused: int = 0
    dropped_by_policy: int = 0
    sampled_out: int = 0
    dropped_oldest: int = 0
    masked: int = 0
    withheld: int = 0
    shipped: int = 0
    shipped_bytes: int = 0
    upload_failures: int = 0
    nd_builtin_cache_dropped: int = 0
    oversize_stubbed: int = 0
    rejected_set_aside: int = 0
    printed_at_shutdown: int = 0
    retried: int = 0
    late: int = 0
    corrupt_set_aside: int = 0

    def to_json(self) -> dict[str, int]:
        """Return every counter by name."""
        return {name: getattr(self, name) for name in self.__struct_fields__}
