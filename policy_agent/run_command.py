"""`policy-agent run`: the agent, under Lambda or on its own."""

from __future__ import annotations

import argparse
import os
import socket
from dataclasses import replace
from pathlib import Path

from policy_agent.config import default_config, parse_config, with_bundle_path
from policy_agent.config.source import read_document
from policy_agent.errors import ConfigError
from policy_agent.lifecycle import bootstrap
from policy_agent.logs import LEVELS, configure_logging


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare OPA's flags."""
    parser.add_argument(
        "-a", "--addr", default="localhost:8181", help="host:port to serve on (%(default)s)"
    )
    parser.add_argument("-c", "--config-file", help="OPA configuration file, YAML or JSON")
    parser.add_argument(
        "-b",
        "--bundle",
        action="append",
        default=[],
        metavar="PATH",
        help="a bundle archive or directory; may be repeated",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a setting of the configuration file; may be repeated",
    )
    parser.add_argument(
        "--v0-compatible",
        action="store_true",
        help="modules are Rego v0 where their bundle's manifest does not say otherwise",
    )
    parser.add_argument("-l", "--log-level", choices=LEVELS, default="info")


def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; with AWS_LAMBDA_RUNTIME_API set, be an extension until SHUTDOWN."""
    configure_logging(arguments.log_level)
    if bootstrap.API_VARIABLE in os.environ:
        return bootstrap.main("policy-agent")
    try:
        document = read_document(os.environ, arguments.config_file, arguments.set)
        config, problem = parse_config(document), ""
    except ConfigError as exc:
        config, problem = default_config(), f"configuration: {exc}"
    for path in arguments.bundle:
        config = with_bundle_path(config, Path(path))
    config = replace(config, rego_version=0 if arguments.v0_compatible else 1)
    listener = bootstrap.listen(arguments.addr)
    if listener is None:
        raise ConfigError([f"--addr: cannot listen on {arguments.addr}"])
    from policy_agent import sidecar

    return sidecar.run(config, problem, socket.socket(fileno=listener.detach()))
