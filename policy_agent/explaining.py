"""Say how a decision came about: evaluate it once more, watched.

Watching needs policies compiled for it, which takes long and makes them slow. So it happens in a
worker thread, one explanation at a time, and what was compiled is kept for the next.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from policy_agent.bundle.activate import combine
from policy_agent.errors import EvaluationError
from policy_agent.model import JsonObject, Snapshot
from policy_agent.rego import Policy
from policy_agent.rego.options import CompileOptions, Query

if TYPE_CHECKING:
    from policy_agent.rego import ast
    from policy_agent.rego.tracing.history import Event
    from policy_agent.rego.tracing.recorder import Recorder


class _Watched(Struct, frozen=True):
    """A policy that tells the recorder where it is, and its modules as parsed."""

    snapshot: Snapshot
    policy: Policy
    recorder: Recorder
    modules: list[ast.Module]

    def events_of(self, query: str, value: Any) -> list[Event]:
        from policy_agent.rego.tracing.history import events

        self.recorder.records.clear()
        # The decision itself tells of an error.
        with contextlib.suppress(EvaluationError):
            self.policy.results(Query(query), value)
        return events(self.recorder.records)


class Explainer:
    """Explains evaluations of the snapshot that was asked about last.

    Args:
        rego_version: of modules whose bundle does not say.
    """

    def __init__(self, rego_version: int) -> None:
        self._rego_version = rego_version
        self._lock = threading.Lock()
        self._kept: _Watched | None = None

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
        from policy_agent.rego.tracing.trace_json import trace_json

        with self._lock:
            watched = self._watch(snapshot)
            shown = FILTERS[mode](watched.events_of(query, value))
            return trace_json(shown, watched.recorder.rewritten, pretty=pretty)

    def labels(self, snapshot: Snapshot, query: str, value: Any) -> list[JsonObject]:
        """Return the labels of the rules that held, as OPA's `rule_labels`.

        Raises:
            PolicyError: as for `explain`.
        """
        from policy_agent.rego.tracing.labels import rule_labels

        with self._lock:
            watched = self._watch(snapshot)
            return rule_labels(watched.events_of(query, value), watched.modules)

    def _watch(self, snapshot: Snapshot) -> _Watched:
        from policy_agent.rego.parse import parse_module
        from policy_agent.rego.tracing.instrument import Detail
        from policy_agent.rego.tracing.recorder import Recorder

        if self._kept is not None and self._kept.snapshot is snapshot:
            return self._kept
        recorder = Recorder(Detail(values=True))
        combined = combine(snapshot.bundles)
        policy = Policy.from_modules(
            combined.modules,
            combined.data,
            rego_versions=combined.rego_versions,
            options=CompileOptions(rego_version=self._rego_version, watch=recorder),
        )
        versions = combined.rego_versions
        modules = [
            parse_module(name, text, v0=versions.get(name, self._rego_version) == 0)
            for name, text in combined.modules.items()
        ]
        self._kept = _Watched(snapshot, policy, recorder, modules)
        return self._kept
