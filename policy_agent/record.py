"""What the agent's values have in common that hold secrets, or more than anyone wants to read.

They are msgspec structs rather than dataclasses, because an agent pays for the making of its
classes at every cold start: a struct takes a thirtieth of the time.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Record(Struct, frozen=True):
    """An immutable struct whose text leaves some fields out.

    Attributes:
        unshown: the names of those fields.
    """

    unshown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = [name for name in self.__struct_fields__ if name not in self.unshown]
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({fields})"
