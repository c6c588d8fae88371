"""`policy-agent serve-bundles`: serve built bundles over HTTP until told to stop."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from policy_agent.errors import ConfigError
from policy_agent.publisher.bundle_app import create_app
from policy_agent.publisher.bundle_store import BundleStore

DRAIN_SECONDS = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", type=Path, help="where the *.tar.gz files are")
    parser.add_argument(
        "--addr",
        default="127.0.0.1:8888",
        metavar="HOST:PORT",
        help="address to listen on; port 0 picks a free one (default %(default)s)",
    )
    parser.add_argument("--log-requests", action="store_true", help="log requests to stderr")


def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises:
        BundleError: the directory does not exist.
        ConfigError: the address cannot be listened on.
    """
    # uvicorn raises the signal again when it has stopped; being told to stop is no failure.
    signal.signal(signal.SIGTERM, _exit)
    app = create_app(BundleStore(arguments.directory))
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    if arguments.log_requests:
        logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    with _listen(arguments.addr) as listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"listening on http://{shown}:{port}", file=sys.stderr, flush=True)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=arguments.log_requests,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _exit(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _listen(address: str) -> socket.socket:
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError([f"--addr: must be HOST:PORT, not {address}"])
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family)
    except OSError as exc:
        raise ConfigError([f"--addr: cannot listen on {address}: {exc.strerror}"]) from exc
