"""What the layer adds to a cold start: Init of a function with and without it, and what it uses.

Functions in Python and in Node.js, whose own Init waits for 200 ms, as one does that opens
connections; the layer is the one in `build/` (`make layer`), its bundle is a file. Runs are
interleaved, OPA's start to ready as a sidecar among them, and medians compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks.contenders import Running, contenders, find_opa, free_port
from benchmarks.stage import stage
from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.emulator.settings import LambdaSettings

ROOT = Path(__file__).parent.parent
FUNCTIONS = {
    "Python": (
        "handler.py",
        "import time\ntime.sleep(0.2)\n\ndef handle(event, context):\n    return event\n",
    ),
    "Node.js": (
        "handler.mjs",
        "await new Promise((resolve) => setTimeout(resolve, 200));\n"
        "export const handle = async (event) => event;\n",
    ),
}
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    name = f"layer-python{VERSION}-{os.uname().machine}"
    parser.add_argument("--layer", type=Path, default=ROOT / "build" / name)
    arguments = parser.parse_args()
    if not (arguments.layer / "extensions").is_dir():
        sys.exit(f"{arguments.layer} is missing: run `make layer`")
    figures: dict[str, list[float]] = {}
    with stage() as ready:
        functions = write_functions(ready.work)
        for _ in range(arguments.rounds):
            for language, function in functions.items():
                without = asyncio.run(measure(function, None, {}))
                settings = configuration(ready.bundle)
                layered = asyncio.run(measure(function, arguments.layer, settings))
                note(figures, {f"{language}: Init without it, ms": without["init_ms"]})
                note(figures, {f"{language}: Init with it, ms": layered["init_ms"]})
                added_ms = layered["init_ms"] - without["init_ms"]
                note(figures, {f"{language}: added, ms": added_ms})
                note(figures, {"exec to register, ms": layered["register_ms"]})
                note(figures, {"agent's processor time, ms": layered["cpu_ms"]})
            note_opa(figures, ready.work, ready.bundle, ready.receiver_url)
    for figure, values in figures.items():
        low, *_, high = sorted(values)
        print(f"{figure:36}{statistics.median(values):8.1f}   ({low:.1f} to {high:.1f})")
    agent, opa = (
        statistics.median(figures[name])
        for name in ("agent's processor time, ms", "opa's processor time to ready, ms")
    )
    print(f"{'agent / opa, processor time':36}{agent / opa:8.2f}")
    return 0


def write_functions(work: Path) -> dict[str, Path]:
    """Write the functions that can run here and return their directories by language."""
    functions = {}
    for language, (name, source) in FUNCTIONS.items():
        if language == "Node.js" and shutil.which("node") is None:
            print("Node.js: no node on the PATH")
            continue
        functions[language] = work / f"function-{language.lower()}"
        functions[language].mkdir()
        (functions[language] / name).write_text(source)
    return functions


async def measure(
    function: Path, layer: Path | None, environment: dict[str, str]
) -> dict[str, float]:
    """Run one Init in a fresh environment and return how long it took, and the agent's share."""
    settings = LambdaSettings(
        function, "handler.handle", layer_dir=layer, environment=environment, freeze=False
    )
    async with LocalLambda(settings) as env:
        report = await env.init()
        assert report.failure is None, report.failure
        figures = {"init_ms": report.duration_ms, "register_ms": 0.0, "cpu_ms": 0.0}
        if layer is not None:
            [spawned] = env.events.of("spawn", "policy-agent")
            [registered] = env.events.of("register", "policy-agent")
            figures["register_ms"] = (registered.at_ns - spawned.at_ns) / 1e6
            figures["cpu_ms"] = cpu_ms(env.processes["policy-agent"].pid)
        return figures


def configuration(bundle: Path) -> dict[str, str]:
    """Return the agent's variables."""
    document = {
        "bundles": {"orders": {"resource": f"file://{bundle}"}},
        "decision_logs": {"console": True},
        "persistence_directory": str(bundle.parent / "state"),
    }
    return {
        "POLICY_AGENT_CONFIG": json.dumps(document),
        "POLICY_AGENT_ADDR": f"127.0.0.1:{free_port()}",
        "POLICY_AGENT_LOG_LEVEL": "error",
    }


def note_opa(figures: dict[str, list[float]], work: Path, bundle: Path, receiver: str) -> None:
    """Note the processor time that OPA uses until it is ready."""
    for rival in contenders(work, bundle, receiver, find_opa()):
        if rival.name == "opa":
            running = Running(rival, work)
            note(figures, {"opa's processor time to ready, ms": cpu_ms(running.pid)})
            running.stop()


def cpu_ms(pid: int) -> float:
    """Return the processor time that a process has used, to the nanosecond."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        nanoseconds += int((thread / "schedstat").read_text("ascii").split()[0])
    return nanoseconds / 1e6


def note(figures: dict[str, list[float]], values: dict[str, float]) -> None:
    """Add one value to each named figure."""
    for name, value in values.items():
        figures.setdefault(name, []).append(value)


if __name__ == "__main__":
    sys.exit(main())
