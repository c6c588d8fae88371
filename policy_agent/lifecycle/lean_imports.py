"""Import asyncio, uvloop and msgspec without what the agent does not use of them at Init.

They import at the top what serves TLS on the event loop, debugging, tracebacks and schemas: a third
of what Init would cost. The agent serves plain HTTP, and makes its own TLS connections in threads.
While the three are imported, stand-ins are in place of those modules, which hold just the names
that are kept at import. Whatever else is asked of one comes from the real module, so another
version of a library costs time and nothing more; so does whoever imports one afterwards.

TLS on a loop that was imported like this fails: uvloop takes no context for one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final


def import_event_loop() -> None:
    """Import asyncio, uvloop and msgspec, unless asyncio is there or debugged."""
    is_debugged = sys.flags.dev_mode or os.environ.get("PYTHONASYNCIODEBUG")
    if is_debugged or "asyncio" in sys.modules:
        return
    absent = [name for name in _STAND_INS if name not in sys.modules]
    for name in absent:
        sys.modules[name] = _StandIn(name, _STAND_INS[name])
    try:
        for library in ("urllib.parse", "uuid", "msgspec", "uvloop"):
            __import__(library)
    finally:
        for name in absent:
            if isinstance(sys.modules.get(name), _StandIn):
                del sys.modules[name]


class _StandIn(ModuleType):
    def __init__(self, name: str, kept: Mapping[str, Any]) -> None:
        super().__init__(name)
        self.__dict__.update(kept)

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


def _real(name: str) -> ModuleType:
    if isinstance(sys.modules.get(name), _StandIn):
        del sys.modules[name]
    __import__(name)
    return sys.modules[name]


def _functions(module: str, *names: str) -> dict[str, Callable[..., Any]]:
    """Return functions that call those of the real module."""

    def forwarder(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(_real(module), name)(*args, **kwargs)

        return call

    return {name: forwarder(name) for name in names}


def _types(*names: str) -> dict[str, type[Exception]]:
    """Return types that nothing is an instance of."""
    return {name: type(name, (Exception,), {"__module__": __name__}) for name in names}


# By module, what asyncio, logging, uvloop 0.22 and msgspec 0.21 keep of it.
_STAND_INS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ssl": {
        **_types("SSLContext", "SSLError", "SSLZeroReturnError", "SSLWantReadError"),
        **_types("SSLSyscallError", "CertificateError"),
        **_functions("ssl", "MemoryBIO", "create_default_context"),
        "SSL_ERROR_WANT_READ": 2,
        "SSL_ERROR_WANT_WRITE": 3,
        "SSL_ERROR_SYSCALL": 5,
    },
    "inspect": _functions("inspect", "isgenerator", "iscoroutinefunction"),
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3, **_types("SubprocessError")},
    "traceback": {
        **_functions("traceback", "walk_stack", "format_list", "extract_stack"),
        **_types("StackSummary"),
    },
    "ipaddress": {},
    "platform": {"system": lambda: os.uname().sysname},
    "msgspec.inspect": {},
    "msgspec._json_schema": _functions("msgspec._json_schema", "schema", "schema_components"),
}
