"""The `format` keyword of JSON Schema, as OPA's validator checks it.

Pure. Source: OPA v1.22 internal/gojsonschema/format_checkers.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from policy_agent.rego.builtins.go_layout import RFC3339, RFC3339_NANO, LayoutError, parse_time
from policy_agent.rego.builtins.networks import parse_address
from policy_agent.rego.builtins.registry import BuiltinError

if TYPE_CHECKING:
    from policy_agent.rego.builtins.go_regexp import Pattern

_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])"
_HOSTNAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAX_HOSTNAME: Final = 255
_POINTER: Final = r"(?:/(?:[^~/]|~0|~1)*)*"
_UUID: Final = re.compile(r"[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}", re.IGNORECASE)
_URI_TEMPLATE: Final = re.compile(r"[^{]*(?:\{[^}]*\}[^{]*)*\{?")
_EMAIL: Final = re.compile(
    r"\s*(?:[^<>@,;:\\\"\[\]()]*<\s*)?"
    r"(?:[^\s<>@,;:\\\"\[\]().]+(?:\.[^\s<>@,;:\\\"\[\]().]+)*|\"[^\"]*\")"
    r"@(?:[^\s<>@,;:\\\"\[\]().]+(?:\.[^\s<>@,;:\\\"\[\]().]+)*|\[[0-9a-fA-F:.]+\])\s*>?\s*"
)
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:")
_BAD_URI: Final = re.compile(
    # A colon in the first segment of a path can only end a scheme.
    r"[\x00-\x1f\x7f\\]|%(?![0-9a-fA-F]{2})|^(?![a-zA-Z][a-zA-Z0-9+.\-]*:)[^/?#]*:"
)
_DATE: Final = "2006-01-02"
_TIMES: Final = ("15:04:05", "15:04:05Z07:00")


def _layouts(*layouts: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        for layout in layouts:
            try:
                parse_time(layout, text)
            except LayoutError:
                continue
            return True
        return False

    return check


def _matches(pattern: str | re.Pattern[str]) -> Callable[[str], bool]:
    fullmatch = re.compile(pattern).fullmatch
    return lambda text: fullmatch(text) is not None


def _is_address(separator: str) -> Callable[[str], bool]:
    return lambda text: separator in text and parse_address(text) is not None


def _is_reference(text: str) -> bool:
    if _BAD_URI.search(text):
        return False
    try:
        # The port is checked only when it is asked for.
        return urlsplit(text).port is not False
    except ValueError:
        return False


def _is_uri_template(text: str) -> bool:
    path = text.partition("#")[0].partition("?")[0]
    return _is_reference(text) and _URI_TEMPLATE.fullmatch(path) is not None


@lru_cache(maxsize=256)
def pattern(text: str) -> Pattern:
    """Compile a regular expression as Go does.

    Raises:
        BuiltinError: it is none.
    """
    # RE2 is loaded only by schemas that have patterns.
    from policy_agent.rego.builtins.go_regexp import compile_pattern

    return compile_pattern(text)


def is_regex(text: str) -> bool:
    """Return whether a text is a regular expression that Go accepts."""
    try:
        pattern(text)
    except BuiltinError:
        return False
    return True


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "date": _layouts(_DATE),
    "time": _layouts(*_TIMES),
    "date-time": _layouts(*_TIMES, _DATE, RFC3339, RFC3339_NANO),
    "hostname": lambda text: len(text) <= _MAX_HOSTNAME and _HOSTNAME.fullmatch(text) is not None,
    "email": _matches(_EMAIL),
    "idn-email": _matches(_EMAIL),
    "ipv4": _is_address("."),
    "ipv6": _is_address(":"),
    "uri": lambda text: _SCHEME.match(text) is not None and _is_reference(text),
    "iri": lambda text: _SCHEME.match(text) is not None and _is_reference(text),
    "uri-reference": _is_reference,
    "iri-reference": _is_reference,
    "uri-template": _is_uri_template,
    "uuid": _matches(_UUID),
    "regex": is_regex,
    "json-pointer": _matches(_POINTER),
    "relative-json-pointer": _matches(rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})"),
}


def has_format(name: str, value: object) -> bool:
    """Return whether a value has a format; unknown formats and values that are no text do."""
    check = _CHECKS.get(name)
    return check is None or not isinstance(value, str) or check(value)
