"""What a check-up says: each finding with a remedy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from policy_agent.model import JsonObject


class Level(StrEnum):
    """How bad it is: `error` will not work on Lambda, `warning` will surprise."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: a file or a setting.
        remedy: what to do, "" when all is well.
    """

    level: Level
    subject: str
    message: str
    remedy: str = ""

    def to_json(self) -> JsonObject:
        """Return the finding for `--format json`."""
        return {
            "level": str(self.level),
            "subject": self.subject,
            "message": self.message,
            "remedy": self.remedy,
        }


def ok(subject: str, message: str) -> Finding:
    """Say that all is well."""
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str, remedy: str) -> Finding:
    """Say what works, but not as one might think."""
    return Finding(Level.WARNING, subject, message, remedy)


def error(subject: str, message: str, remedy: str) -> Finding:
    """Say what will not work."""
    return Finding(Level.ERROR, subject, message, remedy)


def report(findings: Iterable[Finding]) -> str:
    """Return the findings as text, the remedy of each below it."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:7}  {finding.subject}: {finding.message}")
        if finding.remedy:
            lines.append(f"         {finding.remedy}")
    return "\n".join(lines)
