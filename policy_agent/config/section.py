"""A checked view of one JSON object of settings: reads typed values and collects every problem.

Pure. Problems and warnings name the key with its full dotted path and never show the value, which
may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from policy_agent.number import Number

_LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class Findings:
    """The problems and warnings of one configuration document, in the order found."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.warnings: list[str] = []


class Section:
    """One object of settings. Each getter marks its key as known; `finish` warns of the rest."""

    def __init__(self, values: Any, path: str, findings: Findings) -> None:
        self._path = path
        self._findings = findings
        self._known: set[str] = set()
        if isinstance(values, Mapping):
            self._values: Mapping[str, Any] = values
        else:
            self._values = {}
            if values is not None:
                findings.problems.append(f"{path}: must be an object")

    def has(self, key: str) -> bool:
        """Tell whether the key is there, whatever its value."""
        return key in self._values

    def name(self, key: str) -> str:
        """Return the key's full dotted path."""
        return f"{self._path}.{key}" if self._path else key

    def problem(self, key: str, what: str) -> None:
        """Report a wrong value."""
        self._findings.problems.append(f"{self.name(key)}: {what}")

    def warn(self, key: str, what: str) -> None:
        """Report something that is accepted but will surprise."""
        self._findings.warnings.append(f"{self.name(key)}: {what}")

    def value(self, key: str) -> Any:
        """Read a value of any kind, None where there is none."""
        return self._get(key)

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        """Read a string."""
        value = self._get(key)
        if value is None:
            if required:
                self.problem(key, "is required")
            return default
        if not isinstance(value, str):
            self.problem(key, "must be a string")
            return default
        return value

    def secure_url(self, key: str) -> str:
        """Read an https URL; http is for this machine only."""
        url = self.text(key)
        if url and not _is_secure(url):
            self.problem(key, "must be an https URL (http is for loopback only)")
        return url

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Read one of a few words; the first is the default."""
        value = self.text(key, allowed[0])
        if value not in allowed:
            self.problem(key, f"must be one of {', '.join(allowed)}")
            return allowed[0]
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Read a boolean."""
        value = self._get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(key, "must be true or false")
            return default
        return value

    def number(self, key: str, default: float, *, at_least: float = 0) -> float:
        """Read a number."""
        value = self._get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | Number):
            self.problem(key, "must be a number")
            return default
        if value < at_least:
            self.problem(key, f"must be at least {at_least:g}")
            return default
        return value if isinstance(value, int) else float(value)

    def integer(self, key: str, default: int, *, at_least: int = 0) -> int:
        """Read a whole number."""
        value = self._get(key)
        if isinstance(value, float | Number):
            self.problem(key, "must be a whole number")
            return default
        return int(self.number(key, default, at_least=at_least))

    def texts(self, key: str) -> tuple[str, ...]:
        """Read a list of strings."""
        value = self._get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problem(key, "must be a list of strings")
            return ()
        return tuple(value)

    def one_or_more_texts(self, key: str) -> tuple[str, ...]:
        """Read a string, or a list of them; an empty string is none."""
        value = self._get(key)
        if isinstance(value, str):
            return (value,) if value else ()
        return self.texts(key)

    def strings(self, key: str) -> dict[str, str]:
        """Read an object of strings."""
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(key, "must be an object of strings")
            return {}
        for name, item in value.items():
            if not isinstance(item, str):
                self.problem(f"{key}.{name}", "must be a string")
        return {name: item for name, item in value.items() if isinstance(item, str)}

    def values(self, key: str) -> dict[str, Any]:
        """Read an object whose values may be anything."""
        value = self._get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.problem(key, "must be an object")
            return {}
        return dict(value)

    def section(self, key: str) -> Section:
        """Read an object; an absent one is empty."""
        return Section(self._get(key), self.name(key), self._findings)

    def sections(self, key: str) -> dict[str, Section]:
        """Read an object of objects; where a list of named objects stands, that too."""
        value = self._get(key)
        if isinstance(value, list):
            value = self._by_name(key, value)
        outer = Section(value, self.name(key), self._findings)
        return {name: outer.section(name) for name in outer._values}

    def objects(self, key: str) -> list[Section]:
        """Read a list of objects."""
        value = self._get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.problem(key, "must be a list of objects")
            return []
        name = self.name(key)
        return [Section(item, f"{name}[{at}]", self._findings) for at, item in enumerate(value)]

    def refuse(self, *keys: str) -> None:
        """Report keys whose effect cannot be had and must not be missed."""
        for key in keys:
            if self._get(key) not in (None, {}, [], False):
                self.problem(key, "is not supported by this version")

    def ignore(self, *keys: str) -> None:
        """Warn of keys of OPA's that have no effect here and are safe to leave out."""
        for key in keys:
            if self._get(key) is not None:
                self.warn(key, "has no effect in policy-agent")

    def finish(self) -> None:
        """Warn of every key that nothing has read."""
        for key in self._values:
            if key not in self._known:
                self.warn(key, "unknown configuration option")

    def _get(self, key: str) -> Any:
        self._known.add(key)
        return self._values.get(key)

    def _by_name(self, key: str, items: list[Any]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for position, item in enumerate(items):
            name = item.get("name") if isinstance(item, Mapping) else None
            if isinstance(name, str) and name:
                named[name] = item
            else:
                self.problem(f"{key}[{position}]", "must be an object with a name")
        return named


def _is_secure(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    is_local = parts.scheme == "http" and host in _LOOPBACK_HOSTS
    return bool(host) and (is_local or parts.scheme == "https")
