"""Say what to install when the packages of the `audit` extra are missing."""

from __future__ import annotations

from importlib.util import find_spec

from policy_agent.errors import AuditError

_PACKAGES = ("duckdb", "jinja2", "pyarrow", "pyiceberg", "sqlalchemy")


def require_audit_extra() -> None:
    """Return when the store's packages can be imported; they are looked up, not imported.

    Raises:
        AuditError: naming the missing ones and the command that installs them.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        msg = f"not installed: {', '.join(missing)}; run pip install 'policy-agent[audit]'"
        raise AuditError(msg)
