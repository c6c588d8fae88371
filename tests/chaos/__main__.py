"""The fault campaign: environments live and die while their receiver fails, and nothing is lost.

At the end every decision that a function was given is in the store exactly once, but for those that
an environment took with it when it was destroyed: these are listed as open tails, with the reason.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.auditor.audit_process import MAIN, serving
from tests.chaos.life import AUDIT_KEY, PRINTED, Life, Outcome, make_layer
from tests.chaos.receiver import FAULTS, OK, FaultyReceiver
from tests.support import make_bundle

MOST_AFTER_RESPONSE_MS = 2000 + 500  # the bound, and what a busy machine adds


def main() -> int:
    """Run a campaign and print its counts; the status is 1 when anything is unaccounted for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--side-by-side", type=int, default=2, help="environments at a time")
    parser.add_argument(
        "--keep", type=Path, help="where to leave the store, spools and logs of every environment"
    )
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with work_directory(arguments.keep) as work:
        store = work / "store"
        with serving(store, "--commit-seconds", "2") as server:
            outcomes, receiver = asyncio.run(campaign(work, str(server.client.base_url), arguments))
            server.settled()
        load_printed(store, work / PRINTED)
        stored = query(store)
        verified = verify(store, work)
    return judge(outcomes, receiver, stored, verified)


@contextlib.contextmanager
def work_directory(keep: Path | None) -> Iterator[Path]:
    """Yield an empty directory that is gone afterwards, unless it was asked for."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="policy-agent-chaos-") as directory:
        yield Path(directory)


async def campaign(
    work: Path, store_url: str, arguments: argparse.Namespace
) -> tuple[list[Outcome], FaultyReceiver]:
    """Let environments live side by side until the time is up."""
    layer = make_layer(work / "layer")
    bundle = work / "bundle.tar.gz"
    bundle.write_bytes(make_bundle({"app.rego": "package app\n\nallow := true\n"}, revision="r1"))
    until = time.monotonic() + arguments.seconds
    receiver = FaultyReceiver(store_url, work / "receiver.log")
    await receiver.start()
    outcomes: list[Outcome] = []

    async def one_after_the_other(worker: int) -> None:
        chance = random.Random(f"{arguments.seed}-{worker}")
        while time.monotonic() < until:
            folder = work / f"environment-{worker}-{len(outcomes)}"
            outcomes.append(await Life(folder, layer, bundle, receiver, chance).run(until))
            if arguments.keep is None:
                shutil.rmtree(folder)

    failing = asyncio.create_task(fail_now_and_then(receiver, random.Random(arguments.seed)))
    workers = [one_after_the_other(worker) for worker in range(arguments.side_by_side)]
    await asyncio.gather(*workers)
    failing.cancel()
    await receiver.close()
    return outcomes, receiver


async def fail_now_and_then(receiver: FaultyReceiver, chance: random.Random) -> None:
    """Change the receiver's mode every few seconds."""
    while True:
        await receiver.switch(OK)
        await asyncio.sleep(chance.uniform(2, 20))
        for _ in range(chance.randint(1, 3)):
            await receiver.switch(chance.choice(FAULTS))
            await asyncio.sleep(chance.uniform(0.5, 4))


def audit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an audit command."""
    command = [sys.executable, "-c", MAIN, "audit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def load_printed(store: Path, printed: Path) -> None:
    """Store what was printed because the receiver was down, as an auditor does from CloudWatch."""
    if printed.exists():
        answer = audit("load", "--dir", str(store), str(printed))
        assert answer.returncode == 0, answer.stderr
        print(f"loaded from what was printed: {answer.stdout}", end="")


def query(store: Path) -> list[str]:
    """Return the id of every decision in the store, repetitions included."""
    answer = audit("query", "--dir", str(store), "--format", "json", "--limit", "10000000")
    assert answer.returncode == 0, answer.stderr
    return [row["decision_id"] for row in json.loads(answer.stdout)]


def verify(store: Path, work: Path) -> subprocess.CompletedProcess[str]:
    """Verify the store."""
    key = work / "key"
    key.write_text(AUDIT_KEY)
    return audit("verify", "--dir", str(store), "--audit-key-file", str(key))


def judge(
    outcomes: list[Outcome],
    receiver: FaultyReceiver,
    stored: list[str],
    verified: subprocess.CompletedProcess[str],
) -> int:
    """Print what happened and return 1 when something is wrong."""
    counts = Counter(stored)
    answered = [decision for outcome in outcomes for decision in outcome.answered]
    happened: Counter[str] = sum((outcome.happened for outcome in outcomes), Counter())
    printed = set().union(*(outcome.printed for outcome in outcomes))
    missing = {decision for decision in answered if decision not in counts}
    tails: Counter[str] = Counter()
    unexplained = set(missing)
    for outcome in outcomes:
        gone = missing & outcome.tail
        if gone and outcome.excuse:
            tails[outcome.excuse] += len(gone)
            unexplained -= gone
            print(f"open tail: {outcome.name}, {outcome.strategy}, {outcome.excuse}:")
            print(f"  {' '.join(sorted(gone))}")
        elif lost := missing & set(outcome.answered):
            print(
                f"FAILED: {len(lost)} decisions, {len(gone)} of them in the spool, "
                f"{len(lost & outcome.printed)} printed; {outcome.name}, {outcome.strategy}; "
                f"{outcome.happened}"
            )
    twice = [decision for decision, count in counts.items() if count > 1]
    held_ms = sorted(ms for outcome in outcomes for ms in outcome.after_response_ms) or [0.0]
    print(f"environments {len(outcomes)}; " + "; ".join(f"{k} {n}" for k, n in happened.items()))
    print(
        "requests by mode of the receiver: "
        + ", ".join(f"{k} {n}" for k, n in receiver.seen.items())
    )
    print(
        f"decisions answered {len(answered)}, of them in the store {len(answered) - len(missing)}, "
        f"more than once {len(twice)}; in the store without having been answered "
        f"{len(counts.keys() - set(answered))}; printed at SHUTDOWN {len(printed)}"
    )
    for excuse, count in tails.items():
        print(f"open tails: {count} decisions, {excuse}")
    print(
        f"held back after the response: p50 {held_ms[len(held_ms) // 2]:.0f} ms, "
        f"p99 {held_ms[len(held_ms) * 99 // 100]:.0f} ms, most {held_ms[-1]:.0f} ms"
    )
    print(f"audit verify: status {verified.returncode}\n{verified.stdout}{verified.stderr}", end="")
    wrong = [
        f"{len(unexplained)} decisions are lost: {sorted(unexplained)[:5]}" if unexplained else "",
        f"{len(twice)} decisions are stored twice: {twice[:5]}" if twice else "",
        "the store cannot be verified" if verified.returncode else "",
        "an invocation was held back too long" if held_ms[-1] > MOST_AFTER_RESPONSE_MS else "",
        "nothing was decided" if not answered else "",
    ]
    for sentence in filter(None, wrong):
        print(f"FAILED: {sentence}")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
