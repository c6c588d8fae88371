"""Base documents of which large parts are read when a function that needs them is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policy_agent.late_json import LateJson, Path, late_paths
from policy_agent.rego.codegen.documents import Reads


class BaseDocuments:
    """The base documents of one policy.

    Generated code takes a `LateJson` for nothing but something to look a key up in (`dot`), so
    everything that a function reads in another way has to be made plain before it runs.

    Attributes:
        root: what `data` is; of its parts only what is late is ever replaced, by its value.
        has_late: whether anything was late at the beginning.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._late = late_paths(root) if type(root) is dict else ()
        self.has_late = bool(self._late)

    def prepare(self, wanted: Reads) -> None:
        """Make ready what a function reads."""
        for path in wanted.looked_up:
            self._found(path)
        for path in wanted.by_any_key:
            late = self._found(path)
            if late is not None and late.is_object:
                late.plain_members()
            elif late is not None:
                self.make_plain(path)
        for path in wanted.whole:
            self.make_plain(path)

    def make_plain(self, path: Sequence[str | int]) -> None:
        """Make plain what lies at a path, and all below it."""
        path = tuple(path)
        for place in self._late:
            length = len(place)
            if place[: len(path)] == path:
                self._replace(place)
            elif path[:length] == place:
                *between, last = path[length:]
                late = self._at(place)
                for key in between:
                    late = _stepped(late, key)
                if isinstance(last, str) and all(isinstance(key, str) for key in between):
                    if late is not None:
                        late.plain_member(last)
                else:
                    self._replace(place)

    def _replace(self, place: Path) -> None:
        late = self._at(place)
        if late is not None:
            self._above(place)[place[-1]] = late.whole()

    def _found(self, path: Path) -> LateJson | None:
        """Return the late document at a path, None where what is there is plain."""
        place = next((each for each in self._late if path[: len(each)] == each), None)
        if place is None:
            return None
        late = self._at(place)
        for key in path[len(place) :]:
            late = _stepped(late, key)
        return late

    def _at(self, place: Path) -> LateJson | None:
        found = self._above(place).get(place[-1])
        return found if type(found) is LateJson else None

    def _above(self, place: Path) -> dict[str, Any]:
        container: Any = self.root
        for key in place[:-1]:
            container = container.get(key) if type(container) is dict else None
        return container if type(container) is dict else {}


def _stepped(late: LateJson | None, key: str | int) -> LateJson | None:
    if late is None or not isinstance(key, str):
        return None
    late.keep_late(key)
    found = late.member(key)
    return found if type(found) is LateJson else None
