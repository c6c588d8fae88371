"""Every exception that policy-agent raises, grouped by what the caller does next.

* PolicyAgentError
  + ConfigError                 fix the named keys
  + DocumentError               the text is not JSON or YAML
  + ExtensionsApiError          report it and stop: Lambda will not answer differently
  + TransportError              try again later: no usable answer came back
  + BundleError                 keep serving the old bundle
    x BundleDownloadError       the source did not deliver it
    x BundleFormatError         the bytes are not a bundle
    x BundleVerificationError   the signature does not match
    x BundleActivationError     it does not fit beside the others
    x BundleDeltaError          it changes another bundle than the active one: get a snapshot
  + PolicyError                 the policy cannot be run faithfully: fix the named lines
  + EvaluationError             no value for this decision; the next one is unaffected
    x EvaluationDeadlineError   it took longer than allowed
  + IdentityError               the caller is not who the token says: no policy is asked
    x KeysNeededError           fetch the issuer's keys and ask again
  + DecisionLogError            the decision could not be recorded, so it must not be answered
    x SpoolFullError            there is no room for it, perhaps only for a moment
    x ShipError                 the receiver did not take the batch; it stays in the spool
  + RequestError                the HTTP request is at fault
    x DataPathError             its path cannot be a reference below `data`
  + AuditError                  the store or the query is at fault
  + EmulatorError               the function or the extension could not be started
  + DoctorError                 what is to be examined cannot be read

`code` is OPA's string for the class where OPA has one (v1/server/types/types.go, v1/ast/errors.go).
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class PolicyAgentError(Exception):
    """Base of all errors; `str()` is a sentence a person can act on."""

    code: ClassVar[str] = "internal_error"


class ConfigError(PolicyAgentError):
    """The configuration has wrong values.

    Attributes:
        problems: one `key: what is wrong` sentence each; never the value itself.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class DocumentError(PolicyAgentError):
    """A text is not the JSON or YAML it should be; the message names line and column."""


class ExtensionsApiError(PolicyAgentError):
    """The Extensions or Telemetry API refused a call.

    Attributes:
        status: HTTP status, 0 when the connection failed.
        error_type: Lambda's `errorType`, "" when the answer had none.
    """

    def __init__(self, message: str, *, status: int = 0, error_type: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type


class TransportError(PolicyAgentError):
    """No whole HTTP answer came back: refused, cut, timed out or too large."""


class BundleError(PolicyAgentError):
    """A bundle cannot be used. Nothing of it has been applied."""

    code = "bundle_error"


class BundleDownloadError(BundleError):
    """The source did not deliver the bundle.

    Attributes:
        http_code: the server's status, None when there was no answer.
    """

    def __init__(self, message: str, *, http_code: int | None = None) -> None:
        super().__init__(message)
        self.http_code = http_code


class BundleFormatError(BundleError):
    """The bytes are not a well-formed bundle."""


class BundleVerificationError(BundleError):
    """The bundle's signature is missing or does not match."""


class BundleActivationError(BundleError):
    """The bundle is well-formed but does not fit: roots overlap or are violated."""


class BundleDeltaError(BundleError):
    """The delta does not lead on from the active bundle; only a snapshot helps."""


class Location(Struct, frozen=True):
    """Where in a policy: file as named in the bundle, row and column from 1."""

    file: str
    row: int
    col: int = 1


class PolicyProblem(Struct, frozen=True):
    """One error of a policy in OPA's form; `code` is "" where OPA gives none."""

    code: str
    message: str
    location: Location | None = None

    def __str__(self) -> str:
        """Render as `file:row: code: message`, OPA's form."""
        where = f"{self.location.file}:{self.location.row}: " if self.location else ""
        code = f"{self.code}: " if self.code else ""
        return f"{where}{code}{self.message}"

    def to_json(self) -> dict[str, object]:
        """Return OPA's JSON object for one error (v1/ast/errors.go)."""
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.location is not None:
            at = self.location
            body["location"] = {"file": at.file, "row": at.row, "col": at.col}
        return body


class PolicyError(PolicyAgentError):
    """A policy cannot be parsed, compiled or run faithfully; it is refused whole.

    Attributes:
        problems: every problem found, in file order.
    """

    code = "invalid_parameter"

    def __init__(self, problems: list[PolicyProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class EvaluationError(PolicyAgentError):
    """A query has no value because evaluating it failed.

    Attributes:
        problem: OPA's error object, such as `eval_conflict_error`.
    """

    def __init__(self, problem: PolicyProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class EvaluationDeadlineError(EvaluationError):
    """Evaluation was ended at its deadline."""

    def __init__(self, message: str) -> None:
        super().__init__(PolicyProblem("eval_cancel_error", message))


class IdentityError(PolicyAgentError):
    """The caller's token does not identify anybody.

    Attributes:
        reason: a stable word for programs, such as `token_expired`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class KeysNeededError(IdentityError):
    """The issuer's keys have to be fetched before a token can be judged.

    Attributes:
        issuer: the issuer's name in the configuration.
    """

    def __init__(self, issuer: str) -> None:
        super().__init__("token_keys_unavailable", f"the keys of {issuer} are not loaded yet")
        self.issuer = issuer


class DecisionLogError(PolicyAgentError):
    """A decision could not be recorded; its answer must not be sent."""

    code = "decision_log_error"


class SpoolFullError(DecisionLogError):
    """The spool has no room for a decision."""


class ShipError(DecisionLogError):
    """A receiver did not take a batch.

    Attributes:
        http_code: the receiver's status, None when there was no answer.
        refuses_content: the batch itself is at fault: as it is, it will never be taken.
    """

    def __init__(
        self, message: str, *, http_code: int | None = None, refuses_content: bool = False
    ) -> None:
        super().__init__(message)
        self.http_code = http_code
        self.refuses_content = refuses_content


class RequestError(PolicyAgentError):
    """An HTTP request to the agent cannot be answered."""

    code = "invalid_parameter"


class DataPathError(RequestError):
    """A data path cannot be a reference; OPA answers it as an internal error."""

    code = "internal_error"


class AuditError(PolicyAgentError):
    """The audit store or a query over it is at fault."""


class EmulatorError(PolicyAgentError):
    """The local Lambda could not start or drive what it was given."""


class DoctorError(PolicyAgentError):
    """What is to be examined cannot be read."""
