"""The function under test: asks once per path in its event and returns what it was told."""

import os
import time

from policy_agent.client import AgentUnavailableError, decide

if path := os.environ.get("DECIDE_AT_INIT"):
    decide(path, {"user": "u"})


def handle(event, context):
    if event.get("crash"):
        raise RuntimeError("the function failed")
    answers = []
    for path in event["paths"]:
        try:
            decision = decide(path, event.get("input", {}))
        except AgentUnavailableError as exc:
            answers.append({"allow": False, "reasons": [f"unavailable: {exc}"], "id": ""})
        else:
            answers.append(
                {
                    "allow": decision.allow,
                    "reasons": list(decision.reasons),
                    "id": decision.decision_id,
                }
            )
    held = [bytearray(b"x" * (1 << 20)) for _ in range(event.get("megabytes", 0))]
    time.sleep(event.get("seconds", 0))
    del held
    return answers
