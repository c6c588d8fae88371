"""The nouns that pass between folders: plain values, no behaviour beyond their own invariants.

bytes -> `Bundle` -> policy in a `Snapshot` -> `Decision` -> decision log event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Protocol

from msgspec import Struct, field

from policy_agent.record import Record


class Undefined(Enum):
    """The absence of a value in Rego, which is not `null`."""

    UNDEFINED = "undefined"

    def __bool__(self) -> Literal[False]:
        """Undefined is never truthy."""
        return False


UNDEFINED: Final = Undefined.UNDEFINED

JsonObject = dict[str, Any]
DataPath = Sequence[str | int]


class Evidence(Struct):
    """What an evaluation went by, for the log.

    Attributes:
        rules: those that held, each once, in order: `data.orders.authz.allow orders.rego:12`.
        nd_builtin_cache: built-in -> arguments as JSON text -> result, of calls whose result does
            not follow from their arguments.
    """

    rules: Sequence[str] = ()
    nd_builtin_cache: Mapping[str, Any] = field(default_factory=dict)


class Evaluator(Protocol):
    """What the rest of the agent may know about a policy engine."""

    @property
    def rules(self) -> frozenset[str]:
        """Every rule's path below `data`, slash-separated: `orders/authz/allow`."""

    def evaluate(
        self,
        path: str | DataPath,
        input: Any = UNDEFINED,  # noqa: A002
        *,
        strict: bool = False,
        is_exact: bool = False,
        evidence: Evidence | None = None,
    ) -> Any:
        """Return the value of a document below `data`, or UNDEFINED.

        Args:
            path: `orders/authz/allow`, or its segments; integers are array indexes.
            input: the input document, UNDEFINED when there is none.
            strict: a failing built-in function ends the evaluation with its error.
            is_exact: the input holds no floats, as `codec.decode_json` gives it; else all of it
                is looked at first.
            evidence: to be filled.

        Raises:
            EvaluationError: the policy conflicts with itself, a built-in failed strictly, or
                the deadline passed.
        """

    def query(self, text: str, input: Any = UNDEFINED) -> list[JsonObject]:  # noqa: A002
        """Return the variables of every solution of a Rego query.

        Raises:
            PolicyError: the text is not a query that can be run faithfully.
            EvaluationError: as for `evaluate`.
        """

    def is_repeatable(self, path: DataPath) -> bool:
        """Tell whether a document depends on nothing but input and data.

        False also where that is not known: time, chance, the environment or the network may play
        a part.
        """

    def close(self) -> None:
        """Release what the engine holds; evaluating afterwards is a programming error."""


class Manifest(Struct, frozen=True):
    """A bundle's `.manifest` (OPA docs, management-bundles, "Bundle File Format")."""

    revision: str = ""
    roots: tuple[str, ...] = ("",)
    rego_version: int | None = None
    file_rego_versions: Mapping[str, int] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Bundle(Record, frozen=True):
    """One bundle whose bytes passed every check that needs no other bundle.

    Attributes:
        name: the key under `bundles` in the configuration.
        modules: path in the archive without leading slash -> Rego source.
        rego_versions: path -> the version of Rego it is in, where the manifest says so.
        data: the base documents, merged from all data files; large ones may be `LateJson`.
        etag: as the source sent it, None when it sent none.
        plan: OPA's `plan.json` of the modules, None when the bundle has none.
        size_bytes: length of the archive as downloaded.
        kind: `delta` when the last archive only said what changes.
        raw: the archive as downloaded, so that a copy on disk can be verified again; empty for
            a bundle read from a directory, and for one that a delta has changed.
        version: as its signatures say, None when they say nothing or there are none.
        expires_at: seconds since the epoch from which on its signatures do not hold, None for
            never.
    """

    unshown: ClassVar[frozenset[str]] = frozenset({"plan", "raw"})

    name: str
    manifest: Manifest
    modules: Mapping[str, str]
    data: JsonObject
    etag: str | None = None
    plan: bytes | None = None
    rego_versions: Mapping[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    kind: Literal["delta", "snapshot"] = "snapshot"
    raw: bytes = b""
    version: int | None = None
    expires_at: float | None = None


class Snapshot(Struct, frozen=True, dict=True):
    """All active bundles compiled together; replaced as a whole, never changed.

    Attributes:
        bundles: name -> bundle, every bundle that takes part in a decision.
    """

    policy: Evaluator
    bundles: Mapping[str, Bundle]

    @cached_property
    def revisions(self) -> Mapping[str, str]:
        """Return bundle name -> revision, "" where a manifest has none."""
        return {name: bundle.manifest.revision for name, bundle in self.bundles.items()}


# Not frozen, though never changed: one is made for each decision, and freezing takes 2 us.
class Decision(Struct):
    """One answered question, complete enough to be logged (OPA's EventV1).

    Attributes:
        decision_id: UUIDv7.
        batch_decision_id: of the call that asked for several decisions, "" for a single one.
        path: `orders/authz/allow`, escapes kept; "" for the root document, and for a query.
        query: the text of a query, "" for a document.
        input: UNDEFINED when the caller sent none.
        result: UNDEFINED when the policy gave no value.
        mapped_result: what the caller was told instead, UNDEFINED where that is the result.
        error: OPA's JSON error object when evaluation failed, or why no policy was asked.
        revisions: bundle name -> revision at the time of the query.
        timestamp_ns: wall clock, nanoseconds since the epoch.
        metrics: OPA's timer and counter names -> integer.
        requested_by: `ip:port` of the caller.
        custom: what goes under the event's `custom` key, such as request metadata.
        refused: no policy was asked, and `error` says why; the result is undefined.
        trace: of the request, as `policy_agent.trace_context` reads it.
        cache_hit: the answer to an equal question was given again.
        evidence: what its evaluation went by, None where nothing was evaluated.
    """

    decision_id: str
    path: str
    input: Any
    result: Any
    error: JsonObject | None
    revisions: Mapping[str, str]
    timestamp_ns: int
    metrics: Mapping[str, int]
    query: str = ""
    batch_decision_id: str = ""
    mapped_result: Any = UNDEFINED
    requested_by: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)
    refused: bool = False
    trace: Mapping[str, str] = field(default_factory=dict)
    cache_hit: bool = False
    evidence: Evidence | None = None


class Fulfilment(Struct, frozen=True):
    """A report of what became of one decision's obligations.

    Attributes:
        decision_id: of the decision that asked for the obligations.
        obligations: `type`, `status` (`fulfilled` or `failed`) and, when it failed, `error`.
    """

    decision_id: str
    obligations: tuple[Mapping[str, str], ...]
