"""Write decisions as OPA's data API answers them.

Pure. Results are compact and in OPA's key order (v1.22 v1/server/types).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from policy_agent import __version__
from policy_agent.codec import encode_json
from policy_agent.model import UNDEFINED, Decision, JsonObject
from policy_agent.server import wire
from policy_agent.server.request import Parameters, flag
from policy_agent.server.wire import Answer

_MISSING_INPUT = {
    "code": "api_usage_warning",
    "message": "'input' key missing from the request",
}


class V1Options(Struct, frozen=True):
    """What a v1 data request asks to see beside the result."""

    show_id: bool = True
    pretty: bool = False
    metrics: bool = False
    provenance: bool = False
    warn_missing_input: bool = False
    explanations: Mapping[str, bytes] = field(default_factory=dict)


def v1_answer(decision: Decision, options: V1Options) -> Answer:
    """Return the answer of `/v1/data`: 200 with or without `result`, 500 for a failed evaluation.

    Where no policy was asked the result is undefined and `warning` says why.
    """
    if decision.error is not None and not decision.refused:
        return wire.evaluation_failed(decision.error)
    return wire.json_answer(v1_body(decision, options), pretty=options.pretty)


def v1_body(decision: Decision, options: V1Options, *more: bytes) -> bytes:
    """Return what a v1 data request is answered, as JSON on one line.

    Args:
        more: further fields, encoded, that come first.
    """
    parts = list(more)
    if options.show_id:
        parts.append(b'"decision_id":' + encode_json(decision.decision_id))
    if options.provenance:
        parts.append(b'"provenance":' + encode_json(_provenance(decision)))
    explained = options.explanations
    if "explanation" in explained:
        parts.append(b'"explanation":' + explained["explanation"])
    if options.metrics:
        parts.append(b'"metrics":' + encode_json(decision.metrics))
    if decision.result is not UNDEFINED:
        parts.append(b'"result":' + encode_json(decision.result))
    if "rule_labels" in explained:
        parts.append(b'"rule_labels":' + explained["rule_labels"])
    if decision.error is not None:
        parts.append(b'"warning":' + encode_json(decision.error))
    elif options.warn_missing_input:
        parts.append(b'"warning":' + encode_json(_MISSING_INPUT))
    return b"{" + b",".join(parts) + b"}"


def wants_metrics(parameters: Parameters) -> bool:
    """Tell whether an answer shall hold metrics; `instrument` asks for no more of them here."""
    return flag(parameters, "metrics") or flag(parameters, "instrument")


def v0_answer(decision: Decision, reference: str, *, has_rules: bool, pretty: bool) -> Answer:
    """Return the answer of `/v0/data` and `POST /`: the bare value, 404 when it is undefined.

    Args:
        reference: the path as Rego writes it.
        has_rules: whether any rule exists under the path; OPA words the 404 by it.
    """
    if decision.error is not None and not decision.refused:
        return wire.evaluation_failed(decision.error)
    if decision.result is UNDEFINED:
        if decision.error is not None:
            return wire.error_answer(404, "undefined_document", decision.error["message"])
        kind = "undefined" if has_rules else "missing"
        return wire.error_answer(404, "undefined_document", f"document {kind}: {reference}")
    return wire.json_answer(encode_json(decision.result), pretty=pretty)


def _provenance(decision: Decision) -> JsonObject:
    return {
        "version": __version__,
        "build_commit": "",
        "build_timestamp": "",
        "build_hostname": "",
        "bundles": {name: {"revision": rev} for name, rev in decision.revisions.items()},
    }
