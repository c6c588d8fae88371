"""The settings in force as anyone may see them (OPA v1.22 v1/config/config.go, ActiveConfig).

Pure. Secrets are left out wherever they stand, so that a setting added later is safe as well; OPA
knows `credentials` and keys only, and shows the headers of services.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from policy_agent.config.document import Config
from policy_agent.model import JsonObject

_SECRET: Final = frozenset(
    (
        "audit_key",
        "client_secret",
        "credentials",
        "key",
        "password",
        "private_key",
        "secret",
        "secrets",
        "token",
    )
)
_DEFAULTS: Final = {
    "default_authorization_decision": "/system/authz/allow",
    "default_decision": "/system/main",
}


def active_document(config: Config) -> JsonObject:
    """Return the configuration document without secrets, with OPA's defaults and our labels."""
    document = {
        name: section if name == "labels" else _without_secrets(section)
        for name, section in config.document.items()
    }
    return {**_DEFAULTS, **document, "labels": dict(config.labels)}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _without_secrets(item)
            for name, item in value.items()
            if name not in _SECRET and not (name == "headers" and isinstance(item, Mapping))
        }
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return value
