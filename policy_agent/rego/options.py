"""What a policy's users may choose; apart, so that naming it does not load the compiler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

if TYPE_CHECKING:
    from policy_agent.rego import ast
    from policy_agent.rego.builtins.registry import Builtin
    from policy_agent.rego.compile.compiled import Compiled, CompiledQuery


class Watch:
    """What takes part in compiling a policy in order to watch it run; this one does nothing."""

    def parsed(self, modules: list[ast.Module]) -> list[ast.Module]:
        """Return modules to compile in place of those that were parsed."""
        return modules

    def compiled(self, compiled: Compiled) -> Compiled:
        """Return modules to plan in place of those that were compiled and checked."""
        return compiled

    def query(self, query: CompiledQuery) -> CompiledQuery:
        """Return a query to plan in place of the one that was compiled and checked."""
        return query

    def resolve(self, name: str) -> Builtin | None:
        """Return a built-in function by name, None if there is none."""
        # Late: naming options must not load what runs.
        from policy_agent.rego.builtins import catalog

        return catalog.resolve(name)


UNWATCHED: Final = Watch()


class CompileOptions(Struct, frozen=True):
    """How modules are compiled, as OPA's commands offer it.

    Attributes:
        schemas: `schema` is the input's JSON schema, `schema.name` one that METADATA may name.
        rego_version: of the modules of which nothing else is said.
        print_to: takes each line that `print` writes in `results`; None to compile such calls away.
        watch: what takes part in order to watch evaluations.
        strict: refuse what OPA's strict mode refuses.
        runtime: what `opa.runtime` answers.
    """

    schemas: Mapping[str, Any] = field(default_factory=dict)
    rego_version: int = 1
    print_to: Callable[[str], None] | None = None
    watch: Watch = UNWATCHED
    strict: bool = False
    runtime: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_OPTIONS: Final = CompileOptions()
NO_VERSIONS: Final[Mapping[str, int]] = MappingProxyType({})
# What no policy may call: a decision must not wait for a network.
NETWORK_BUILTINS: Final = frozenset({"http.send", "net.lookup_ip_addr"})
# What may answer equal questions differently: OPA's nondeterministic built-ins, and those that
# compare with the time of the evaluation.
CHANGING_BUILTINS: Final = NETWORK_BUILTINS | {
    *("crypto.x509.parse_and_verify_certificates", "io.jwt.decode_verify", "io.jwt.encode_sign"),
    *("crypto.x509.parse_and_verify_certificates_with_options", "io.jwt.encode_sign_raw"),
    *("json.match_schema", "json.verify_schema", "opa.runtime", "rand.intn", "time.now_ns"),
    "uuid.rfc4122",
}


class Query(Struct, frozen=True):
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
