"""`policy-agent doctor`: say what would go wrong on Lambda, and what to do about it."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from policy_agent import codec
from policy_agent.doctor.finding import Finding, Level, report
from policy_agent.doctor.function_checks import read_settings, try_bundles
from policy_agent.doctor.layer_checks import check_layer, is_layer
from policy_agent.doctor.package import read_package

INIT_SECONDS = 5.0  # what the agent grants its bundles at Init


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("path", type=Path, help="a layer (zip or folder), or a function's folder")
    parser.add_argument("--architecture", choices=("x86_64", "aarch64"), default="")
    parser.add_argument("-c", "--config-file", help="the function's configuration file")
    parser.add_argument("--offline", action="store_true", help="do not try to fetch the bundles")
    parser.add_argument("-f", "--format", choices=("pretty", "json"), default="pretty")


def main(arguments: argparse.Namespace) -> int:
    """Print the findings; 1 when there is an error among them.

    Raises:
        DoctorError: the path cannot be read.
    """
    findings = _findings(arguments)
    if arguments.format == "json":
        body = {"findings": [finding.to_json() for finding in findings]}
        print(codec.indent_json(codec.encode_json(body)).decode())
    else:
        print(report(findings))
    return 1 if any(finding.level is Level.ERROR for finding in findings) else 0


def _findings(arguments: argparse.Namespace) -> list[Finding]:
    path: Path = arguments.path
    files = read_package(path)
    if is_layer(files):
        zip_bytes = 0 if path.is_dir() else path.stat().st_size
        return check_layer(files, zip_bytes, arguments.architecture)
    config, findings = read_settings(path, os.environ, arguments.config_file)
    if config is not None and config.bundles and not arguments.offline:
        findings += asyncio.run(try_bundles(config, INIT_SECONDS))
    return findings
