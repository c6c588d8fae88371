"""`policy-agent local`: run a function with its extensions on this machine, event by event."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from policy_agent.codec import decode_json
from policy_agent.emulator.invocation import Completion, Invocation
from policy_agent.emulator.sandbox import LocalLambda, LogLine
from policy_agent.emulator.scenario import Scenario, Step, parse_scenario
from policy_agent.emulator.settings import LambdaSettings
from policy_agent.errors import DocumentError, EmulatorError


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--function", required=True, type=Path, help="the function's directory")
    parser.add_argument("--handler", required=True, help="module.function")
    parser.add_argument("--layer", type=Path, help="an unpacked layer with extensions/")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the function; may be repeated",
    )
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds (default 3)")
    parser.add_argument(
        "--no-freeze", action="store_true", help="let processes run between invocations"
    )
    parser.add_argument(
        "--telemetry",
        choices=("deliver", "refuse"),
        default="deliver",
        help="refuse: answer that telemetry is not supported, as AWS's emulator does",
    )
    parser.add_argument(
        "--scenario", type=Path, metavar="FILE", help="steps to take instead of events (YAML)"
    )
    parser.add_argument(
        "--event-log", type=Path, metavar="FILE", help="write every call and step to this file"
    )
    parser.add_argument(
        "events",
        nargs="*",
        type=Path,
        metavar="EVENT.json",
        help="one invocation each; without any, each line of standard input is an event",
    )


def main(arguments: argparse.Namespace) -> int:
    """Invoke once per event, then spin down; 1 when a function error occurred.

    With a scenario, 1 when something was not as it expects.

    Answers go to standard output, one line each; logs and reports to standard error.

    Raises:
        EmulatorError: an argument, an event or the function cannot be used.
    """
    settings = LambdaSettings(
        function_dir=arguments.function,
        handler=arguments.handler,
        layer_dir=arguments.layer,
        environment=_variables(arguments.env),
        timeout_seconds=arguments.timeout,
        freeze=not arguments.no_freeze,
        telemetry=arguments.telemetry,
    )
    is_scripted = arguments.scenario is not None
    steps = _steps(arguments.scenario) if is_scripted else _events(arguments.events)
    environments: list[LocalLambda] = []
    try:
        return asyncio.run(_run(settings, steps, environments, is_scripted=is_scripted))
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    finally:
        if arguments.event_log is not None:
            texts = [each.events.to_text() for each in environments]
            arguments.event_log.write_text("\n".join(texts) + "\n", "utf-8")


async def _run(
    settings: LambdaSettings,
    steps: list[Step],
    environments: list[LocalLambda],
    *,
    is_scripted: bool,
) -> int:
    # Without this SIGTERM would leave frozen processes behind.
    task = cast("asyncio.Task[int]", asyncio.current_task())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    failed = False

    def new_environment() -> LocalLambda:
        environments.append(LocalLambda(settings, on_log=_print_log))
        return environments[-1]

    def tell(
        environment: LocalLambda, invocation: Invocation, completion: Completion, is_cold: bool
    ) -> None:
        nonlocal failed
        print(invocation.response_body.decode("utf-8", "replace"), flush=True)
        init_ms = environment.init_ms if is_cold else None
        print(_report_line(invocation, completion, init_ms), file=sys.stderr, flush=True)
        failed = failed or completion.status != "success"

    problems = await Scenario(new_environment, tell).run(steps)
    for problem in problems:
        print(problem, file=sys.stderr)
    # In a scenario a failure may be what is expected.
    return int(bool(problems) if is_scripted else failed)


def _print_log(line: LogLine) -> None:
    print(f"[{line.source}] {line.text}", file=sys.stderr, flush=True)


def _report_line(invocation: Invocation, completion: Completion, init_ms: float | None) -> str:
    parts = [
        f"REPORT RequestId: {invocation.request_id}",
        f"Duration: {completion.total_ms:.2f} ms",
        f"Billed Duration: {completion.billed_ms} ms",
        f"Post Runtime: {completion.post_runtime_extensions_ms:.2f} ms",
    ]
    if init_ms is not None:
        parts.append(f"Init Duration: {init_ms:.2f} ms")
    if completion.status != "success":
        parts.append(f"Status: {completion.status}\tError Type: {completion.error_type}")
    return "\t".join(parts)


def _variables(assignments: Sequence[str]) -> dict[str, str]:
    variables = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            msg = f"--env {name}: must be NAME=VALUE"
            raise EmulatorError(msg)
        variables[name] = value
    return variables


def _steps(file: Path) -> list[Step]:
    return parse_scenario(_read(file).decode("utf-8", "replace"), str(file))


def _events(files: Sequence[Path]) -> list[Step]:
    if files:
        events = [_checked(_read(path), str(path)) for path in files]
    else:
        lines = sys.stdin.buffer.read().splitlines()
        events = [
            _checked(line, f"standard input line {number}")
            for number, line in enumerate(lines, 1)
            if line.strip()
        ]
    return [Step(number, "invoke", event) for number, event in enumerate(events, 1)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        msg = f"{path}: cannot be read: {exc.strerror}"
        raise EmulatorError(msg) from exc


def _checked(raw: bytes, source: str) -> bytes:
    try:
        decode_json(raw)
    except DocumentError as exc:
        msg = f"{source}: {exc}"
        raise EmulatorError(msg) from exc
    return raw
