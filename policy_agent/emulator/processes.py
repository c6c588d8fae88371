"""Start, stop, continue and kill the processes of one environment, each in its own group.

Linux only: a process's state is read from `/proc`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from policy_agent.emulator.output import LineReader
from policy_agent.errors import EmulatorError

LineSink = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Command:
    """What to execute, where, and with which whole environment."""

    argv: tuple[str, ...]
    cwd: Path
    environment: Mapping[str, str] = field(repr=False)


class Process:
    """One process that leads its own session and group; made by `spawn`."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, output: LineReader) -> None:
        self.name = name
        self._child = child
        self._output = output
        self._group_killed = False

    @classmethod
    async def spawn(cls, name: str, command: Command, on_line: LineSink) -> Process:
        """Execute `command`.

        Args:
            on_line: called with (name, text) for each line of standard output and error.

        Raises:
            EmulatorError: the file cannot be executed.
        """
        output, writer_fd = await LineReader.open(lambda line: on_line(name, line))
        try:
            child = await asyncio.create_subprocess_exec(
                *command.argv,
                cwd=command.cwd,
                env=dict(command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writer_fd,
                stderr=writer_fd,
                start_new_session=True,
            )
        except OSError as exc:
            await output.finish()
            msg = f"{command.argv[0]}: cannot be executed: {exc.strerror}"
            raise EmulatorError(msg) from exc
        finally:
            os.close(writer_fd)
        return cls(name, child, output)

    @property
    def pid(self) -> int:
        """Return the process id, which is also the id of its group."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return None while it runs; negative is the number of the signal that ended it."""
        return self._child.returncode

    @property
    def state(self) -> str:
        """Return the kernel's letter (proc(5)): `T` stopped, `S` sleeping; "" once it is gone."""
        try:
            # The command name before the state may itself contain parentheses.
            stat = Path(f"/proc/{self.pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return ""
        return stat.rpartition(")")[2].split()[0]

    @property
    def peak_memory_kib(self) -> int:
        """Return the largest resident size so far, 0 once it is gone."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text("utf-8", "replace")
        except OSError:
            return 0
        peak = status.partition("VmHWM:")[2].split(maxsplit=1)
        return int(peak[0]) if peak else 0

    async def wait(self) -> int:
        """Wait until it has exited, end what is left of its group, and return the exit code."""
        code = await self._child.wait()
        if not self._group_killed:
            self._group_killed = True
            self._signal(signal.SIGKILL)
            await self._output.finish()
        return code

    def freeze(self) -> None:
        """Stop the group."""
        self._signal_running(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue the group."""
        self._signal_running(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._signal_running(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the group at once, stopped or not."""
        self._signal_running(signal.SIGKILL)

    def _signal_running(self, number: signal.Signals) -> None:
        # Once the leader has been waited for its number may belong to somebody else.
        if self.exit_code is None:
            self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
