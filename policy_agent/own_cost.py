"""What the agent costs its function: for status, `/metrics` and, when asked for, CloudWatch.

CloudWatch reads metrics from log lines in its embedded metric format, where one line may hold up to
100 values of a metric (CloudWatch user guide, "Specification: Embedded metric format"), so a line
is written at most once in a while: after an invocation, never before an answer. What these lines
take is no part of what they report, and nothing that is reported leads to a line by itself.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from policy_agent.codec import encode_json
from policy_agent.config import CostMetrics
from policy_agent.model import JsonObject

MAX_VALUES: Final = 100  # of one metric in one line
# Metric -> CloudWatch's unit and name.
_EMF: Final[Mapping[str, tuple[str, str]]] = {
    "register_ms": ("Milliseconds", "Register"),
    "init_ms": ("Milliseconds", "Init"),
    "init_cpu_ms": ("Milliseconds", "InitProcessorTime"),
    "post_runtime_ms": ("Milliseconds", "PostRuntime"),
    "shutdown_ms": ("Milliseconds", "Shutdown"),
    "memory_bytes": ("Bytes", "Memory"),
    "shipped_bytes": ("Bytes", "Shipped"),
}


class OwnCost:
    """Takes note of what happens, and tells it.

    Attributes:
        register_ms: from the start of the process to the answer of register; what came before the
            first line of Python counts by its processor time. 0 outside of Lambda.
        init_ms: from the start of the process until it was ready; `init_cpu_ms` of processor time.
        invocations: how many are over.
        post_runtime_ms: for how long they were held back after their responses, all in all.
    """

    def __init__(
        self,
        config: CostMetrics | None,
        function: str,
        shipped_bytes: Callable[[], int],
        stream: TextIO | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            config: None to print nothing.
            function: the metrics' dimension.
            shipped_bytes: says how many the decision log has shipped.
            stream: standard output when None.
        """
        self.register_ms = 0.0
        self.init_ms = 0.0
        self.init_cpu_ms = 0.0
        self.invocations = 0
        self.post_runtime_ms = 0.0
        self._config = config
        self._function = function
        self._shipped_bytes = shipped_bytes
        self._counted_bytes = 0
        self._stream = stream or sys.stdout
        self._untold: dict[str, list[float]] = {}
        self._told_at: float | None = None

    def use(self, config: CostMetrics | None, function: str) -> None:
        """Take other settings."""
        self._config = config
        self._function = function

    def ready(self, started_ns: int, register_ms: float = 0.0) -> None:
        """Note that Init is over.

        Args:
            started_ns: when the process began, on the monotonic clock.
        """
        self.init_ms = (time.monotonic_ns() - started_ns) / 1e6
        self.init_cpu_ms = time.process_time_ns() / 1e6
        self._note("init_ms", self.init_ms)
        self._note("init_cpu_ms", self.init_cpu_ms)
        if register_ms:
            self.register_ms = register_ms
            self._note("register_ms", register_ms)

    def invocation_over(self, post_runtime_ms: float) -> None:
        """Note an invocation, and print what is due."""
        self.invocations += 1
        self.post_runtime_ms += post_runtime_ms
        self._note("post_runtime_ms", post_runtime_ms)
        self.note_shipped()
        self.tell_when_due()

    def note_shipped(self) -> None:
        """Note what was shipped since the last time."""
        total = self._shipped_bytes()
        self._note("shipped_bytes", total - self._counted_bytes)
        self._counted_bytes = total

    def tell_when_due(self) -> None:
        """Print what was noted, if the last time is long enough ago or there is much."""
        if self._config is None or not self._untold:
            return
        is_much = max(map(len, self._untold.values())) >= MAX_VALUES
        told_at, now = self._told_at, time.monotonic()
        if is_much or told_at is None or now - told_at >= self._config.interval_seconds:
            self._tell(self._config)

    def ended(self, shutdown_ms: float) -> None:
        """Note how long SHUTDOWN took, and print all there is."""
        self._note("shutdown_ms", shutdown_ms)
        self.note_shipped()
        if self._config is not None:
            self._tell(self._config)

    def to_json(self) -> dict[str, float]:
        """Return what is known by now; milliseconds, bytes and counts, by name."""
        return {
            "register_ms": round(self.register_ms, 3),
            "init_ms": round(self.init_ms, 3),
            "init_cpu_ms": round(self.init_cpu_ms, 3),
            "invocations": self.invocations,
            "post_runtime_ms": round(self.post_runtime_ms, 3),
            "memory_bytes": peak_memory_bytes(),
            "shipped_bytes": self._shipped_bytes(),
        }

    def _note(self, name: str, value: float) -> None:
        if self._config is not None:
            self._untold.setdefault(name, []).append(round(value, 3))

    def _tell(self, config: CostMetrics) -> None:
        self._note("memory_bytes", peak_memory_bytes())
        line = emf_document(self._untold, config.namespace, self._function, time.time_ns())
        self._untold = {}
        self._told_at = time.monotonic()
        self._stream.write(encode_json(line).decode() + "\n")
        self._stream.flush()


def emf_document(
    values: Mapping[str, list[float]], namespace: str, function: str, now_ns: int
) -> JsonObject:
    """Return one line's document; at most 100 values of each metric, the last ones."""
    metrics = [{"Name": _EMF[name][1], "Unit": _EMF[name][0]} for name in values]
    directive = {"Namespace": namespace, "Dimensions": [["function"]], "Metrics": metrics}
    head = {"Timestamp": now_ns // 1_000_000, "CloudWatchMetrics": [directive]}
    numbers = {_EMF[name][1]: some[-MAX_VALUES:] for name, some in values.items()}
    return {"_aws": head, "function": function, **numbers}


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
