"""OPA's `semver` built-ins.

Source: OPA v1.22 v1/topdown/semver.go and internal/semver/semver.go.
"""

from __future__ import annotations

import re
from typing import Final

from policy_agent.rego.builtins.operand_text import quoted
from policy_agent.rego.builtins.operands import need_string
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.values import Value

_NUMBER: Final = "(0|[1-9][0-9]*)"
_IDENTIFIERS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION: Final = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?"
)
_LEADING_ZERO: Final = re.compile(r"0[0-9]+")
_DIGITS: Final = re.compile(r"[0-9]+")
_MAX_INT64: Final = 2**63 - 1

Version = tuple[tuple[int, ...], str]


def _read(text: str) -> Version | None:
    """Return a version's three numbers and its pre-release, None for a text that is no version."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    numbers = tuple(int(number) for number in match.group(1, 2, 3))
    pre_release = match.group(4) or ""
    if max(numbers) > _MAX_INT64 or any(map(_LEADING_ZERO.fullmatch, pre_release.split("."))):
        return None
    return numbers, pre_release


def _need(value: str, position: int) -> Version:
    version = _read(value)
    if version is None:
        raise BuiltinError(f"operand {position}: string {quoted(value)} is not a valid SemVer")
    return version


def _identifier_rank(identifier: str) -> tuple[bool, int, str]:
    """Return what orders pre-release identifiers: numbers come first, by value."""
    if _DIGITS.fullmatch(identifier):
        return False, min(int(identifier), _MAX_INT64), ""
    return True, 0, identifier


def _rank(version: Version) -> tuple[object, ...]:
    numbers, pre_release = version
    identifiers = [_identifier_rank(each) for each in pre_release.split(".")]
    return numbers, not pre_release, identifiers


def _compare(one: Value, two: Value) -> Value:
    one, two = need_string(one, 1), need_string(two, 2)
    left, right = _rank(_need(one, 1)), _rank(_need(two, 2))
    return (left > right) - (left < right)


def _is_valid(text: Value) -> Value:
    return type(text) is str and _read(text) is not None


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("semver.compare", _compare),
        Builtin("semver.is_valid", _is_valid),
    )
}
