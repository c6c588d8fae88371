"""`policy-agent demo`: show the whole story on this machine."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import tempfile
import time
from pathlib import Path

from policy_agent.demo.stage import project_root, unzip_layer
from policy_agent.demo.story import Story


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--layer", type=Path, help="the layer's zip (default: the one in dist/)")


def main(arguments: argparse.Namespace) -> int:
    """Play the demo; 0 only when function and store agree on every decision.

    Raises:
        EmulatorError: the layer has not been built, or a process could not be started.
    """
    root = project_root()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"policy-agent-layer-python{version}-{platform.machine()}.zip"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="policy-agent-demo-") as directory:
        work = Path(directory)
        unzip_layer(arguments.layer or root / "dist" / name, work / "opt")

        def say(line: str) -> None:
            print(f"{time.monotonic() - started:5.1f}s  {line}", flush=True)

        count = asyncio.run(Story(root, work, work / "opt", say).play())
    print(f"demo: {'ok' if count.agrees else 'FAILED'} {count}")
    return 0 if count.agrees else 1
