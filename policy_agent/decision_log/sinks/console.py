"""Print events as OPA's console does (v1.22 v1/plugins/logs/plugin.go, `logEvent`)."""

from __future__ import annotations

import time
from typing import Any, TextIO

from policy_agent.codec import encode_json
from policy_agent.errors import DecisionLogError
from policy_agent.model import JsonObject

_TYPE = "openpolicyagent.org/decision_logs"


class ConsoleSink:
    """Writes one JSON line per event to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, event: JsonObject) -> None:
        """Print one event at once.

        Raises:
            DecisionLogError: the stream is closed or broken, or the event is not JSON.
        """
        line = {
            **event,
            "level": "info",
            "msg": "Decision Log",
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "type": _TYPE,
        }
        if "error" in event:
            line["error"] = _error_text(event["error"])
        try:
            self._stream.write(encode_json(line).decode() + "\n")
            self._stream.flush()
        except (OSError, ValueError, TypeError, RecursionError) as exc:
            msg = f"decision log cannot be printed: {type(exc).__name__}"
            raise DecisionLogError(msg) from exc


def _error_text(error: Any) -> str:
    """Return an error object as OPA's errors print: `file:row: code: message`."""
    text = f"{error.get('code')}: {error.get('message')}"
    location = error.get("location")
    return f"{location.get('file')}:{location.get('row')}: {text}" if location else text
