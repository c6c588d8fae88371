"""Keep the highest signed version of each bundle, so that an older one cannot come back.

Does I/O. OPA takes whatever is signed, however old. The record stands beside the bundle's copy on
disk and outlives it; a record that cannot be read is as good as none, since whoever can damage it
can delete it too.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from policy_agent import codec
from policy_agent.bundle.claims import MAX_VERSION
from policy_agent.bundle.persist import bundle_directory, read_own_file, replace_file
from policy_agent.errors import BundleVerificationError, DocumentError
from policy_agent.model import Bundle

log = logging.getLogger(__name__)

_FILE_NAME: Final = "version.json"


class HighestVersion:
    """The highest version of one bundle that was ever activated in this persistence directory."""

    def __init__(self, persistence_directory: Path, name: str) -> None:
        self._name = name
        self._path = bundle_directory(persistence_directory, name) / _FILE_NAME
        self._version = self._read()

    def check(self, bundle: Bundle) -> None:
        """Refuse a bundle that is older than one that was active before.

        Raises:
            BundleVerificationError: its signed version is lower, or missing where there was one.
        """
        if self._version is None:
            return
        if bundle.version is None:
            raise BundleVerificationError(
                f"its signature names no version, although version {self._version} was active "
                "before"
            )
        if bundle.version < self._version:
            raise BundleVerificationError(
                f"version {bundle.version} is older than version {self._version}, which was "
                "active before"
            )

    def raise_to(self, version: int | None) -> None:
        """Note that a version is active; a disk that cannot be written is a warning."""
        if version is None or (self._version is not None and version <= self._version):
            return
        # An agent beside this one may be further.
        self._version = max(version, self._read() or 0)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, codec.encode_json({"version": self._version}))
        except OSError as exc:
            self._warn("written", exc)

    def _read(self) -> int | None:
        try:
            record = codec.decode_json(read_own_file(self._path))
        except FileNotFoundError:
            return None
        except (OSError, DocumentError) as exc:
            self._warn("read", exc)
            return None
        version = record.get("version") if isinstance(record, dict) else None
        if type(version) is int and 0 <= version <= MAX_VERSION:
            return version
        self._warn("read", "it holds no version")
        return None

    def _warn(self, what: str, reason: object) -> None:
        log.warning(
            "bundle %s: the record of its version cannot be %s: %s", self._name, what, reason
        )
