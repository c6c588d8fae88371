"""`policy-agent run`: the agent, under Lambda or on its own."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from policy_agent.config import Config, default_config, parse_config, with_bundle_path
from policy_agent.config.source import read_document
from policy_agent.errors import ConfigError
from policy_agent.lifecycle import bootstrap
from policy_agent.lifecycle.lean_imports import import_event_loop
from policy_agent.logs import LEVELS, configure_logging

if TYPE_CHECKING:
    from policy_agent.sidecar import Sidecar


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of OPA's `run --server`."""
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
    parser.add_argument("-s", "--server", action="store_true", help="the only mode")
    _configure_server(parser)
    _configure_tls(parser)


def _configure_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-a",
        "--addr",
        action="append",
        default=[],
        help="host:port or unix:///path to serve on (localhost:8181); may be repeated",
    )
    parser.add_argument(
        "--diagnostic-addr",
        action="append",
        default=[],
        metavar="ADDR",
        help="serve /health and /metrics alone here; may be repeated",
    )
    parser.add_argument(
        "--unix-socket-perm", default="755", metavar="MODE", help="of Unix sockets (%(default)s)"
    )
    parser.add_argument("--authentication", choices=("off", "token", "tls"), default="off")
    parser.add_argument("--authorization", choices=("off", "basic"), default="off")
    parser.add_argument(
        "--ready-timeout",
        type=int,
        default=0,
        metavar="SECONDS",
        help="listen once everything is ready, and end if it is not in time",
    )
    parser.add_argument(
        "--shutdown-grace-period", type=int, default=10, metavar="SECONDS", help="to ship in"
    )
    parser.add_argument(
        "--shutdown-wait-period",
        type=int,
        default=0,
        metavar="SECONDS",
        help="how long to serve on after SIGTERM",
    )


def _configure_tls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tls-cert-file", type=Path, metavar="PATH", help="certificate, PEM")
    parser.add_argument("--tls-private-key-file", type=Path, metavar="PATH", help="its key, PEM")
    parser.add_argument(
        "--tls-ca-cert-file", type=Path, metavar="PATH", help="who signs clients' certificates"
    )
    parser.add_argument(
        "--tls-cert-refresh-period",
        type=float,
        default=10,
        metavar="SECONDS",
        help="between looks at these files (%(default)s)",
    )
    parser.add_argument("--min-tls-version", choices=("1.0", "1.1", "1.2", "1.3"), default="1.2")


def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM; with AWS_LAMBDA_RUNTIME_API set, be an extension until SHUTDOWN."""
    configure_logging(arguments.log_level)
    if bootstrap.API_VARIABLE in os.environ:
        return bootstrap.main("policy-agent")
    if arguments.tls_cert_file is None:
        import_event_loop()
    config, problem = _config(arguments)
    # Late: under Lambda nothing may come before register.
    from policy_agent import sidecar

    return sidecar.run(config, problem, _sidecar(arguments))


def _config(arguments: argparse.Namespace) -> tuple[Config, str]:
    try:
        document = read_document(os.environ, arguments.config_file, arguments.set)
        config, problem = parse_config(document), ""
    except ConfigError as exc:
        config, problem = default_config(), f"configuration: {exc}"
    for path in arguments.bundle:
        config = with_bundle_path(config, Path(path))
    config = replace(config, rego_version=0 if arguments.v0_compatible else 1)
    return config, problem


def _sidecar(arguments: argparse.Namespace) -> Sidecar:
    from policy_agent.listening import open_listeners
    from policy_agent.sidecar import Sidecar

    certificate, key = arguments.tls_cert_file, arguments.tls_private_key_file
    if (certificate is None) != (key is None):
        raise ConfigError(["--tls-cert-file and --tls-private-key-file must be given together"])
    if arguments.authentication == "tls" and certificate is None:
        raise ConfigError(["--authentication=tls needs --tls-cert-file"])
    tls = None
    if certificate is not None:
        # Late: ssl is of no use to those who serve plainly.
        from policy_agent.server.tls import ServerTls, TlsFiles

        files = TlsFiles(
            certificate,
            key,
            arguments.tls_ca_cert_file,
            arguments.min_tls_version,
            requires_client=arguments.authentication == "tls",
        )
        tls = ServerTls(files)
    try:
        permissions = int(arguments.unix_socket_perm, 8)
    except ValueError as exc:
        raise ConfigError(["--unix-socket-perm: must be an octal number"]) from exc

    def listen(addresses: list[str]) -> list[str]:
        return [address for each in addresses for address in each.split(",")]

    return Sidecar(
        listeners=open_listeners(
            listen(arguments.addr) or ["localhost:8181"],
            has_certificate=tls is not None,
            unix_permissions=permissions,
        ),
        diagnostics=open_listeners(
            listen(arguments.diagnostic_addr),
            has_certificate=tls is not None,
            unix_permissions=permissions,
        ),
        tls=tls,
        tls_refresh_seconds=arguments.tls_cert_refresh_period,
        authentication=arguments.authentication,
        authorization=arguments.authorization,
        ready_timeout_seconds=arguments.ready_timeout,
        grace_seconds=arguments.shutdown_grace_period,
        wait_seconds=arguments.shutdown_wait_period,
    )
