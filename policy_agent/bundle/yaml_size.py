"""Parse YAML from strangers: a few lines of anchors and aliases can stand for billions of values.

Pure. The parser shares what an alias refers to, but merge keys, digests and the engine do not, so
the size is worked out from the event stream before anything is built. Go's YAML library refuses
such documents too.
"""

from __future__ import annotations

from typing import Any, Final

from policy_agent import codec
from policy_agent.errors import DocumentError

# Without aliases a value takes at least one byte of text; aliases may multiply that tenfold.
_ALLOWED_VALUES: Final = 100_000
_ALLOWED_VALUES_PER_BYTE: Final = 10


def decode_yaml(raw: bytes) -> Any:
    """Parse one YAML document into JSON values.

    Raises:
        DocumentError: not YAML, not JSON values, or aliases that expand to too much.
    """
    if b"*" in raw and b"&" in raw:
        _check_size(raw, _ALLOWED_VALUES + _ALLOWED_VALUES_PER_BYTE * len(raw))
    return codec.decode_yaml(raw)


def _check_size(raw: bytes, limit: int) -> None:
    # Only data with aliases comes here; importing yaml costs Init 12 ms.
    import yaml

    count = _Count()
    try:
        for event in yaml.parse(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                count.opened(event.anchor)
            elif isinstance(event, yaml.CollectionEndEvent):
                count.closed()
            elif isinstance(event, yaml.ScalarEvent):
                count.opened(event.anchor)
                count.closed()
            elif isinstance(event, yaml.AliasEvent):
                count.repeated(event.anchor)
            if count.total > limit:
                raise DocumentError("aliases expand to too many values")
    except yaml.YAMLError:
        return  # the parser proper says what is wrong, and where


class _Count:
    """Counts values as if every alias were written out."""

    def __init__(self) -> None:
        self.total = 0
        self._open: list[tuple[str | None, int]] = []
        self._sizes: dict[str | None, int] = {}

    def opened(self, anchor: str | None) -> None:
        self._open.append((anchor, self.total))
        self.total += 1

    def closed(self) -> None:
        anchor, before = self._open.pop()
        self._sizes[anchor] = self.total - before

    def repeated(self, anchor: str | None) -> None:
        if any(anchor == name for name, _ in self._open):
            raise DocumentError(f"anchor {anchor!r}: the value contains itself")
        self.total += self._sizes.get(anchor, 1)
