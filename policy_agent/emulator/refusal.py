"""An error answer of Lambda's APIs as a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that Lambda would refuse: HTTP status, `errorType` and `errorMessage`."""

    status: int
    error_type: str
    message: str
