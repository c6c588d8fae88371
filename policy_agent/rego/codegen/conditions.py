"""Conditions of `if` statements: tests joined by `and` and `or`, and their negation.

Pure. Negating by De Morgan keeps the order in which tests run, and with it what they assign.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from policy_agent.rego.plan import NOWHERE, Location


class Test(Struct, frozen=True):
    """One comparison and its opposite, as source."""

    text: str
    opposite: str
    location: Location = NOWHERE


class AllOf(Struct, frozen=True):
    """True where every part is; an empty one always is."""

    parts: tuple[Condition, ...]


class AnyOf(Struct, frozen=True):
    """True where some part is; an empty one never is."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Test | AllOf | AnyOf


def all_of(conditions: Iterable[Condition]) -> Condition:
    """Return the conjunction of conditions, flat."""
    parts: list[Condition] = []
    for condition in conditions:
        parts += condition.parts if isinstance(condition, AllOf) else (condition,)
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def negate(condition: Condition) -> Condition:
    """Return the opposite of a condition."""
    if isinstance(condition, Test):
        return Test(condition.opposite, condition.text, condition.location)
    parts = tuple(negate(part) for part in condition.parts)
    if isinstance(condition, AnyOf):
        return all_of(parts)
    flat: list[Condition] = []
    for part in parts:
        flat += part.parts if isinstance(part, AnyOf) else (part,)
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def render(condition: Condition) -> str:
    """Return a condition as an expression."""
    if isinstance(condition, Test):
        return condition.text
    if not condition.parts:
        return "True" if isinstance(condition, AllOf) else "False"
    word = " and " if isinstance(condition, AllOf) else " or "
    return word.join(
        part.text if isinstance(part, Test) else f"({render(part)})" for part in condition.parts
    )


def render_lines(condition: Condition, width: int) -> list[tuple[str, Location]]:
    """Return the lines of an `if` with this condition, wrapped where it is wider than `width`."""
    line = f"if {render(condition)}:"
    if isinstance(condition, Test):
        return [(line, condition.location)]
    if len(line) <= width and len(condition.parts) < 3:
        return [(line, _first_location(condition))]
    word = "and" if isinstance(condition, AllOf) else "or"
    lines = [("if (", _first_location(condition))]
    for index, part in enumerate(condition.parts):
        text = part.text if isinstance(part, Test) else f"({render(part)})"
        lines.append(
            (f"    {word} {text}" if index else f"    {text}", _first_location(part)),
        )
    return [*lines, ("):", _first_location(condition))]


def _first_location(condition: Condition) -> Location:
    while not isinstance(condition, Test):
        if not condition.parts:
            return NOWHERE
        condition = condition.parts[0]
    return condition.location
