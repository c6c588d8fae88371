"""What the compiler and the planner must know of functions: how they are called.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from msgspec import Struct

from policy_agent.rego.check import signatures


class Signature(Struct, frozen=True):
    """A built-in function as callers see it.

    Attributes:
        arity: how many operands it takes.
        relation: its result is a set of values, of which a call takes each in turn (`walk`).
        void: it has no result (`print`).
    """

    arity: int
    relation: bool = False
    void: bool = False


class OpaBuiltins(Mapping[str, Signature]):
    """The signatures of OPA's built-in functions, each read when it is first asked for."""

    def __getitem__(self, name: str) -> Signature:
        """Return a function's signature."""
        found = _signature(name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        """Return whether there is such a function."""
        return name in signatures.names()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(signatures.names())

    def __len__(self) -> int:
        """Return how many functions there are."""
        return len(signatures.names())


@cache
def _signature(name: str) -> Signature | None:
    found = signatures.signature(name)
    if found is None:
        return None
    return Signature(len(found.args), name in signatures.RELATIONS, found.result is None)


OPA_BUILTINS = OpaBuiltins()
