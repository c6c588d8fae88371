"""How a bundle's status changes with what happens to it (OPA v1.22 v1/plugins/bundle/plugin.go).

Pure: a status and a moment in, the next status out. A bundle that arrives but cannot be read counts
as a failed request, one that can be read but not activated as a successful one, as in OPA.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from policy_agent.errors import BundleDownloadError, BundleError, PolicyError
from policy_agent.model import Bundle
from policy_agent.status import BundleStatus

_COMPILE_MESSAGE: Final = "error(s) occurred while compiling module(s)"


def requested(status: BundleStatus, at: datetime) -> BundleStatus:
    """Record that the source was asked."""
    return replace(status, last_request_at=at)


def unchanged(status: BundleStatus, at: datetime) -> BundleStatus:
    """Record that the active version is still the newest; an earlier failure is over."""
    return _cleared(replace(status, last_request_at=at, last_successful_request_at=at))


def downloaded(status: BundleStatus, at: datetime, bundle: Bundle) -> BundleStatus:
    """Record that a readable bundle arrived; whether it can be activated is not known yet."""
    return replace(
        status,
        last_request_at=at,
        last_successful_request_at=at,
        last_successful_download_at=at,
        bundle_type=bundle.kind,
    )


def activated(status: BundleStatus, at: datetime, bundle: Bundle) -> BundleStatus:
    """Record that `bundle` is the one that decides from now on."""
    return _cleared(
        replace(
            status,
            last_successful_activation_at=at,
            active_revision=bundle.manifest.revision,
            size_bytes=bundle.size_bytes,
            bundle_type=bundle.kind,
            loads=status.loads + 1,
        )
    )


def failed(status: BundleStatus, error: BundleError | PolicyError) -> BundleStatus:
    """Record why the last attempt came to nothing; what is active stays as it is."""
    is_policy = isinstance(error, PolicyError)
    return replace(
        status,
        code=BundleError.code,
        message=_COMPILE_MESSAGE if is_policy else str(error),
        http_code=error.http_code if isinstance(error, BundleDownloadError) else None,
        problems=tuple(error.problems) if isinstance(error, PolicyError) else (),
        failures=status.failures + 1,
    )


def still_failing(status: BundleStatus, before: BundleStatus) -> BundleStatus:
    """Record that what was activated does not end the failure that `before` tells of."""
    return replace(
        status,
        code=before.code,
        message=before.message,
        http_code=before.http_code,
        problems=before.problems,
    )


def _cleared(status: BundleStatus) -> BundleStatus:
    return replace(status, code="", message="", http_code=None, problems=())
