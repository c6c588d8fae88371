"""Large parts of JSON documents that stay text until somebody reads them.

Most decisions read little of much data: checking that a text is JSON takes a twentieth of the time
that making values of it takes, and none of the memory.

Whoever reads base documents of bundles has to expect a `LateJson` in the place of a value, at or
below the members of a file's objects; within values there are none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias
from weakref import WeakSet

import msgspec

from policy_agent.codec import decode_json
from policy_agent.garbage import making
from policy_agent.model import UNDEFINED, JsonObject

Path: TypeAlias = tuple[str, ...]

# Making values of less takes a few milliseconds.
LARGE_BYTES: Final = 1 << 18

_check = msgspec.json.Decoder(msgspec.Raw).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
# A window this long without anything but digits lies in every number that cannot be read.
_WINDOW: Final = 2000
_living: WeakSet[LateJson] = WeakSet()


class LateJson:
    """A value that is still text; safe to share between threads.

    Args:
        raw: the text, which has been checked to be JSON.
    """

    __slots__ = ("__weakref__", "_any_key", "_lock", "_raw", "_raws", "_values", "_whole")

    def __init__(self, raw: msgspec.Raw) -> None:
        self._lock = threading.Lock()
        self._raw: msgspec.Raw | None = raw
        self._raws: dict[str, msgspec.Raw] | None = None
        self._values: dict[str, Any] = {}
        self._any_key = False
        self._whole: Any = UNDEFINED
        _living.add(self)

    @property
    def is_object(self) -> bool:
        """Return whether it has members."""
        raw = self._raw
        return type(self._whole) is dict if raw is None else _is_object(raw)

    def whole(self) -> Any:
        """Return the value, which is the same each time."""
        with self._lock:
            return self._read_whole()

    def member(self, key: object) -> Any:
        """Return the value of an object's key, UNDEFINED where there is none.

        It is late itself only after `keep_late` of that key.
        """
        if type(key) is not str:
            return UNDEFINED
        found = self._values.get(key, UNDEFINED)
        if found is UNDEFINED:
            with self._lock:
                return self._read_member(key)
        return found

    def keep_late(self, key: str) -> None:
        """Let `member` of this key be late, too, if that is large and nobody takes it for plain."""
        with self._lock:
            raw = self._members().get(key)
            if raw is not None and len(raw) >= LARGE_BYTES and not self._any_key:
                self._values.setdefault(key, LateJson(raw))

    def plain_members(self) -> None:
        """Let every `member` be plain from now on: any may be asked for."""
        with self._lock:
            self._any_key = True
            self._members()
            for key, value in self._values.items():
                self._values[key] = opened(value)

    def plain_member(self, key: str) -> Any:
        """Let the `member` of a key be plain from now on, and return it."""
        with self._lock:
            value = opened(self._read_member(key))
            if value is not UNDEFINED:
                self._values[key] = value
            return value

    def _read_whole(self) -> Any:
        if self._raw is not None:
            with making(len(self._raw)):
                self._whole = decode_json(self._raw)
            self._raw, self._raws, self._values = None, None, {}
        return self._whole

    def _read_member(self, key: str) -> Any:
        found = self._values.get(key, UNDEFINED)
        if found is not UNDEFINED:
            return found
        raw = self._members().get(key)
        if raw is not None:
            with making(len(raw)):
                found = self._values[key] = decode_json(raw)
        elif type(self._whole) is dict:
            found = self._whole.get(key, UNDEFINED)
        return found

    def _members(self) -> dict[str, msgspec.Raw]:
        """Return the text of each member; none where the value has been read or is no object."""
        if self._raw is None or not self.is_object:
            return {}
        if self._raws is None:
            try:
                self._raws = _decode_members(self._raw)
            except UnicodeDecodeError:
                # Only a lenient reader can tell the keys.
                self._read_whole()
                return {}
        return self._raws


def read_late(raw: bytes, path: Path, may_be_late: Callable[[Path], bool]) -> Any:
    """Parse a JSON document as `decode_json` does, and leave large parts for later.

    Args:
        raw: the text.
        path: where the document is.
        may_be_late: tells of a path whether a `LateJson` can stand there.

    Raises:
        DocumentError: as `decode_json`.
    """
    if len(raw) < LARGE_BYTES:
        return decode_json(raw)
    try:
        checked = _check(raw)
        if not _has_endless_number(raw):
            return _read(checked, path, may_be_late)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    # It may be JSON all the same, for a lenient reader.
    return decode_json(raw)


def opened(value: Any) -> Any:
    """Return a value that is none, or the value itself."""
    return value.whole() if isinstance(value, LateJson) else value


def late_paths(data: JsonObject) -> tuple[Path, ...]:
    """Return where in base documents a `LateJson` is."""
    return tuple(_places(data, ())) if _living else ()


def _places(data: JsonObject, above: Path) -> Iterator[Path]:
    for key, value in data.items():
        if type(value) is dict:
            yield from _places(value, (*above, key))
        elif type(value) is LateJson:
            yield (*above, key)


def _read(raw: msgspec.Raw, path: Path, may_be_late: Callable[[Path], bool]) -> Any:
    if len(raw) >= LARGE_BYTES:
        if path and may_be_late(path):
            return LateJson(raw)
        if _is_object(raw):
            members = _decode_members(raw)
            return {key: _read(each, (*path, key), may_be_late) for key, each in members.items()}
    return decode_json(raw)


def _is_object(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:100]).lstrip()[:1] == b"{"


def _has_endless_number(raw: bytes) -> bool:
    return any(raw[at : at + _WINDOW].isdigit() for at in range(0, len(raw), _WINDOW))
