"""The records of telemetry's platform events. Pure.

Lambda Telemetry API, "Event schema reference", schema 2022-12-13.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from policy_agent.emulator.failure import Failure
from policy_agent.emulator.invocation import Completion, Invocation
from policy_agent.emulator.settings import FUNCTION_VERSION, LambdaSettings
from policy_agent.model import JsonObject


def telemetry_time(moment: datetime) -> str:
    """Return an aware UTC time as telemetry writes it: milliseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def init_start(settings: LambdaSettings, phase: str) -> JsonObject:
    """Return platform.initStart's record; `phase` is `init` or, for a repeated Init, `invoke`."""
    return {
        "initializationType": settings.initialization_type,
        "phase": phase,
        "functionName": settings.function_name,
        "functionVersion": FUNCTION_VERSION,
        "instanceMaxMemory": settings.memory_mb * 1024 * 1024,
    }


def init_runtime_done(settings: LambdaSettings, phase: str, failure: Failure | None) -> JsonObject:
    """Return platform.initRuntimeDone's record."""
    kind = settings.initialization_type
    return {"initializationType": kind, "phase": phase, **outcome(failure)}


def init_report(
    settings: LambdaSettings, phase: str, failure: Failure | None, duration_ms: float
) -> JsonObject:
    """Return platform.initReport's record."""
    return {
        "initializationType": settings.initialization_type,
        "phase": phase,
        "metrics": {"durationMs": round(duration_ms, 3)},
        **outcome(failure),
    }


def restore_start(settings: LambdaSettings) -> JsonObject:
    """Return platform.restoreStart's record."""
    return {"functionName": settings.function_name, "functionVersion": FUNCTION_VERSION}


def restore_report(failure: Failure | None, duration_ms: float) -> JsonObject:
    """Return platform.restoreReport's record."""
    return {"metrics": {"durationMs": round(duration_ms, 3)}, **outcome(failure)}


def start(invocation: Invocation) -> JsonObject:
    """Return platform.start's record."""
    return {
        "requestId": invocation.request_id,
        "version": FUNCTION_VERSION,
        **tracing(invocation.trace_id),
    }


def runtime_done(invocation: Invocation, failure: Failure | None, duration_ms: float) -> JsonObject:
    """Return platform.runtimeDone's record; `duration_ms` ends at the runtime's `next`."""
    return {
        "requestId": invocation.request_id,
        "metrics": {
            "durationMs": round(duration_ms, 3),
            "producedBytes": len(invocation.response_body),
        },
        **outcome(failure),
        **tracing(invocation.trace_id),
    }


def report(
    invocation: Invocation,
    completion: Completion,
    *,
    init_ms: float | None,
    memory_mb: int,
    peak_memory_mb: int,
) -> JsonObject:
    """Return platform.report's record.

    Args:
        init_ms: only for a cold start whose Init was a phase of its own.
    """
    metrics: JsonObject = {
        "durationMs": round(completion.total_ms, 3),
        "billedDurationMs": completion.billed_ms,
        "memorySizeMB": memory_mb,
        "maxMemoryUsedMB": peak_memory_mb,
    }
    if init_ms is not None:
        metrics["initDurationMs"] = round(init_ms, 3)
    return {
        "requestId": invocation.request_id,
        "metrics": metrics,
        **outcome(invocation.failure),
        **tracing(invocation.trace_id),
    }


def managed_report(invocation: Invocation, duration_ms: float) -> JsonObject:
    """Return platform.report's record on a Managed Instance, where there is no runtimeDone."""
    latency = {
        "name": "responseLatency",
        "start": telemetry_time(datetime.now(UTC) - timedelta(milliseconds=duration_ms)),
        "durationMs": round(invocation.duration_ms, 3),
    }
    return {
        "requestId": invocation.request_id,
        "metrics": {"durationMs": round(duration_ms, 3)},
        "spans": [latency],
        **outcome(invocation.failure),
        **tracing(invocation.trace_id),
    }


def extension(
    name: str, state: str, subscriptions: Iterable[str], failure: Failure | None
) -> JsonObject:
    """Return platform.extension's record."""
    record: JsonObject = {"name": name, "state": state, "events": sorted(subscriptions)}
    return record | ({"errorType": failure.error_type} if failure else {})


def subscription(name: str, types: Iterable[str]) -> JsonObject:
    """Return platform.telemetrySubscription's record."""
    return {"name": name, "state": "Subscribed", "types": sorted(types)}


def logs_dropped(records: int, size_bytes: int) -> JsonObject:
    """Return platform.logsDropped's record."""
    reason = "Consumer seems to have fallen behind as it has not acknowledged receipt of logs."
    return {"reason": reason, "droppedRecords": records, "droppedBytes": size_bytes}


def outcome(failure: Failure | None) -> JsonObject:
    """Return `status` and, for a failure, `errorType`."""
    if failure is None:
        return {"status": "success"}
    return {"status": failure.status, "errorType": failure.error_type}


def tracing(trace_id: str | None) -> JsonObject:
    """Return the `tracing` field, nothing without a trace."""
    if trace_id is None:
        return {}
    return {"tracing": {"type": "X-Amzn-Trace-Id", "value": trace_id}}
