"""`policy-agent audit web`: show decisions and their proof as pages, to people on this machine."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

from policy_agent.auditor.extra import require_audit_extra
from policy_agent.auditor.key_files import add_key_files, read_key_files
from policy_agent.auditor.serve_command import listen, url_of

DEFAULT_ADDRESS = "127.0.0.1:8383"
_LOCAL_NAMES = ("localhost", "127.0.0.1")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dir", type=Path, required=True, help="directory of `audit serve`")
    parser.add_argument(
        "--addr",
        default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help="where to listen; whoever can reach it can read every decision (default %(default)s)",
    )
    parser.add_argument(
        "--host-name",
        action="append",
        default=[],
        help="a name that browsers may use, such as a proxy's, beside localhost; may be repeated",
    )
    add_key_files(parser)


def main(arguments: argparse.Namespace) -> int:
    """Show pages until SIGTERM or SIGINT.

    Raises:
        AuditError: there is no store, or it could not listen.
    """
    require_audit_extra()
    import uvicorn

    from policy_agent.auditor.store import AuditStore
    from policy_agent.auditor.web.pages import create_app

    keys = read_key_files(arguments)
    AuditStore(arguments.dir).close()  # a wrong directory is told now, not on the first page
    with listen(arguments.addr) as listener:
        host = arguments.addr.rpartition(":")[0]
        app = create_app(arguments.dir, keys, [*_LOCAL_NAMES, host, *arguments.host_name])
        config = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, server_header=False
        )
        print(f"listening on {url_of(listener)}", file=sys.stderr, flush=True)
        with suppress(KeyboardInterrupt):  # which uvicorn raises again when it has ended
            uvicorn.Server(config).run(sockets=[listener])
    return 0
