"""What every comparison needs: the sample bundle, and a receiver of decision logs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import AGENT

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a comparison runs.

    Attributes:
        work: a directory for its files, gone afterwards.
        receiver_url: takes decision logs.
    """

    work: Path
    bundle: Path
    receiver_url: str


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Build the sample bundle and run a receiver while the context is open."""
    with tempfile.TemporaryDirectory(prefix="policy-agent-bench-") as directory:
        work = Path(directory)
        bundle = work / "orders.tar.gz"
        source = str(ROOT / "bundles" / "orders")
        build = [*AGENT, "build", source, "--ignore", "*_test.rego", "-o", str(bundle)]
        subprocess.run([*build, "-r", "bench"], check=True)
        command = [sys.executable, "-m", "benchmarks.receiver"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as receiver:
            try:
                assert receiver.stdout is not None
                port = receiver.stdout.readline().strip()
                yield Stage(work, bundle, f"http://127.0.0.1:{port}")
            finally:
                receiver.terminate()
