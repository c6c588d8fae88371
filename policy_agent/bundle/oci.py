"""Fetch a bundle from an OCI registry: the first gzip'd tar layer of an image or artifact.

Follows OPA v1.22 v1/download/oci_download.go and the OCI distribution and image specifications
(v1.1). Every byte is checked against the digest that leads to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from typing import Any, Final

from msgspec import Struct

from policy_agent.bundle.download import Downloaded, HttpOrigin, NotModified
from policy_agent.bundle.registry import RegistryClient
from policy_agent.codec import decode_json
from policy_agent.errors import BundleDownloadError, DocumentError, TransportError
from policy_agent.http_client import Limits, Request
from policy_agent.service import ServiceClient

LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_ACCEPT: Final = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_MAX_MANIFEST_BYTES: Final = 4 << 20
_MAX_DEPTH: Final = 4
_MAX_MANIFESTS: Final = 64
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_REFERENCE: Final = re.compile(
    r"[^/@]+/(?P<repository>[a-z0-9._/-]+)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>.+))?"
)


class Reference(Struct, frozen=True):
    """A repository and what to take from it: a tag, or a digest, which wins."""

    repository: str
    wanted: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read `registry/repository:tag` or `registry/repository@sha256:…`.

        Raises:
            BundleDownloadError: it is neither.
        """
        match = _REFERENCE.fullmatch(text)
        wanted = (match["digest"] or match["tag"]) if match else None
        if match is None or not wanted or (match["digest"] and not _DIGEST.fullmatch(wanted)):
            raise BundleDownloadError(
                f"invalid reference {text}: must be registry/repository:tag or "
                "registry/repository@sha256:digest"
            )
        return cls(match["repository"], wanted)


class OciOrigin:
    """A bundle in an OCI registry; its ETag is the layer's digest, as in OPA."""

    long_polls = False

    def __init__(self, client: ServiceClient, resource: str) -> None:
        self._client = RegistryClient(client)
        self._resource = resource
        self._blob: tuple[str, HttpOrigin] | None = None
        self.url = client.url_of(resource)
        self.shown_url = resource

    async def fetch(
        self, etag: str | None, timeout_seconds: float, wait_seconds: int = 0
    ) -> Downloaded | NotModified:
        """Pull the bundle unless its layer still is the one with digest `etag`.

        Raises:
            BundleDownloadError: the registry did not deliver it, or other bytes than it said.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._pull(Reference.parse(self._resource), etag, timeout_seconds)
        except TransportError as exc:
            raise self._failed(str(exc)) from exc
        except TimeoutError as exc:
            raise self._failed(f"no whole answer within {timeout_seconds:g} s") from exc

    async def _pull(
        self, reference: Reference, etag: str | None, timeout_seconds: float
    ) -> Downloaded | NotModified:
        digest = await self._layer(reference, timeout_seconds)
        checksum = digest.removeprefix("sha256:")
        if checksum == etag:
            return NotModified()
        if self._blob is None or self._blob[0] != digest:
            path = f"v2/{reference.repository}/blobs/{digest}"
            self._blob = (digest, HttpOrigin(self._client, path))
        # One object a layer, so that what a freeze cut off goes on where it ended.
        answer = await self._blob[1].fetch(None, timeout_seconds)
        assert isinstance(answer, Downloaded)
        self._blob = None
        if not hmac.compare_digest(hashlib.sha256(answer.raw).hexdigest(), checksum):
            raise self._failed(f"the layer's bytes are not those of {digest}")
        return Downloaded(answer.raw, checksum)

    async def _layer(self, reference: Reference, timeout_seconds: float) -> str:
        """Return the digest of the layer that is the bundle."""
        async for manifest in self._manifests(reference, timeout_seconds):
            for layer in _list_of(manifest, "layers"):
                if layer.get("mediaType") == LAYER_TYPE and _is_digest(layer.get("digest")):
                    return str(layer["digest"])
        raise self._failed(f"no layer of type {LAYER_TYPE}")

    async def _manifests(
        self, reference: Reference, timeout_seconds: float
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the manifest, or those that an index leads to."""
        waiting, seen = [(reference.wanted, 0)], set[str]()
        while waiting and len(seen) < _MAX_MANIFESTS:
            wanted, depth = waiting.pop(0)
            if wanted in seen or depth > _MAX_DEPTH:
                continue
            seen.add(wanted)
            manifest = await self._manifest(reference.repository, wanted, timeout_seconds)
            yield manifest
            for entry in _list_of(manifest, "manifests"):
                # What build tools attach (provenance, SBOM) stands under an unknown platform.
                platform = entry.get("platform") or {}
                attached = platform.get("os") == platform.get("architecture") == "unknown"
                if not attached and _is_digest(entry.get("digest")):
                    waiting.append((entry["digest"], depth + 1))

    async def _manifest(
        self, repository: str, wanted: str, timeout_seconds: float
    ) -> dict[str, Any]:
        url = self._client.url_of(f"v2/{repository}/manifests/{wanted}")
        limits = Limits(timeout_seconds, _MAX_MANIFEST_BYTES, self._client.timeout_seconds)
        answer = await self._client.send(Request("GET", url, {"Accept": _ACCEPT}), limits)
        if answer.status != 200:
            raise self._failed(f"registry replied with {answer.reason}", http_code=answer.status)
        told = wanted if _is_digest(wanted) else answer.headers.get("docker-content-digest")
        if _is_digest(told) and told != f"sha256:{hashlib.sha256(answer.body).hexdigest()}":
            raise self._failed(f"the manifest's bytes are not those of {told}")
        try:
            manifest = decode_json(answer.body)
        except DocumentError as exc:
            raise self._failed(f"manifest: {exc}") from exc
        if not isinstance(manifest, dict):
            raise self._failed("manifest: must be an object")
        return manifest

    def _failed(self, why: str, *, http_code: int | None = None) -> BundleDownloadError:
        return BundleDownloadError(f"failed to pull {self._resource}: {why}", http_code=http_code)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _list_of(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = document.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
