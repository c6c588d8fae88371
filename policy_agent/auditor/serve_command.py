"""`policy-agent audit serve`: receive decision logs and store them."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.errors import AuditError

if TYPE_CHECKING:
    from policy_agent.auditor.collector import Collector

DEFAULT_ADDRESS = "127.0.0.1:8282"
DEFAULT_COMMIT_SECONDS = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--dir", type=Path, required=True, help="directory of the store; created when missing"
    )
    parser.add_argument(
        "--addr",
        default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help="where to listen; port 0 takes a free one (default %(default)s)",
    )
    parser.add_argument(
        "--token-file", type=Path, help="file with the bearer token that senders must show"
    )
    parser.add_argument(
        "--commit-seconds",
        type=float,
        default=DEFAULT_COMMIT_SECONDS,
        help="shortest time between two commits; longer makes fewer, larger files"
        " (default %(default)s)",
    )


def main(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then ingest what is pending.

    Raises:
        AuditError: it could not start, or could not ingest what was pending.
    """
    require_audit_extra()
    from policy_agent.auditor.collector import Collector

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    token = _read_token(arguments.token_file) if arguments.token_file else ""
    with listen(arguments.addr) as listener:
        collector = Collector(arguments.dir, commit_seconds=arguments.commit_seconds)
        with closing(collector):
            asyncio.run(_serve(listener, collector, token))
            if pending := collector.stats().pending:
                raise AuditError(f"{pending} events are still in the spool, for the next start")
    return 0


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise AuditError(f"cannot read --token-file {path}") from exc
    if not token:
        raise AuditError(f"--token-file {path} is empty")
    return token


def listen(address: str) -> socket.socket:
    """Return a socket that listens on `HOST:PORT`.

    Raises:
        AuditError: that is no address, or it cannot be had.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise AuditError(f"--addr {address!r} is not HOST:PORT")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family)
    except OSError as exc:
        raise AuditError(f"cannot listen on {address}: {exc.strerror}") from exc


async def _serve(listener: socket.socket, collector: Collector, token: str) -> None:
    import uvicorn

    from policy_agent.auditor.receiver import create_app

    class Server(uvicorn.Server):
        """uvicorn, except that it says where it listens and does not die of its signal."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            print(f"listening on {url_of(listener)}", file=sys.stderr, flush=True)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own raises the signal again at the end, which would cut the drain short.
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.handle_exit, number, None)
            yield

    loop = asyncio.get_running_loop()
    app = create_app(collector, token=token)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(collector.run())
        await Server(config).serve(sockets=[listener])
        collector.stop()


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
