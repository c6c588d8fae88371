"""The rules that can be planned, by path, with what `with` hides.

Pure. Follows OPA v1.22 internal/planner/rules.go (ruletrie): rules whose paths share a prefix of
strings up to a variable are one node, because they are planned as one function.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from policy_agent.rego.compile.tree import PlacedRule


class RuleTrie:
    """A node.

    Attributes:
        path: its place below `data`.
        rules: what one function computes here; empty for packages.
    """

    def __init__(self, path: tuple[str, ...] = ()) -> None:
        self.path = path
        self.rules: list[PlacedRule] = []
        self._children: dict[str, list[RuleTrie | None]] = {}

    @property
    def arity(self) -> int:
        """Return how many arguments the rules take."""
        return self.rules[0].arity if self.rules else 0

    @property
    def is_partial(self) -> bool:
        """Return whether the rules add members to a set or an object."""
        return any(placed.is_set or len(placed.path) > len(self.path) for placed in self.rules)

    def get(self, key: object) -> RuleTrie | None:
        """Return the child of a key unless it is hidden."""
        nodes = self._children.get(key) if isinstance(key, str) else None
        return nodes[-1] if nodes else None

    def children(self) -> list[tuple[str, RuleTrie]]:
        """Return the children that are not hidden, by key in order."""
        found = ((key, self.get(key)) for key in sorted(self._children))
        return [(key, child) for key, child in found if child is not None]

    def lookup(self, path: Iterable[object]) -> RuleTrie | None:
        """Return the node of a path."""
        node: RuleTrie | None = self
        for key in path:
            if node is None:
                return None
            node = node.get(key)
        return node

    def add_package(self, path: Sequence[str]) -> None:
        """Add a package, which is an empty object when it has no rules."""
        self._reach(path)

    def add(self, path: Sequence[str], rule: PlacedRule) -> None:
        """Add a rule at the strings that its reference begins with."""
        node = self._reach(path)
        if node._children:
            node.rules = list(node._descendants())
            node._children = {}
        node.rules.append(rule)

    @contextmanager
    def hiding(self, paths: Iterable[Sequence[object]]) -> Iterator[None]:
        """Hide what is below some paths inside the block."""
        hidden = [siblings for path in paths if (siblings := self._siblings(path)) is not None]
        for nodes in hidden:
            nodes.append(None)
        yield
        for nodes in reversed(hidden):
            nodes.pop()

    def _siblings(self, path: Sequence[object]) -> list[RuleTrie | None] | None:
        parent = self.lookup(path[:-1])
        last = path[-1] if path else None
        if parent is None or not isinstance(last, str):
            return None
        return parent._children.setdefault(last, [])

    def _reach(self, path: Sequence[str]) -> RuleTrie:
        node = self
        for key in path:
            if node.rules:
                return node
            child = node.get(key)
            if child is None:
                child = RuleTrie((*node.path, key))
                node._children.setdefault(key, []).append(child)
            node = child
        return node

    def _descendants(self) -> Iterator[PlacedRule]:
        yield from self.rules
        for _, child in self.children():
            yield from child._descendants()


def string_prefix(rule: PlacedRule) -> tuple[str, ...]:
    """Return the strings that a rule's path begins with."""
    found: list[str] = []
    for key in rule.ground_path:
        if not isinstance(key, str):
            break
        found.append(key)
    return tuple(found)
