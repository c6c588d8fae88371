"""Give an environment a `/tmp` of its own with a limit, which outlives resets as on Lambda.

A file system in memory is mounted once; each process sees it as `/tmp`, in a mount namespace of its
own. What the emulator itself keeps below the machine's `/tmp`, such as a function's directory in a
test, stays visible. Needs root.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from policy_agent.emulator.processes import Command
from policy_agent.errors import EmulatorError

MACHINE_TMP = Path("/tmp")  # noqa: S108 - it is what is replaced
_ENTER = """
store=$1; shift
while [ "$1" != -- ]; do mount --bind "$1" "$store$1" || exit 1; shift; done
shift
mount --rbind "$store/tmp" /tmp && exec "$@"
"""


class PrivateTmp:
    """One mounted file system."""

    def __init__(self, size_mb: int, visible: Iterable[Path]) -> None:
        """Mount it.

        Args:
            visible: directories that processes need although they lie below the machine's `/tmp`.

        Raises:
            EmulatorError: mounting is not allowed.
        """
        self._visible = [path for path in visible if path.is_relative_to(MACHINE_TMP)]
        self._store = Path(tempfile.mkdtemp(prefix="local-lambda-", dir="/var/tmp"))
        options = f"size={size_mb}m,mode=1777"
        self._run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._store))
        (self._store / "tmp").mkdir(mode=0o1777)
        (self._store / "tmp").chmod(0o1777)
        for path in self._visible:
            (self._store / path.relative_to("/")).mkdir(parents=True, exist_ok=True)

    def enter(self, command: Command) -> Command:
        """Return `command` as it is started with this `/tmp`."""
        words = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", _ENTER, "sh"]
        words += [str(self._store), *map(str, self._visible), "--"]
        return replace(command, argv=(*words, *command.argv))

    def close(self) -> None:
        """Unmount it; its files are gone."""
        self._run("umount", "--lazy", str(self._store))
        self._store.rmdir()

    def _run(self, *words: str) -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            msg = f"tmp_mb: a /tmp of its own needs root: {done.stderr.strip()}"
            raise EmulatorError(msg)
