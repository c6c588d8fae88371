"""Say how a decision came about: evaluate it once more, watched.

Watching needs policies compiled for it, which takes long and makes them slow. So it happens in a
worker thread, one explanation at a time, and what was compiled is kept for the next.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from policy_agent.bundle.activate import combine
from policy_agent.errors import EvaluationError
from policy_agent.model import Snapshot
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions, Query

if TYPE_CHECKING:
    from policy_agent.rego.tracing.recorder import Recorder


class Explainer:
    """Explains evaluations of the snapshot that was asked about last.

    Args:
        rego_version: of modules whose bundle does not say.
    """

    def __init__(self, rego_version: int) -> None:
        self._rego_version = rego_version
        self._lock = threading.Lock()
        self._kept: tuple[Snapshot, Policy, Recorder] | None = None

    def explain(
        self, snapshot: Snapshot, query: str, value: Any, *, mode: str, pretty: bool
    ) -> bytes:
        """Return the trace of a query as OPA's JSON.

        Args:
            mode: `notes`, `fails`, `full` or `debug`.
            pretty: as lines of text.

        Raises:
            PolicyError: the text is not a query that can be run faithfully.
        """
        # Late: nothing of it is part of an ordinary decision.
        from policy_agent.rego.tracing.filters import FILTERS
        from policy_agent.rego.tracing.history import events
        from policy_agent.rego.tracing.trace_json import trace_json

        with self._lock:
            policy, recorder = self._watched(snapshot)
            recorder.records.clear()
            # The decision itself tells of an error.
            with contextlib.suppress(EvaluationError):
                policy.results(Query(query), value)
            shown = FILTERS[mode](events(recorder.records))
            return trace_json(shown, recorder.rewritten, pretty=pretty)

    def _watched(self, snapshot: Snapshot) -> tuple[Policy, Recorder]:
        from policy_agent.rego.tracing.instrument import Detail
        from policy_agent.rego.tracing.recorder import Recorder

        if self._kept is not None and self._kept[0] is snapshot:
            return self._kept[1:]
        recorder = Recorder(Detail(values=True))
        combined = combine(snapshot.bundles)
        policy = Policy.from_modules(
            combined.modules,
            combined.data,
            rego_versions=combined.rego_versions,
            options=CompileOptions(rego_version=self._rego_version, watch=recorder),
        )
        self._kept = (snapshot, policy, recorder)
        return policy, recorder
