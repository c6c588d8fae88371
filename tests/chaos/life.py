"""One execution environment from its first invocation to its end, with accidents on the way."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from policy_agent.decision_log.record import parse_lines
from policy_agent.emulator.sandbox import LocalLambda, LogLine
from policy_agent.emulator.settings import LambdaSettings
from policy_agent.errors import EmulatorError
from tests.chaos.receiver import FaultyReceiver
from tests.real_servers import free_port

ROOT = Path(__file__).parents[2]
FUNCTION = Path(__file__).parent / "function"
AUDIT_KEY = "chaos"
PRINTED = "printed"  # the file of a campaign with what agents printed at SHUTDOWN
TIMEOUT_SECONDS = 3.0
# Longer than the longest back-off and one invocation after it.
OUTAGE_SHADOW_SECONDS = 8.0
# Without -B a full disk would leave half of a module's byte code in the source tree.
_LAUNCHER = """#!/bin/sh
[ -n "$CHAOS_FILE_BLOCKS" ] && ulimit -f "$CHAOS_FILE_BLOCKS"
exec {python} -I -B -c '
import os, sys, time
sys.path.insert(0, "{root}")
wall, wall_ns = time.time, time.time_ns
def offset():
    try:
        with open(os.environ["CHAOS_CLOCK"]) as file:
            return float(file.read() or 0)
    except (OSError, ValueError):
        return 0.0
time.time = lambda: wall() + offset()
time.time_ns = lambda: wall_ns() + int(offset() * 1e9)
from policy_agent.lifecycle.bootstrap import main
sys.exit(main("policy-agent"))
'
"""


def make_layer(directory: Path) -> Path:
    """Make a layer that runs the agent from this source tree, with a clock that can be set."""
    (directory / "extensions").mkdir(parents=True)
    launcher = directory / "extensions" / "policy-agent"
    launcher.write_text(_LAUNCHER.format(python=sys.executable, root=ROOT))
    launcher.chmod(0o755)
    return directory


@dataclass
class Outcome:
    """What became of one environment.

    Attributes:
        name: of its folder.
        answered: decision ids that the function was given.
        tail: those among them that the environment took with it.
        printed: those that were printed at SHUTDOWN.
        excuse: why a tail had to be expected; "" when there is none.
        strategy: when it shipped.
        happened: what was done to it, and how often.
        after_response_ms: for how long each invocation was held back by the agent.
    """

    name: str
    answered: list[str] = field(default_factory=list)
    tail: set[str] = field(default_factory=set)
    printed: set[str] = field(default_factory=set)
    excuse: str = ""
    strategy: str = ""
    happened: Counter[str] = field(default_factory=Counter)
    after_response_ms: list[float] = field(default_factory=list)


class Life:
    """Draws everything from `chance`, so that a seed repeats the same accidents."""

    def __init__(
        self,
        folder: Path,
        layer: Path,
        bundle: Path,
        receiver: FaultyReceiver,
        chance: random.Random,
    ) -> None:
        self._folder = folder
        self._receiver = receiver
        self._chance = chance
        self._strategy = chance.choice(["end", "end", "end", "adaptive"])
        self._clock = folder / "clock"
        self._ledger = folder / "ledger"
        self._log = folder / "log"
        self._has_full_disk = chance.random() < 0.15
        self._last_was_cut = False
        self._outcome = Outcome(folder.name, strategy=self._strategy)
        folder.mkdir()
        document = {
            "services": {"store": {"url": f"http://127.0.0.1:{receiver.port}"}},
            "bundles": {"main": {"resource": f"file://{bundle}"}},
            "decision_logs": {
                "service": "store",
                "audit_key": AUDIT_KEY,
                "reporting": {
                    "min_delay_seconds": 1,
                    "max_delay_seconds": 1,
                    "strategy": self._strategy,
                    "upload_size_limit_bytes": chance.choice([2000, 32768]),
                },
            },
            "persistence_directory": str(folder / "tmp"),
        }
        self._settings = LambdaSettings(
            FUNCTION,
            "handler.handle",
            layer_dir=layer,
            environment={
                "POLICY_AGENT_CONFIG": json.dumps(document),
                "POLICY_AGENT_ADDR": f"127.0.0.1:{free_port()}",
                "CHAOS_LEDGER": str(self._ledger),
                "CHAOS_CLOCK": str(self._clock),
                "CHAOS_FILE_BLOCKS": "10" if self._has_full_disk else "",
            },
            timeout_seconds=TIMEOUT_SECONDS,
        )

    async def run(self, until: float) -> Outcome:
        """Live until an end is drawn, or the campaign's (monotonic)."""
        outcome = self._outcome
        async with LocalLambda(self._settings, on_log=self._read_line) as environment:
            for _ in range(self._chance.randint(5, 80)):
                if time.monotonic() > until:
                    break
                await self._invoke(environment)
            self._clock.unlink(missing_ok=True)
            if self._chance.random() < 0.5:
                outcome.happened["spin-down with SHUTDOWN"] += 1
                self._note("SHUTDOWN")
                await environment.shutdown()
            else:
                outcome.happened["destroyed without SHUTDOWN"] += 1
                outcome.excuse = self._excuse()
                self._note(f"DESTROYED {outcome.excuse}")
                await environment.destroy()
        self._count(environment)
        self._take_stock()
        return outcome

    def _count(self, environment: LocalLambda) -> None:
        """Note what was done to the environment's processes, and what the agent refused."""
        happened = self._outcome.happened
        for event in environment.events:
            if event.kind in ("freeze", "thaw", "shutdown"):
                happened[f"{event.kind} {event.detail.get('reason', '')}".strip()] += 1
        refused = self._ledger.with_suffix(".refused")
        if refused.exists():
            disk = "small" if self._has_full_disk else "large"
            happened[f"decision refused, {disk} disk"] = len(refused.read_text())

    def _take_stock(self) -> None:
        """Note what the function was given and what of it is still in the spool, and why."""
        outcome = self._outcome
        if self._ledger.exists():
            outcome.answered = self._ledger.read_text().split()
        waiting = set(waiting_ids(self._folder / "tmp" / "decision-logs"))
        outcome.tail = waiting & set(outcome.answered)
        if "spin-down with SHUTDOWN" in outcome.happened:
            outcome.tail -= outcome.printed
            if self._last_was_cut:
                outcome.excuse = "agent killed just before SHUTDOWN"

    async def _invoke(self, environment: LocalLambda) -> None:
        chance, happened = self._chance, self._outcome.happened
        if chance.random() < 0.05:
            self._clock.write_text(str(chance.choice([-7200, -5, -0.5, 0.5, 5, 7200])))
            happened["clock jump"] += 1
        elif self._clock.exists():
            self._clock.unlink()
        then = chance.choices(["return", "raise", "exit", "hang"], [94, 3, 2, 1])[0]
        happened[f"invocation, function: {then}"] += 1
        event = {
            "decisions": chance.randint(0, 4),
            "pad": chance.choice([10, 10, 400]),
            "then": then,
        }
        killer = None
        if chance.random() < 0.03:
            happened["agent killed while invoked"] += 1
            killer = asyncio.create_task(self._kill(environment, chance.uniform(0, 0.05)))
        invocation = await environment.invoke(event)
        completion = await invocation.completed()
        self._note(f"INVOCATION {then} {completion.status}")
        if killer is not None:
            await killer
        self._last_was_cut = completion.status not in ("success", "error")
        if not self._last_was_cut:
            self._outcome.after_response_ms.append(completion.post_runtime_extensions_ms)
        if chance.random() < 0.02:
            happened["agent killed while frozen"] += 1
            await self._kill(environment, 0)
        if chance.random() < 0.1:
            await asyncio.sleep(chance.uniform(0, 0.3))

    async def _kill(self, environment: LocalLambda, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        try:
            await environment.kill_extension("policy-agent")
        except EmulatorError:
            return  # it has gone by itself, or is only coming
        self._note("KILLED")
        self._last_was_cut = True

    def _excuse(self) -> str:
        if self._receiver.failed_within(OUTAGE_SHADOW_SECONDS):
            return "receiver down"
        if self._last_was_cut:
            return "agent or function killed just before"
        if self._has_full_disk:
            return "disk full"
        return "adaptive: shipping was not due yet" if self._strategy == "adaptive" else ""

    def _note(self, text: str) -> None:
        with self._log.open("a") as file:
            file.write(f"{time.time():.3f} {text}\n")

    def _read_line(self, line: LogLine) -> None:
        self._note(line.text)
        if '"msg":"Decision Log"' in line.text:
            self._outcome.printed.add(json.loads(line.text)["decision_id"])
            with (self._folder.parent / PRINTED).open("a") as file:
                file.write(line.text + "\n")


def waiting_ids(folder: Path) -> Iterator[str]:
    """Yield the decision ids in a spool that nobody has shipped."""
    for segment in folder.glob("*.log"):
        offset = segment.with_name(segment.name + ".offset")
        shipped = int(offset.read_bytes().split()[0]) if offset.exists() else 0
        records, _ = parse_lines(segment.read_bytes()[shipped:], shipped)
        for record in records:
            yield json.loads(record.event)["decision_id"]
