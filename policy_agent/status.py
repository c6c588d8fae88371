"""What each component last achieved, in the form of OPA's status API (v1/plugins/bundle/status.go).

Pure values: the component that owns one replaces it; `GET /v1/status` and status reports read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, field

from policy_agent.errors import PolicyProblem
from policy_agent.model import JsonObject

_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which OPA sends for "not yet"


class State(StrEnum):
    """A component's state by OPA's names."""

    NOT_READY = "NOT_READY"
    OK = "OK"
    WARN = "WARN"
    ERROR = "ERROR"


class SourceStatus(Struct, frozen=True):
    """Where the active version of a bundle came from.

    Attributes:
        kind: `remote`, `mirror`, `persisted`, `packaged` or `file`.
        location: a URL without secrets, or a path.
        reason: why it did not come from where it should, "" when it did.
    """

    kind: str
    location: str
    reason: str = ""

    def to_json(self) -> JsonObject:
        """Return the JSON of it, which OPA does not have."""
        body = {"type": self.kind, "location": self.location}
        return body | ({"reason": self.reason} if self.reason else {})


class BundleStatus(Struct, frozen=True):
    """One bundle's history; times are aware UTC.

    Attributes:
        active_revision: None until the first activation.
        source: None until the first activation.
        bundle_type: `snapshot` or `delta`, of the version that arrived last, as in OPA.
        copy_problem: why the copy on disk is not the active version, "" when it may be.
        message: why the last attempt failed, "" when it did not; without a code, what else is to
            be known.
        loads: how often a version of it was activated.
        failures: how many attempts failed.
    """

    name: str
    active_revision: str | None = None
    source: SourceStatus | None = None
    copy_problem: str = ""
    size_bytes: int = 0
    bundle_type: str = ""
    last_request_at: datetime | None = None
    last_successful_request_at: datetime | None = None
    last_successful_download_at: datetime | None = None
    last_successful_activation_at: datetime | None = None
    code: str = ""
    message: str = ""
    http_code: int | None = None
    problems: Sequence[PolicyProblem] = ()
    loads: int = 0
    failures: int = 0

    @property
    def state(self) -> State:
        """NOT_READY before the first activation; later failures keep the old bundle, hence OK."""
        return State.OK if self.last_successful_activation_at else State.NOT_READY

    def to_json(self) -> JsonObject:
        """Return OPA's JSON for one bundle."""
        body: JsonObject = {
            "name": self.name,
            "last_request": rfc3339(self.last_request_at),
            "last_successful_request": rfc3339(self.last_successful_request_at),
            "last_successful_download": rfc3339(self.last_successful_download_at),
            "last_successful_activation": rfc3339(self.last_successful_activation_at),
        }
        if self.active_revision:
            body["active_revision"] = self.active_revision
        if self.size_bytes:
            body["size"] = self.size_bytes
        if self.bundle_type:
            body["type"] = self.bundle_type
        if self.source:
            body["source"] = self.source.to_json()
        if self.copy_problem:
            body["persistence"] = {"message": self.copy_problem}
        return body | _failure(self.code, self.message, self.http_code, self.problems)


class DecisionLogStatus(Struct, frozen=True):
    """How shipping stands.

    Attributes:
        counters: a counter's name -> its value since start.
        sinks: those beside OPA's own, by name.
    """

    code: str = ""
    message: str = ""
    http_code: int | None = None
    counters: dict[str, int] = field(default_factory=dict)
    sinks: Mapping[str, DecisionLogStatus] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """ERROR while the last shipment failed."""
        return State.ERROR if self.code else State.OK

    def to_json(self) -> JsonObject:
        """Return OPA's JSON for the decision log, with our counters under `metrics`."""
        body: JsonObject = {"metrics": dict(self.counters)} if self.counters else {}
        if self.sinks:
            body["sinks"] = {name: sink.to_json() for name, sink in self.sinks.items()}
        return body | _failure(self.code, self.message, self.http_code, ())


def rfc3339(moment: datetime | None) -> str:
    """Return a UTC time as OPA prints it, Go's zero time for None."""
    return moment.isoformat().replace("+00:00", "Z") if moment else _NEVER


def _failure(
    code: str, message: str, http_code: int | None, problems: Sequence[PolicyProblem]
) -> JsonObject:
    body: JsonObject = {}
    if code:
        body["code"] = code
    if message:
        body["message"] = message
    if http_code is not None:
        body["http_code"] = http_code
    if problems:
        body["errors"] = [problem.to_json() for problem in problems]
    return body
