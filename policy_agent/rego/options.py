"""What a policy's users may choose; apart, so that naming it does not load the compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How modules are compiled, as OPA's commands offer it.

    Attributes:
        schemas: `schema` is the input's JSON schema, `schema.name` one that METADATA may name.
        rego_version: of the modules of which nothing else is said.
        print_to: takes each line that `print` writes in `results`; None to compile such calls away.
    """

    schemas: Mapping[str, Any] = field(default_factory=dict)
    rego_version: int = 1
    print_to: Callable[[str], None] | None = None


DEFAULT_OPTIONS: Final = CompileOptions()
NO_VERSIONS: Final[Mapping[str, int]] = MappingProxyType({})
# What no policy may call: a decision must not wait for a network.
NETWORK_BUILTINS: Final = frozenset({"http.send", "net.lookup_ip_addr"})


@dataclass(frozen=True, slots=True)
class Query:
    """A query and what holds around it.

    Attributes:
        package: the package it is asked in, `a.b`; "" for none.
        imports: such as `data.a.b as c`.
        is_v0: whether it is written in Rego v0.
    """

    text: str
    package: str = ""
    imports: tuple[str, ...] = ()
    is_v0: bool = False
