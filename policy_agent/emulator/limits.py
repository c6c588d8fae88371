"""Hold an environment to Lambda's limits of files, processes and memory.

Lambda developer guide, "Lambda quotas": 1,024 file descriptors, 1,024 processes and threads. Files
are limited for each process, by the kernel. Memory is looked at every 20 ms, and the largest
process killed when all of them together hold more than the function has, as the kernel does on
Lambda. That there are too many processes is only noted, as an event.

Linux only: `/proc` says what processes hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from policy_agent.emulator.events import EventLog
from policy_agent.emulator.processes import Process

MAX_OPEN_FILES = 1024
MAX_PROCESSES = 1024
LOOK_SECONDS = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def limit_files(pid: int) -> None:
    """Set the limit of a process that has just been started; its children inherit it."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


class Watch:
    """Looks at memory and processes until cancelled."""

    def __init__(
        self,
        processes: Callable[[], Mapping[str, Process]],
        memory_mb: int,
        events: EventLog,
    ) -> None:
        self._processes = processes
        self._limit_bytes = memory_mb << 20
        self._events = events
        self._had_many = False

    async def run(self) -> None:
        """Look and act, over and over."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Kill the largest process if they hold too much together."""
        held = {name: family(process.pid) for name, process in self._processes().items()}
        sizes = {pid: resident_bytes(pid) for pids in held.values() for pid in pids}
        if (size_bytes := sum(sizes.values())) > self._limit_bytes:
            largest = max(sizes, key=lambda pid: sizes[pid])
            [name] = [name for name, pids in held.items() if largest in pids]
            self._events.record("out_of_memory", name, size_bytes=size_bytes)
            with contextlib.suppress(ProcessLookupError):
                os.kill(largest, signal.SIGKILL)
        self._count(sizes)

    def _count(self, pids: Iterable[int]) -> None:
        count = sum(len(_tasks(pid)) for pid in pids)
        has_many = count > MAX_PROCESSES
        if has_many and not self._had_many:
            self._events.record("too_many_processes", count=count)
        self._had_many = has_many


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for member in found:
        found += _children(member)
    return found


def resident_bytes(pid: int) -> int:
    """Return what a process holds in memory, 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _children(pid: int) -> Iterator[int]:
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii")
            yield from map(int, children.split())


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
