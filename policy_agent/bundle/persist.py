"""Keep each bundle's last good copy on disk, for an agent that starts while the source is down.

Does I/O. What is kept are the bytes as downloaded, so that they are verified again when read back.
Unlike OPA (v1.22 v1/plugins/bundle/plugin.go) the ETag is kept too, tied to the bytes by digest and
to the source it came from: whichever of several agents wrote last, an ETag never vouches for other
bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote

from policy_agent import codec
from policy_agent.bundle.archive import MAX_ARCHIVE_BYTES
from policy_agent.bundle.local_file import read_regular_file
from policy_agent.errors import DocumentError
from policy_agent.record import Record

log = logging.getLogger(__name__)

_ARCHIVE_NAME: Final = "bundle.tar.gz"
_FACTS_NAME: Final = "bundle.json"
_REFUSED_NAME: Final = "bundle.tar.gz.refused"
_ROOT_UID: Final = 0


class Copy(Record, frozen=True):
    """An archive as downloaded; `etag` is None when none is known to belong to it."""

    unshown: ClassVar[frozenset[str]] = frozenset({"raw"})

    raw: bytes
    etag: str | None


class BundleStore:
    """One bundle's place on disk: `<persistence_directory>/bundles/<quoted name>`.

    Args:
        name: the bundle's key in the configuration; any text is safe.
        origin: the URL the bundle comes from; an ETag from elsewhere means nothing.
    """

    def __init__(self, persistence_directory: Path, name: str, origin: str) -> None:
        self._name = name
        self._directory = bundle_directory(persistence_directory, name)
        self._origin_digest = hashlib.sha256(origin.encode()).hexdigest()

    @property
    def path(self) -> Path:
        """Where the copy is."""
        return self._directory / _ARCHIVE_NAME

    def save(self, copy: Copy, *, fetched_at: str) -> str:
        """Replace the copy atomically; a full or read-only disk is a warning, not a failure.

        Args:
            fetched_at: RFC 3339.

        Returns:
            Why there is no new copy, "" when there is.
        """
        facts = {
            "etag": copy.etag,
            "fetched_at": fetched_at,
            "sha256": hashlib.sha256(copy.raw).hexdigest(),
            "origin_sha256": self._origin_digest,
        }
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.path, copy.raw)
            replace_file(self._directory / _FACTS_NAME, codec.encode_json(facts))
        except OSError as exc:
            return self._warn("the copy on disk cannot be written", exc)
        return ""

    def load(self) -> Copy | None:
        """Return the copy, unverified; None when there is none that can be read."""
        try:
            raw = read_own_file(self.path)
        except FileNotFoundError:
            return None
        except OSError as exc:
            self._warn("the copy on disk cannot be read", exc)
            return None
        return Copy(raw, self._etag(raw))

    def set_aside(self, reason: Exception) -> str:
        """Move a copy that turned out to be unusable out of the way, and return a word on it."""
        message = f"the copy on disk is set aside: {reason}"
        log.warning("bundle %s: %s", self._name, message)
        try:
            os.replace(self.path, self.path.with_name(_REFUSED_NAME))
        except OSError as exc:
            return self._warn("the copy on disk cannot be set aside", exc)
        return message

    def _etag(self, raw: bytes) -> str | None:
        try:
            facts = codec.decode_json(read_own_file(self._directory / _FACTS_NAME))
        except (OSError, DocumentError):
            return None
        belongs = isinstance(facts, dict) and (facts.get("sha256"), facts.get("origin_sha256")) == (
            hashlib.sha256(raw).hexdigest(),
            self._origin_digest,
        )
        etag: Any = facts.get("etag") if belongs else None
        return etag if isinstance(etag, str) and etag.isascii() and etag.isprintable() else None

    def _warn(self, what: str, error: OSError) -> str:
        message = f"{what}: {(error.strerror or str(error)).lower()}"
        log.warning("bundle %s: %s", self._name, message)
        return message


def bundle_directory(persistence_directory: Path, name: str) -> Path:
    """Return where everything about one bundle is kept; any name is safe."""
    quoted = quote(name, safe="")
    if not quoted.strip("."):
        quoted = quoted.replace(".", "%2E")
    return persistence_directory / "bundles" / quoted


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically; nobody else may read it.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_own_file(path: Path) -> bytes:
    """Return the content of a file that we, or root, wrote.

    Raises:
        OSError: it cannot be read, belongs to someone else, or is larger than any archive.
    """
    # /tmp is everyone's: a copy planted there by another user must not decide anything.
    owners = (_ROOT_UID, os.geteuid())
    content = read_regular_file(path, limit_bytes=MAX_ARCHIVE_BYTES, owners=owners)
    if content is None:
        raise OSError(0, f"it is larger than {MAX_ARCHIVE_BYTES} bytes")
    return content
