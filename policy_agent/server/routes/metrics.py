"""Metrics in Prometheus' text format under OPA's names: `/metrics`.

OPA shows bundles and decision logs only with `status.prometheus`; here they are always shown. What
describes the Go runtime in OPA describes the process here.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from policy_agent import __version__
from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.exposition import CONTENT_TYPE, Family, Sample, write_families
from policy_agent.server.routing import Route
from policy_agent.server.services import Overview, Services
from policy_agent.server.wire import Answer
from policy_agent.status import BundleStatus, DecisionLogStatus, State

_MOMENTS: Final = (
    ("last_bundle_request", "Gauge for the last bundle request."),
    ("last_success_bundle_request", "Gauge for the last success bundle request."),
    ("last_success_bundle_download", "Gauge for the last success bundle download."),
)


async def _metrics(call: Call, services: Services) -> Answer:
    families = [services.meter.family(), *_status_families(services.overview), *_process_families()]
    answer = Answer(200, write_families(families), ((b"content-type", CONTENT_TYPE),))
    return wire.gzipped(answer) if wire.accepts_gzip(call.header(b"accept-encoding")) else answer


async def _alloc_bytes(call: Call, services: Services) -> Answer:
    del services
    size = resident_bytes()
    text = _readable(size) if call.parameters.get("pretty") == ["true"] else str(size)
    return Answer(200, f"{text}\n".encode(), wire.PLAIN)


_COST: Final = {
    "register_ms": ("gauge", "Milliseconds from the start of the process to register."),
    "init_ms": ("gauge", "Milliseconds from the start of the process until it was ready."),
    "init_cpu_ms": ("gauge", "Milliseconds of CPU time until it was ready."),
    "invocations": ("counter", "Invocations that are over."),
    "post_runtime_ms": ("counter", "Milliseconds that invocations were held after responses."),
    "memory_bytes": ("gauge", "Largest resident memory size so far."),
    "shipped_bytes": ("counter", "Bytes of decision logs sent and accepted."),
}


def _status_families(overview: Overview) -> Iterator[Family]:
    states = overview.plugin_states()
    yield _gauge("opa_info", "Information about the OPA environment.", version=__version__)
    yield Family(
        "plugin_status_gauge",
        "gauge",
        "Gauge for the plugin by status.",
        [Sample(1, (("name", name), ("status", str(state)))) for name, state in states.items()],
    )
    for name, value in overview.own_cost.items():
        kind, text = _COST[name]
        total = "_total" if kind == "counter" else ""
        yield Family(f"policy_agent_{name}{total}", kind, text, [Sample(value)])
    bundles = overview.bundle_statuses
    yield from _bundle_families(list(bundles.values()))
    logs = overview.decision_log_status
    if logs is None:
        return
    yield from _log_families({"": logs, **logs.sinks})


def _log_families(sinks: Mapping[str, DecisionLogStatus]) -> Iterator[Family]:
    """Yield what each sink counts; that of OPA's own has no `sink`, as nothing has in OPA."""
    failing = []
    counted: dict[str, list[Sample]] = {}
    for sink, logs in sinks.items():
        labels = (("sink", sink),) if sink else ()
        if logs.state is State.ERROR:
            why = (("code", logs.code), ("http_code", str(logs.http_code or "")))
            failing.append(Sample(1, (*why, *labels)))
        for name, value in logs.counters.items():
            counted.setdefault(name, []).append(Sample(value, labels))
    yield Family(
        "decision_logs_status_gauge",
        "gauge",
        "Gauge for the decision logs status by code and http code.",
        failing,
    )
    for name, samples in counted.items():
        text = f"Decision log events: {name.replace('_', ' ')}."
        yield Family(f"decision_logs_{name}_total", "counter", text, samples)


def _bundle_families(bundles: list[BundleStatus]) -> Iterator[Family]:
    yield Family(
        "bundle_loaded_counter",
        "counter",
        "Counter for the bundle loaded.",
        [Sample(each.loads, (("name", each.name),)) for each in bundles if each.loads],
    )
    yield Family(
        "bundle_failed_load_counter",
        "counter",
        "Counter for the failed bundle load.",
        [Sample(each.failures, (("name", each.name),)) for each in bundles if each.failures],
    )
    for (name, text), moments in zip(
        _MOMENTS,
        (
            [(each.name, each.last_request_at) for each in bundles],
            [(each.name, each.last_successful_request_at) for each in bundles],
            [(each.name, each.last_successful_download_at) for each in bundles],
        ),
        strict=True,
    ):
        samples = [Sample(_ns(at), (("name", bundle),)) for bundle, at in moments if at]
        yield Family(name, "gauge", text, samples)
    yield Family(
        "last_success_bundle_activation",
        "gauge",
        "Gauge for the last success bundle activation.",
        [
            Sample(_ns(at), (("active_revision", each.active_revision or ""), ("name", each.name)))
            for each in bundles
            if (at := each.last_successful_activation_at)
        ],
    )


def _process_families() -> Iterator[Family]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = usage.ru_utime + usage.ru_stime
    yield Family(
        "process_cpu_seconds_total",
        "counter",
        "Total user and system CPU time spent in seconds.",
        [Sample(seconds)],
    )
    yield Family(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory size in bytes.",
        [Sample(resident_bytes())],
    )


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _gauge(name: str, text: str, **labels: str) -> Family:
    return Family(name, "gauge", text, [Sample(1, tuple(labels.items()))])


def _ns(moment: datetime) -> float:
    return moment.timestamp() * 1e9


def _readable(size: float) -> str:
    units = ["B", "KB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.1f}{units[0]}"


ROUTES: Final = (
    Route("/metrics/alloc_bytes", {"GET": _alloc_bytes}, allow=b"GET, HEAD"),
    Route("/metrics", {"GET": _metrics}, allow=b"GET, HEAD"),
)
