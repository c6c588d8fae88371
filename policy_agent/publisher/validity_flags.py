"""The flags of `sign` and `build` that say how long a signature holds, and for which version.

Pure but for the clock. What they put into a signature OPA overlooks and policy-agent enforces.
"""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime
from typing import Final

from policy_agent.bundle.claims import MAX_VERSION
from policy_agent.model import JsonObject

_AGE: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])", re.ASCII)
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_validity_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that `validity_claims` reads."""
    parser.add_argument(
        "--expires",
        type=_moment,
        metavar="TIME",
        help="no use after this time: 2030-01-31T12:00:00Z, or 90d, 12h, 30m, 45s from now",
    )
    parser.add_argument(
        "--not-before", type=_moment, metavar="TIME", help="no use before this time"
    )
    parser.add_argument(
        "--version",
        type=_version,
        metavar="NUMBER",
        help="higher than in every release before: agents refuse to go back to a lower one",
    )


def validity_claims(arguments: argparse.Namespace) -> JsonObject:
    """Return the claims that the flags ask for."""
    claims = {
        "exp": arguments.expires,
        "nbf": arguments.not_before,
        "version": arguments.version,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _moment(text: str) -> int:
    if match := _AGE.fullmatch(text):
        return int(time.time()) + int(match[1]) * _UNIT_SECONDS[match[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"neither a time with its zone nor a duration: {text}")
    return int(moment.timestamp())


def _version(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MAX_VERSION)) or int(text) > MAX_VERSION:
        raise argparse.ArgumentTypeError(f"not a whole number below 2^63: {text}")
    return int(text)
