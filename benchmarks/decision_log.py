"""Measure what recording one decision costs, in CPU time: event, rules, number, chain, append.

The answer waits for this, so 15 us is the most that it may be. Rounds of all variants are
interleaved and the smallest figure of each counts: whatever else the machine does only adds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import QUESTION
from policy_agent.config import DecisionLogs, Service, SpoolLimits
from policy_agent.decision_log.ids import new_decision_id
from policy_agent.decision_log.log import DecisionLog
from policy_agent.model import Decision, JsonObject
from policy_agent.rego import Policy

PER_ROUND = 2000
CIRCUMSTANCES: JsonObject = {
    "bundles": {"orders": {"source": "remote", "age_seconds": 12.345}},
    "lambda": {
        "request_id": "0a1b2c3d-0000-4000-8000-000000000000",
        "function_arn": "arn:aws:lambda:eu-west-1:123456789012:function:orders",
        "function_version": "7",
        "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793",
    },
}
RESULT = {"allow": True, "obligations": [{"type": "mask_fields", "fields": ["card"]}]}


PLAIN = "package orders.authz\n\nallow := true\n"
MASKS = """package system.log

mask contains "/input/subject/id"

mask contains {"op": "upsert", "path": "/input/resource/owner", "value": "*"}
"""


def main() -> int:
    """Run the rounds and print the table."""
    return asyncio.run(_measure())


async def _measure() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision_log", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    decision = Decision(
        decision_id=new_decision_id(),
        path="orders/authz/decision",
        input=QUESTION["input"],
        result=RESULT,
        error=None,
        revisions={"orders": "bench"},
        timestamp_ns=time.time_ns(),
        metrics={"timer_rego_query_eval_ns": 30000, "timer_server_handler_ns": 90000},
        requested_by="127.0.0.1:58834",
    )
    plain = Policy.from_modules({"orders.rego": PLAIN})
    masking = Policy.from_modules({"orders.rego": PLAIN, "mask.rego": MASKS})
    least: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as folder:
        variants = {
            "as shipped": (_open(Path(folder, "plain")), plain),
            "with two mask rules": (_open(Path(folder, "mask")), masking),
            "buffered": (_open(Path(folder, "buffered"), durability="buffered"), plain),
        }
        for _ in range(arguments.rounds):
            for name, (decision_log, policy) in variants.items():
                started = time.process_time()
                for _ in range(PER_ROUND):
                    decision_log.record(decision, policy)
                each_us = (time.process_time() - started) / PER_ROUND * 1e6
                least[name] = min(least.get(name, each_us), each_us)
        for decision_log, _ in variants.values():
            decision_log.close()
    for name, each_us in least.items():
        print(f"record, {name:22}{each_us:7.1f} us of CPU")
    return 0


def _open(folder: Path, durability: str = "write_ahead") -> DecisionLog:
    spool = SpoolLimits(durability=durability, on_full="drop_oldest")
    config = DecisionLogs(Service("none", "http://127.0.0.1:1"), spool=spool, audit_key="k" * 32)
    labels = {"id": "bench", "version": "1", "function": "orders"}
    return DecisionLog(config, labels, folder, circumstances=lambda: CIRCUMSTANCES)


if __name__ == "__main__":
    sys.exit(main())
