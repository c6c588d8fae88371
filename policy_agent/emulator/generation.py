"""One generation of processes, from spawn to kill: who runs, who waits in `next`, what failed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.extension_rules import MAX_EXTENSIONS, ExtensionState
from policy_agent.emulator.failure import Failure, exited
from policy_agent.emulator.invocation import Invocation
from policy_agent.emulator.limits import limit_files
from policy_agent.emulator.long_poll import LongPoll
from policy_agent.emulator.processes import Command, LineSink, Process
from policy_agent.errors import EmulatorError
from policy_agent.model import JsonObject

RUNTIME = "runtime"
STOP_SECONDS = 1.0  # a process in an uninterruptible system call stops after it
_STILL = ("T", "Z", "")


@dataclass(slots=True)
class Extension:
    """One extension.

    Attributes:
        external: a file of the layer; else it lives in the runtime process.
        process: None for an internal one, and until an external one has started.
    """

    name: str
    external: bool = False
    process: Process | None = None
    state: ExtensionState = ExtensionState.STARTED
    identifier: str = ""
    subscriptions: frozenset[str] = frozenset()
    poll: LongPoll[JsonObject] = field(default_factory=LongPoll)

    def register(self, subscriptions: frozenset[str]) -> str:
        """Give it an identifier and return that."""
        self.state = ExtensionState.REGISTERED
        self.subscriptions = subscriptions
        self.identifier = str(uuid.uuid4())
        return self.identifier

    def send(self, event: JsonObject) -> None:
        """Answer its `next`: with an invocation now, with SHUTDOWN also if it calls later."""
        shutdown = event["eventType"] == "SHUTDOWN"
        self.state = ExtensionState.SHUTTING_DOWN if shutdown else ExtensionState.RUNNING
        self.poll.deliver(event)


class RuntimeState(StrEnum):
    """Where the runtime stands."""

    STARTED = "Started"
    SNAPSHOT = "Snapshot"
    RESTORING = "Restoring"
    READY = "Ready"
    RUNNING = "Running"
    ANSWERED = "Answered"


@dataclass(slots=True)
class Runtime:
    """The runtime's side of the Runtime API."""

    process: Process | None = None
    state: RuntimeState = RuntimeState.STARTED
    invocation: Invocation | None = None
    poll: LongPoll[Invocation] = field(default_factory=LongPoll)
    restore_poll: LongPoll[bool] = field(default_factory=LongPoll)

    def restore(self) -> None:
        """Answer its `restore/next`: it is a copy of the snapshot now."""
        self.state = RuntimeState.RESTORING
        self.restore_poll.deliver(True)

    def send(self, invocation: Invocation) -> None:
        """Answer its `next`."""
        self.state = RuntimeState.RUNNING
        self.invocation = invocation
        self.poll.deliver(invocation)


class Generation:
    """The processes between two resets, and what they told the APIs.

    Attributes:
        failure: the first thing that went wrong; nothing but a reset helps after it.
        registration_closed: the runtime is initialized, so no internal extension may come.
        initialized: Init is over.
        ending: processes are meant to exit now.
    """

    def __init__(
        self, runtime: Command, extensions: Mapping[str, Command], events: EventLog, sink: LineSink
    ) -> None:
        self.extensions: dict[str, Extension] = {}
        self.runtime = Runtime()
        self.failure: Failure | None = None
        self.registration_closed = False
        self.initialized = False
        self.ending = False
        self._runtime_command = runtime
        self._extension_commands = extensions
        self._events = events
        self._sink = sink
        self._changed = asyncio.Event()
        self._started: list[Process] = []
        self._watchers: list[asyncio.Task[None]] = []

    async def start_extensions(self) -> None:
        """Start every extension; one that cannot be executed fails the generation."""
        if len(self._extension_commands) > MAX_EXTENSIONS:
            message = f"Extension limit ({MAX_EXTENSIONS}) reached"
            self.fail(Failure("Extension.TooManyExtensions", message))
        self.extensions = {
            name: Extension(name, external=True) for name in self._extension_commands
        }
        for name, command in self._extension_commands.items():
            if self.failure is not None:
                return
            extension = self.extensions[name]
            try:
                extension.process = await self._spawn(name, command)
            except EmulatorError as exc:
                extension.state = ExtensionState.LAUNCH_ERROR
                self.fail(Failure("Extension.LaunchError", str(exc)))

    async def start_runtime(self) -> None:
        """Start the runtime.

        Raises:
            EmulatorError: the interpreter cannot be executed.
        """
        if self.failure is None:
            self.runtime.process = await self._spawn(RUNTIME, self._runtime_command)

    async def until(
        self, reached: Callable[[], bool], deadline: float, too_late: Failure
    ) -> Failure | None:
        """Wait for a state.

        Args:
            deadline: on the loop's clock.
            too_late: becomes the generation's failure at the deadline.

        Returns:
            None when it was reached, else the generation's failure.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self.until_changed(reached)
        except TimeoutError:
            self.fail(too_late)
        return self.failure

    async def until_changed(self, reached: Callable[[], bool]) -> None:
        """Wait until the state is reached or the generation has failed."""
        while self.failure is None and not reached():
            await self._change()

    async def until_exited(self, processes: list[Process], deadline: float | None = None) -> None:
        """Wait until the processes have exited, at most until `deadline` on the loop's clock."""
        try:
            async with asyncio.timeout_at(deadline):
                while any(process.exit_code is None for process in processes):
                    await self._change()
        except TimeoutError:
            pass

    def notify(self) -> None:
        """Let those who wait look at the state again."""
        self._changed.set()

    def fail(self, failure: Failure) -> None:
        """Record what went wrong, unless something did before."""
        self.failure = self.failure or failure
        self.notify()

    def registered(self) -> bool:
        """Whether every extension has registered."""
        return all(ext.state is not ExtensionState.STARTED for ext in self.extensions.values())

    def runtime_ready(self) -> bool:
        """Whether the runtime waits in `next`."""
        return self.runtime.state is RuntimeState.READY

    def runtime_awaits_restore(self) -> bool:
        """Whether the runtime is ready to be made a snapshot of."""
        return self.runtime.state is RuntimeState.SNAPSHOT

    def extensions_ready(self) -> bool:
        """Whether every extension that was given something to do waits in `next` again."""
        idle = (ExtensionState.READY, ExtensionState.SHUTTING_DOWN)
        return all(ext.state in idle for ext in self.extensions.values())

    def by_identifier(self, identifier: str) -> Extension | None:
        """Return the extension that was given this identifier."""
        for extension in self.extensions.values():
            if extension.identifier == identifier:
                return extension
        return None

    @property
    def processes(self) -> dict[str, Process]:
        """Return the processes that run, the runtime as `runtime`."""
        started = {
            RUNTIME: self.runtime.process,
            **{name: extension.process for name, extension in self.extensions.items()},
        }
        return {name: p for name, p in started.items() if p is not None and p.exit_code is None}

    @property
    def peak_memory_kib(self) -> int:
        """Return the sum of the processes' largest resident sizes."""
        return sum(process.peak_memory_kib for process in self._started)

    async def freeze(self) -> None:
        """Stop every process and wait until the kernel has done it."""
        for process in self._started:
            process.freeze()
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        while any(process.state not in _STILL for process in self._started):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.0005)

    def thaw(self) -> None:
        """Continue every process."""
        for process in self._started:
            process.thaw()

    async def kill(self) -> None:
        """Kill every process, frozen or not, and wait until they are gone."""
        self.ending = True
        for process in self._started:
            process.kill()
        if self._watchers:
            await asyncio.wait(self._watchers)
        for extension in self.extensions.values():
            extension.poll.close()
        self.runtime.poll.close()
        self.runtime.restore_poll.close()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _spawn(self, name: str, command: Command) -> Process:
        self._events.record("spawn", name)
        process = await Process.spawn(name, command, self._sink)
        limit_files(process.pid)
        self._started.append(process)
        self._watchers.append(asyncio.create_task(self._watch(process)))
        return process

    async def _watch(self, process: Process) -> None:
        code = await process.wait()
        self._events.record("exit", process.name, pid=process.pid, code=code)
        extension = self.extensions.get(process.name)
        if extension is not None and extension.process is process:
            extension.state = ExtensionState.EXITED
        if not self.ending:
            is_runtime = process is self.runtime.process
            error_type = "Runtime.ExitError" if is_runtime else "Extension.Crash"
            self.fail(Failure(error_type, exited(process.name, code)))
        self.notify()
