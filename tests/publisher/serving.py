"""Runs `policy-agent serve-bundles` as a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

COMMAND = "import sys; from policy_agent.cli import main; sys.exit(main())"


def publish(path: Path, content: bytes) -> None:
    """Put a file in place the way a publisher should: whole, or not at all."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "serve-bundles", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serve_bundles(directory: Path, *arguments: str) -> Iterator[str]:
    """Yield the base URL of a server for `directory`; it must stop cleanly afterwards."""
    process = start(str(directory), "--addr", "127.0.0.1:0", *arguments)
    with process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("listening on http://127.0.0.1:"), line
            yield line.split()[-1]
        finally:
            process.terminate()
        assert process.wait(timeout=10) == 0
