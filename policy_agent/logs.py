"""Log lines as OPA writes them: one JSON object each, on stderr."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

from policy_agent.codec import encode_json

LEVELS = ("debug", "info", "error")


def configure_logging(level: str) -> None:
    """Send every logger's lines of at least `level` (one of LEVELS) to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return encode_json(entry).decode()
