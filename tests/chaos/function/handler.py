"""Asks for decisions and writes down each one it was given, whatever becomes of the invocation."""

import os
import time

from policy_agent.client import AgentUnavailableError, decide

LEDGER = os.environ["CHAOS_LEDGER"]


def handle(event, context):
    for number in range(event["decisions"]):
        try:
            decision = decide("app/allow", {"n": number, "pad": "x" * event["pad"]})
        except AgentUnavailableError:
            with open(LEDGER + ".refused", "a") as refused:
                refused.write(".")
            continue
        with open(LEDGER, "a") as ledger:
            ledger.write(decision.decision_id + "\n")
    if event["then"] == "hang":
        time.sleep(60)
    if event["then"] == "exit":
        os._exit(1)
    if event["then"] == "raise":
        raise RuntimeError("the function failed")
    return event["decisions"]
