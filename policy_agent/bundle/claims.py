"""What a signature says beside a bundle's files: when it holds, and for which version.

Pure. OPA has none of it (`iat` and `iss` are not looked at); `exp` and `nbf` are those of RFC 7519,
section 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from policy_agent.errors import BundleVerificationError
from policy_agent.model import JsonObject
from policy_agent.number import Number
from policy_agent.status import rfc3339

MAX_VERSION: Final = (1 << 63) - 1  # what every reader of JSON can hold


class Vouched(Struct, frozen=True):
    """What the signatures of a bundle say beside its files.

    Attributes:
        key_ids: the keys that signed, none for a bundle without signature.
        version: only ever grows from one release to the next; None when nothing is said of it.
        expires_at: seconds since the epoch from which on it must not be used, None for never.
    """

    key_ids: tuple[str, ...] = ()
    version: int | None = None
    expires_at: float | None = None


def check_time(payload: JsonObject, now: float) -> None:
    """Refuse a signature that does not hold at `now`, seconds since the epoch.

    Raises:
        BundleVerificationError: it has expired, is not valid yet, or does not say so in numbers.
    """
    expires_at, begins_at = (_seconds(payload, name) for name in ("exp", "nbf"))
    if expires_at is not None and now >= expires_at:
        raise BundleVerificationError(f"the signature expired at {shown_time(expires_at)}")
    if begins_at is not None and now < begins_at:
        raise BundleVerificationError(f"the signature is not valid before {shown_time(begins_at)}")


def check_claims(payload: JsonObject) -> None:
    """Refuse claims that no agent would understand.

    Raises:
        BundleVerificationError: `exp` or `nbf` is no number, or `version` no whole number.
    """
    for name in ("exp", "nbf"):
        _seconds(payload, name)
    _version(payload)


def earliest(*moments: float | None) -> float | None:
    """Return the earliest of some moments, of which None is never."""
    return min((moment for moment in moments if moment is not None), default=None)


def shown_time(seconds: float) -> str:
    """Return seconds since the epoch in RFC 3339, as they are where no calendar reaches."""
    try:
        return rfc3339(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f}"


def _seconds(payload: JsonObject, name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Number):
        raise BundleVerificationError(f"{name} must be a number")
    try:
        return float(value)
    except OverflowError as exc:
        raise BundleVerificationError(f"{name} is out of range") from exc


def what_is_vouched(payloads: Mapping[str, JsonObject]) -> Vouched:
    """Return what signatures that hold say together.

    Args:
        payloads: key id -> payload.

    Raises:
        BundleVerificationError: they are not for the same version.
    """
    versions = {_version(payload) for payload in payloads.values()}
    if len(versions) != 1:
        raise BundleVerificationError("the signatures do not agree on a version")
    return Vouched(
        key_ids=tuple(payloads),
        version=versions.pop(),
        expires_at=earliest(*(_seconds(payload, "exp") for payload in payloads.values())),
    )


def _version(payload: JsonObject) -> int | None:
    version = payload.get("version")
    if version is None:
        return None
    if type(version) is not int or not 0 <= version <= MAX_VERSION:
        raise BundleVerificationError("version must be a whole number below 2^63")
    return version
