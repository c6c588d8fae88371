"""Where events go: `http` is OPA's upload protocol, `console` is OPA's log line, and more.

What a module here needs beyond the others is imported when a sink of its kind is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from policy_agent.config import LogSink
from policy_agent.decision_log.batch import Sink
from policy_agent.service import ServiceClient


def open_sink(settings: LogSink, labels: Mapping[str, str]) -> Sink | None:
    """Return the sink that settings describe; None for the console, which needs no shipping."""
    if settings.kind == "file":
        from policy_agent.decision_log.sinks.file import FileSink

        return FileSink(Path(settings.target))
    if settings.service is None:
        return None
    client = ServiceClient(settings.service)
    if settings.kind == "s3":
        from policy_agent.decision_log.sinks.s3 import S3Sink

        return S3Sink(client, settings.target, labels)
    if settings.kind == "firehose":
        from policy_agent.decision_log.sinks.firehose import FirehoseSink

        return FirehoseSink(client, settings.target)
    from policy_agent.decision_log.sinks.http import HttpSink

    return HttpSink(client, settings.target)
