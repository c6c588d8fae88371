"""OPA's `opa.runtime` built-in.

Pure. It answers only what the evaluation was given, never this process's environment, and takes
credentials and keys out of the configuration as OPA does (OPA v1.22 v1/topdown/runtime.go).
"""

from __future__ import annotations

from typing import Any, Final

from policy_agent.rego.builtins.nondeterminism import once
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.context import Context
from policy_agent.rego.values import Value

_SECRETS: Final = {"services": ("credentials",), "keys": ("key", "private_key")}


def _runtime(context: Context) -> Value:
    return once(context, "opa.runtime", [], lambda: _redacted(dict(context.runtime)))


def _redacted(runtime: dict[str, Any]) -> dict[str, Any]:
    config = runtime.get("config")
    if isinstance(config, dict):
        clean = dict(config)
        for section, names in _SECRETS.items():
            if section in clean:
                clean[section] = _without(clean[section], names)
        runtime["config"] = clean
    return runtime


def _without(section: Any, names: tuple[str, ...]) -> Any:
    if isinstance(section, list):
        return [_entry_without(entry, names) for entry in section]
    if isinstance(section, dict):
        return {key: _entry_without(entry, names) for key, entry in section.items()}
    return {}


def _entry_without(entry: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(entry, dict):
        return {}
    return {key: value for key, value in entry.items() if key not in names}


BUILTINS: Final = {
    "opa.runtime": Builtin("opa.runtime", _runtime, deterministic=False, needs_context=True)
}
