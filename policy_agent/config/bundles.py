"""Which bundles there are, where each comes from, and what it must satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from policy_agent.config.delays import Delays, read_delays
from policy_agent.config.keys import Key
from policy_agent.config.section import Section
from policy_agent.config.services import Service, chosen_service

DEFAULT_BUNDLE_LIMIT_BYTES: Final = 1 << 30  # OPA v1/bundle DefaultSizeLimitBytes
DEFAULT_POLLING: Final = Delays(60, 120)
FILE_SCHEME: Final = "file://"


class Signing(Struct, frozen=True):
    """What a bundle's signatures must satisfy.

    Attributes:
        key_ids: of the keys that may sign; none for all that are configured.
        threshold: how many signatures by different keys there must be.
        required: False accepts a bundle without signature; one that is there must hold all the
            same.
        allow_unsigned_deltas: whether a delta bundle may be without signature.
    """

    key_ids: tuple[str, ...] = ()
    scope: str = ""
    exclude_files: tuple[str, ...] = ()
    threshold: int = 1
    required: bool = True
    allow_unsigned_deltas: bool = False


class Freshness(Struct, frozen=True):
    """How old a bundle may be when it decides.

    Attributes:
        max_age_seconds: since the source last said that it is the newest.
        on_stale: beyond that, `serve` decides all the same; `wait` and `deny` wait for a refresh,
            and when none comes through `wait` decides all the same and `deny` refuses.
        wait_ms: how long a decision waits for that refresh.
    """

    max_age_seconds: float
    on_stale: str = "serve"
    wait_ms: int = 500


class Mirror(Struct, frozen=True):
    """Another place that has the same bundle."""

    service: Service
    resource: str


class BundleSource(Struct, frozen=True):
    """Where one bundle comes from.

    Attributes:
        service: None for a `file://` resource.
        resource: a path below the service's URL, or a `file://` URL of an archive or directory.
        mirrors: asked in this order while the service does not deliver.
        packaged: an archive or directory that serves while nothing else can be had, "" for none.
        long_poll_seconds: how long the service may hold a request back until there is news, 0 for
            not at all.
        persist: whether the last good copy is kept on disk; unlike OPA, by default it is.
        size_limit_bytes: of each file in the archive, unpacked.
        signing: None when no signature is asked for.
        freshness: None when any age will do.
    """

    name: str
    service: Service | None
    resource: str
    polling: Delays = DEFAULT_POLLING
    mirrors: tuple[Mirror, ...] = ()
    packaged: str = ""
    long_poll_seconds: int = 0
    persist: bool = True
    size_limit_bytes: int = DEFAULT_BUNDLE_LIMIT_BYTES
    signing: Signing | None = None
    freshness: Freshness | None = None


def read_bundle(
    section: Section, name: str, services: Mapping[str, Service], keys: Mapping[str, Key]
) -> BundleSource:
    """Read one entry of `bundles`."""
    resource = section.text("resource", f"bundles/{name}")
    is_file = resource.startswith(FILE_SCHEME)
    polling = section.section("polling")
    source = BundleSource(
        name=name,
        service=None if is_file else chosen_service(section, services),
        resource=resource,
        polling=read_delays(polling, DEFAULT_POLLING),
        mirrors=_mirrors(section, resource, services),
        packaged=section.text("packaged"),
        long_poll_seconds=_long_poll_seconds(polling),
        persist=section.flag("persist", default=True),
        size_limit_bytes=section.integer(
            "size_limit_bytes", DEFAULT_BUNDLE_LIMIT_BYTES, at_least=1
        ),
        signing=_signing(section, keys),
        freshness=_freshness(section, is_file=is_file),
    )
    polling.ignore("superseded_etag_ttl_seconds")
    if is_file and (source.mirrors or source.packaged):
        section.problem("resource", "a file has neither mirrors nor a packaged copy")
    polling.finish()
    section.choice("trigger", ("periodic",))
    section.finish()
    return source


def _mirrors(
    section: Section, resource: str, services: Mapping[str, Service]
) -> tuple[Mirror, ...]:
    mirrors = []
    for entry in section.objects("mirrors"):
        service = chosen_service(entry, services)
        mirror_resource = entry.text("resource", resource)
        entry.finish()
        if service is not None:
            mirrors.append(Mirror(service, mirror_resource))
    return tuple(mirrors)


def _long_poll_seconds(polling: Section) -> int:
    if not polling.has("long_polling_timeout_seconds"):
        return 0
    return polling.integer("long_polling_timeout_seconds", 1, at_least=1)


def _freshness(section: Section, *, is_file: bool) -> Freshness | None:
    on_stale = section.choice("on_stale", ("serve", "wait", "deny"))
    wait_ms = section.integer("wait_ms", 500)
    max_age_seconds = section.number("max_age_seconds", 0)
    if not section.has("max_age_seconds"):
        if section.has("on_stale") or section.has("wait_ms"):
            section.problem("max_age_seconds", "is required with on_stale and wait_ms")
        return None
    if is_file:
        section.problem("max_age_seconds", "needs a service: a file has no age")
    return Freshness(max_age_seconds, on_stale, wait_ms)


def _signing(section: Section, keys: Mapping[str, Key]) -> Signing | None:
    """Read `signing`; where keys are configured, a signature is asked for without it too."""
    can_verify = any(key.can_verify for key in keys.values())
    if not section.has("signing"):
        return Signing() if can_verify else None
    section = section.section("signing")
    signing = Signing(
        key_ids=section.one_or_more_texts("keyid"),
        scope=section.text("scope"),
        exclude_files=section.texts("exclude_files"),
        threshold=section.integer("threshold", 1, at_least=1),
        required=section.flag("required", default=True),
        allow_unsigned_deltas=section.flag("allow_unsigned_delta_bundles"),
    )
    if not can_verify:
        section.problem("keyid", "no verification keys configured under keys")
    elif signing.threshold > len(signing.key_ids or keys) and not any(
        key.jwks_url for key in keys.values()
    ):
        section.problem("threshold", "is more than there are keys")
    for key_id in signing.key_ids:
        if key_id not in keys:
            section.problem("keyid", "is not among keys")
    section.finish()
    return signing
