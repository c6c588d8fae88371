"""Read a small file that holds a credential."""

from __future__ import annotations

from pathlib import Path

from policy_agent.errors import TransportError


def read_secret(path: str, setting: str) -> str:
    """Return a file's text without surrounding space.

    Raises:
        TransportError: it cannot be read; the message names `setting`, not the content.
    """
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise TransportError(f"{setting}: cannot be read: {reason}") from exc
