"""What a request asks to be told of how its answer came about: `explain` and `rule_labels`."""

from __future__ import annotations

import asyncio

from policy_agent.codec import encode_json
from policy_agent.model import UNDEFINED, Decision
from policy_agent.server.call import Call
from policy_agent.server.request import explain_mode, flag
from policy_agent.server.services import Services

Fields = dict[str, bytes]


def is_asked(call: Call) -> bool:
    """Tell whether a request asks for either."""
    return bool(explain_mode(call.parameters)) or flag(call.parameters, "rule_labels")


async def explanations(call: Call, services: Services, decision: Decision, query: str) -> Fields:
    """Return the fields of the answer, as JSON: `explanation`, `rule_labels`, both or neither.

    Of what is undefined only the full trace is shown, as in OPA.

    Args:
        query: what was evaluated, as Rego.
    """
    snapshot, explainer = services.decisions.snapshot, services.explainer
    fields: Fields = {}
    if snapshot is None or explainer is None or decision.error is not None:
        return fields
    mode, is_defined = explain_mode(call.parameters), decision.result is not UNDEFINED
    if mode and (is_defined or mode == "full"):
        pretty = flag(call.parameters, "pretty")
        fields["explanation"] = await asyncio.to_thread(
            explainer.explain, snapshot, query, decision.input, mode=mode, pretty=pretty
        )
    if is_defined and flag(call.parameters, "rule_labels"):
        labels = await asyncio.to_thread(explainer.labels, snapshot, query, decision.input)
        if labels:
            fields["rule_labels"] = encode_json(labels)
    return fields
