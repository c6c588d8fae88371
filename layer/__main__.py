"""Build a Lambda layer: `dist/policy-agent-layer-<python>-<architecture>.zip`.

A layer named after a Python version is for functions on that runtime. A standalone layer carries
its own interpreter and runs beside any runtime.
"""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
from pathlib import Path

from layer.archive import write_zip
from layer.debian_python import DebianPython
from layer.tree import build_tree
from policy_agent.doctor.finding import Level, report
from policy_agent.doctor.layer_checks import check_layer
from policy_agent.doctor.package import read_package

ROOT = Path(__file__).parent.parent
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Build the unpacked layer in `build/`, then zip it."""
    arguments = parse_arguments()
    architecture, build = arguments.architecture, ROOT / "build"
    name = f"standalone-{architecture}"
    carried = None
    if arguments.standalone:
        carried = DebianPython(architecture, build)
        compiler = DebianPython(platform.machine(), build).command
        version = carried.version
    else:
        version = arguments.python
        name = f"python{version}-{architecture}"
        compiler = [installed_python(version)]
    tree = build / f"layer-{name}"
    shutil.rmtree(tree, ignore_errors=True)
    build_tree(tree, architecture, version, compiler, carried)
    archive = arguments.output / f"policy-agent-layer-{name}.zip"
    write_zip(tree, archive)
    findings = check_layer(read_package(archive), archive.stat().st_size, architecture)
    print(f"{archive}\n{report(findings)}")
    if any(finding.level is Level.ERROR for finding in findings):
        sys.exit(1)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m layer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--architecture", choices=("x86_64", "aarch64"), default="x86_64")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--python",
        default=THIS_PYTHON,
        metavar="X.Y",
        help="the function's runtime (default %(default)s)",
    )
    kind.add_argument(
        "--standalone",
        action="store_true",
        help="carry an interpreter, from the Debian packages that apt offers on this machine",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR")
    return parser.parse_args()


def installed_python(version: str) -> str:
    """Return the interpreter of that version, which compiles the layer's byte code."""
    command = shutil.which(f"python{version}")
    if command is None:
        sys.exit(f"python{version} must be on the PATH: it compiles the layer's byte code")
    return command


if __name__ == "__main__":
    main()
