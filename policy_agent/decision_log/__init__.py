"""From a decision to the receiver of its log entry, with nothing lost on the way.

`ids` names decisions; `event` gives a decision OPA's form, `mask` hides what the policy says,
`numbering` makes a gapless chain of all entries, `spool` (files of `segment`s made of `record`
lines) keeps them on disk before the answer goes out, `chunk` packs gzip batches, `ship` (with
`backoff`) sends them through one of `sinks`. `log` is the façade that the rest of the agent uses;
`counters` is what it counts.
"""

from __future__ import annotations
