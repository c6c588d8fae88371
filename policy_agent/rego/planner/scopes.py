"""What is in force at a point of the plan: variables, and what `with` replaces.

Pure. Follows OPA v1.22 internal/planner/{varstack,rules}.go. Other than in OPA, functions planned
under some replacements are used again under the same ones, so that plans stay small and planning
ends for rules that refer to each other through `with`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeAlias

from msgspec import Struct, field

from policy_agent.rego import ast
from policy_agent.rego.plan import Local

Path: TypeAlias = tuple[object, ...]
DOCUMENTS: Final = ("input", "data")


class Variables:
    """The locals of variables, in nested frames."""

    def __init__(self, frame: dict[str, Local]) -> None:
        self._frames = [frame]

    def get(self, name: str) -> Local | None:
        """Return a variable's local, None where it has no value yet."""
        for frame in reversed(self._frames):
            if name in frame:
                return frame[name]
        return None

    def put(self, name: str, local: Local) -> None:
        """Give a variable a local in the innermost frame."""
        self._frames[-1][name] = local

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Forget at the end of the block what it added."""
        self._frames.append({})
        yield
        self._frames.pop()


class Generation(Struct):
    """The functions planned while the same documents and functions are replaced.

    Attributes:
        number: part of the functions' names.
        mocks: replaced function -> what replaces it.
        hidden: paths below `data` whose rules are replaced.
        passed: variables that every function takes before its own arguments.
        functions: path -> name in the plan, planned or being planned.
    """

    number: int
    mocks: Mapping[str, ast.Term] = field(default_factory=dict)
    hidden: frozenset[Path] = frozenset()
    passed: tuple[str, ...] = DOCUMENTS
    functions: dict[str, str] = field(default_factory=dict)


class Generations:
    """The stack of generations."""

    def __init__(self) -> None:
        first = Generation(0)
        self._known = {_key(first.mocks, first.hidden): first}
        self._stack = [first]

    @property
    def current(self) -> Generation:
        """Return the innermost generation."""
        return self._stack[-1]

    @contextmanager
    def replacing(self, mocks: Mapping[str, ast.Term], hidden: frozenset[Path]) -> Iterator[None]:
        """Replace functions and hide rules inside the block, besides those that are already."""
        current = self.current
        self._push({**current.mocks, **mocks}, current.hidden | hidden)
        yield
        self._stack.pop()

    @contextmanager
    def unmocked(self) -> Iterator[None]:
        """Replace no function inside the block: the body of a replacement sees none."""
        self._push({}, self.current.hidden)
        yield
        self._stack.pop()

    @contextmanager
    def within(self, generation: Generation) -> Iterator[None]:
        """Go back to a generation inside the block."""
        self._stack.append(generation)
        yield
        self._stack.pop()

    def _push(self, mocks: Mapping[str, ast.Term], hidden: frozenset[Path]) -> None:
        key = _key(mocks, hidden)
        if key not in self._known:
            named = {term.name for term in mocks.values() if isinstance(term, ast.Var)}
            passed = (*DOCUMENTS, *sorted(named))
            self._known[key] = Generation(len(self._known), mocks, hidden, passed)
        self._stack.append(self._known[key])


def _key(mocks: Mapping[str, ast.Term], hidden: frozenset[Path]) -> object:
    return frozenset((name, repr(term)) for name, term in mocks.items()), hidden
