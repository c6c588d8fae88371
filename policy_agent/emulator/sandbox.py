"""A local Lambda execution environment: one function, its extensions, one invocation at a time.

    async with LocalLambda(LambdaSettings(function_dir, "app.handler", layer_dir=layer)) as env:
        invocation = await env.invoke({"n": 1})
        invocation.response, invocation.function_error
        (await invocation.completed()).post_runtime_extensions_ms
        report = await env.shutdown()

Stopping by SIGSTOP is only a model of the freeze: the kernel still answers on stopped processes'
sockets, unless they go through a relay (`relay`). `/tmp` is this machine's without `tmp_mb`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.routing import Route

from policy_agent.codec import encode_json
from policy_agent.emulator import preflight
from policy_agent.emulator.credentials_api import CredentialsApi
from policy_agent.emulator.environment import (
    extension_environment,
    function_environment,
    static_credentials,
    with_credentials_at,
)
from policy_agent.emulator.events import EventLog
from policy_agent.emulator.extensions_api import ExtensionsApi
from policy_agent.emulator.generation import RUNTIME, Generation
from policy_agent.emulator.http_server import ApiServer
from policy_agent.emulator.invocation import Completion, Invocation
from policy_agent.emulator.lifecycle import Lifecycle
from policy_agent.emulator.limits import Watch
from policy_agent.emulator.phases import InitReport
from policy_agent.emulator.private_tmp import PrivateTmp
from policy_agent.emulator.processes import Command, Process
from policy_agent.emulator.runtime_api import RuntimeApi
from policy_agent.emulator.runtimes import other_runtime, other_variables
from policy_agent.emulator.settings import SNAP_START, LambdaSettings
from policy_agent.emulator.shutdown import ShutdownReport
from policy_agent.emulator.telemetry import TelemetryHub
from policy_agent.emulator.telemetry_api import TelemetryApi
from policy_agent.errors import EmulatorError

MAX_LOG_LINES = 10_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that the runtime or an extension wrote to standard output or error."""

    source: str
    text: str


class LocalLambda:
    """One execution environment; enter it as an asynchronous context manager.

    Leaving it kills whatever still runs, without SHUTDOWN.

    Attributes:
        events: every API call and lifecycle step.
        logs: the last lines of output of all processes.
    """

    def __init__(
        self, settings: LambdaSettings, *, on_log: Callable[[LogLine], None] | None = None
    ) -> None:
        layer = settings.layer_dir
        self._settings = replace(
            settings,
            function_dir=settings.function_dir.absolute(),
            layer_dir=None if layer is None else layer.absolute(),
        )
        self.events = EventLog()
        self.logs: deque[LogLine] = deque(maxlen=MAX_LOG_LINES)
        self._on_log = on_log
        self._hub = TelemetryHub(
            self.events,
            lost=settings.lost_telemetry,
            late_seconds=settings.telemetry_late_seconds,
        )
        self._lifecycle = Lifecycle(self._settings, self._hub, self.events, self._new_generation)
        self._credentials = CredentialsApi(static_credentials(settings), self.events)
        self._turn = asyncio.Lock()
        self._in_line = 0
        self._closed = False
        self._drivers: set[asyncio.Task[Completion]] = set()
        self._commands: tuple[Command, dict[str, Command]]
        self._server: ApiServer
        self._watching: asyncio.Task[None]
        self._tmp: PrivateTmp | None = None

    async def __aenter__(self) -> Self:
        """Check what was given and open the APIs; Init comes with the first invocation.

        Raises:
            EmulatorError: the function, its handler, awslambdaric or the layer is missing.
        """
        settings = self._settings
        other = other_runtime(settings)
        preflight.check_files(settings, is_python=other is None)
        files = preflight.extension_files(settings)
        version = ""
        if other is None:
            probe = function_environment(settings, api_address="", python_version="")
            version = await preflight.python_version(settings, probe)
        self._server = ApiServer(settings.api_host, self._routes())
        if settings.tmp_mb is not None:
            self._tmp = PrivateTmp(settings.tmp_mb, _needed_folders(settings))
        self._commands = self._shape_commands(files, version, other)
        self._server.start()
        self._watching = asyncio.create_task(
            Watch(lambda: self.processes, settings.memory_mb, self.events).run()
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.destroy()
        finally:
            self._watching.cancel()
            await self._server.close()
            if self._tmp is not None:
                self._tmp.close()

    @property
    def api_address(self) -> str:
        """Return `host:port` of the APIs."""
        return self._server.address

    @property
    def inits(self) -> Sequence[InitReport]:
        """Return every Init so far, oldest first."""
        return self._lifecycle.inits

    @property
    def init_ms(self) -> float:
        """Return how long the latest Init took, 0 before the first."""
        return self.inits[-1].duration_ms if self.inits else 0.0

    @property
    def shutdowns(self) -> Sequence[ShutdownReport]:
        """Return every reset and the spin-down, oldest first."""
        return self._lifecycle.shutdowns

    @property
    def processes(self) -> dict[str, Process]:
        """Return the processes that run: extensions by name, the runtime as `runtime`."""
        generation = self._lifecycle.generation
        return {} if generation is None else generation.processes

    async def init(self) -> InitReport:
        """Run the Init phase now, unless it has been run; a failed one is not an exception.

        Raises:
            EmulatorError: the environment has been shut down.
        """
        async with self._turn:
            self._check_open()
            if not self.inits:
                await self._lifecycle.first_init()
                await self._rest()
            return self.inits[0]

    async def invoke(self, payload: Any, *, trace_id: str | None = None) -> Invocation:
        """Invoke the function and return once it has answered.

        Extensions may still be at work then: see `Invocation.completed`. Invocations that come
        meanwhile wait in line.

        Args:
            payload: a JSON value, or bytes that are JSON already.

        Raises:
            EmulatorError: the environment has been shut down.
        """
        self._check_open()
        body = payload if isinstance(payload, bytes) else encode_json(payload)
        invocation = Invocation(body, trace_id)
        self._in_line += 1
        driver = asyncio.create_task(self._drive(invocation))
        self._drivers.add(driver)
        driver.add_done_callback(self._drivers.discard)
        await invocation.run(driver)
        return invocation

    async def shutdown(self) -> ShutdownReport:
        """Spin the environment down as Lambda does after a time without invocations.

        Raises:
            EmulatorError: the environment has been shut down already.
        """
        async with self._turn:
            self._check_open()
            self._closed = True
            return await self._lifecycle.spin_down()

    async def destroy(self) -> None:
        """Kill every process, frozen or not, without SHUTDOWN; harmless when none runs."""
        self._closed = True
        await self._lifecycle.abort()
        async with self._turn:
            await self._lifecycle.bury()

    async def kill_extension(self, name: str) -> None:
        """Kill one extension (SIGKILL) and wait until that has been noticed.

        Raises:
            EmulatorError: no extension of this name runs.
        """
        if name == RUNTIME:
            msg = f"{name}: is no extension"
            raise EmulatorError(msg)
        await self._kill(name)

    async def kill_runtime(self) -> None:
        """Kill the runtime (SIGKILL) and wait until that has been noticed.

        Raises:
            EmulatorError: it does not run.
        """
        await self._kill(RUNTIME)

    async def _kill(self, name: str) -> None:
        generation = self._lifecycle.generation
        process = self.processes.get(name)
        if generation is None or process is None:
            msg = f"{name}: no such process runs"
            raise EmulatorError(msg)
        process.kill()
        await generation.until_exited([process])

    async def _drive(self, invocation: Invocation) -> Completion:
        async with self._turn:
            self._in_line -= 1
            init = None if self.inits else await self._lifecycle.first_init()
            completion = await self._lifecycle.serve(invocation, init)
            await self._rest()
            return completion

    async def _rest(self) -> None:
        # As on Lambda, an environment with the next event at the door is not frozen.
        if not self._in_line:
            await self._lifecycle.rest()

    def _check_open(self) -> None:
        if self._closed:
            msg = "the environment has been shut down"
            raise EmulatorError(msg)

    def _new_generation(self) -> Generation:
        runtime, extensions = self._commands
        return Generation(runtime, extensions, self.events, self._take_line)

    def _take_line(self, source: str, text: str) -> None:
        line = LogLine(source, text)
        self.logs.append(line)
        self._hub.emit("function" if source == RUNTIME else "extension", text)
        if self._on_log is not None:
            self._on_log(line)

    def _generation(self) -> Generation | None:
        return self._lifecycle.generation

    def _runtime_routes(self) -> list[Route]:
        return RuntimeApi(self._generation, self._settings, self.events).routes()

    def _routes(self) -> list[Route]:
        current = self._generation
        return [
            *self._runtime_routes(),
            *ExtensionsApi(current, self._settings, self.events).routes(),
            *self._credentials.routes(),
            *TelemetryApi(current, self._hub, self._settings, self.events).routes(),
        ]

    def _shape_commands(
        self, files: Sequence[Path], python_version: str, other: tuple[str, ...] | None
    ) -> tuple[Command, dict[str, Command]]:
        settings = self._settings
        own = function_environment(
            settings, api_address=self._server.address, python_version=python_version
        )
        if settings.initialization_type == SNAP_START:
            own = with_credentials_at(own, self._credentials.variables(self._server.address))
        argv = other or (settings.python, "-B", "-m", "awslambdaric", settings.handler)
        if other is not None:
            own |= other_variables(other, settings)
        theirs = extension_environment(own, settings)
        extensions = {path.name: Command((str(path),), Path("/"), theirs) for path in files}
        runtime = Command(argv, settings.function_dir, own)
        if self._tmp is not None:
            enter = self._tmp.enter
            return enter(runtime), {name: enter(each) for name, each in extensions.items()}
        return runtime, extensions


def _needed_folders(settings: LambdaSettings) -> list[Path]:
    """Return what processes read, wherever it lies."""
    # Not resolved: a virtual environment's interpreter is a link out of it.
    interpreter = Path(settings.python).absolute().parent.parent
    layer = [] if settings.layer_dir is None else [settings.layer_dir]
    return [settings.function_dir, *layer, interpreter]
