"""Durations on the command line.

Pure.
"""

from __future__ import annotations

import argparse
import re
from typing import Final

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?", re.ASCII)
_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, None: 1}


def positive_seconds(text: str) -> float:
    """Return the seconds that `500ms`, `5s`, `1m` or a mere number say.

    Raises:
        argparse.ArgumentTypeError: it is no duration, or none at all.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"not a positive duration: {text}")
    return float(match[1]) * _UNIT_SECONDS[match[2]]
