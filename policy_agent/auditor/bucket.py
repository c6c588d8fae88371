"""Read the objects of a bucket, in S3 or whatever speaks its protocol.

ListObjectsV2 and GetObject (Amazon S3 API), with the bucket in the path, which every such service
understands. Keys come from where AWS's tools have them: the environment, a web identity, a profile.
"""

from __future__ import annotations

import asyncio
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from policy_agent.config import Service
from policy_agent.config.aws import (
    AwsSigning,
    EnvironmentCredentials,
    ProfileCredentials,
    WebIdentityCredentials,
)
from policy_agent.credentials.aws_keys import endpoint, region_of
from policy_agent.errors import AuditError, TransportError
from policy_agent.http_client import Limits, Request
from policy_agent.service import ServiceClient

SCHEME: Final = "s3://"
_NAMESPACE: Final = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_SIGNING: Final = AwsSigning(
    (EnvironmentCredentials(), WebIdentityCredentials(), ProfileCredentials())
)
_LIMITS: Final = Limits(300, 1 << 30)
_AT_A_TIME: Final = 16  # an object of a few kilobytes is mostly waiting


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's key and when it was written."""

    key: str
    modified_at: datetime


class Bucket:
    """One bucket, or what of it begins with a prefix."""

    def __init__(self, url: str, endpoint_url: str = "") -> None:
        """Prepare; nothing is asked yet.

        Args:
            url: `s3://bucket/prefix`.
            endpoint_url: of the service; when "", `AWS_ENDPOINT_URL_S3`, else AWS's in the region.

        Raises:
            AuditError: the URL names no bucket, or no region is known.
        """
        self._name, _, self._prefix = url.removeprefix(SCHEME).partition("/")
        if not self._name:
            raise AuditError(f"{url} names no bucket")
        try:
            service_url = endpoint_url or endpoint("s3", region_of("", os.environ), os.environ)
        except TransportError as exc:
            raise AuditError(f"{url}: {exc}") from exc
        self._url = f"{service_url.rstrip('/')}/{quote(self._name)}"
        self._client = ServiceClient(Service("s3", service_url, credentials=_SIGNING))

    def contents(self) -> Iterator[tuple[StoredObject, bytes]]:
        """Yield every object with its content, in the order of keys.

        Raises:
            AuditError: something could not be had.
        """
        with asyncio.Runner() as runner:
            token: str | None = ""
            while token is not None:
                objects, token = runner.run(self._list(token))
                for start in range(0, len(objects), _AT_A_TIME):
                    some = objects[start : start + _AT_A_TIME]
                    yield from zip(some, runner.run(self._get_all(some)), strict=True)

    async def _list(self, token: str) -> tuple[list[StoredObject], str | None]:
        """Return up to 1,000 objects and the token for the next; None after the last."""
        asked = {"list-type": "2", "prefix": self._prefix}
        if token:
            asked["continuation-token"] = token
        # As AWS signs it: by name, and a space is %20.
        body = await self._ask("?" + urlencode(sorted(asked.items()), quote_via=quote, safe="~"))
        try:
            listing = ET.fromstring(body)  # noqa: S314 - of the service that the keys were shown to
            objects = [
                StoredObject(
                    _text(each, "Key"), datetime.fromisoformat(_text(each, "LastModified"))
                )
                for each in listing.iter(f"{_NAMESPACE}Contents")
            ]
            more = _text(listing, "IsTruncated") == "true"
            return objects, _text(listing, "NextContinuationToken") if more else None
        except (ET.ParseError, ValueError) as exc:
            raise AuditError(f"s3://{self._name} cannot be listed: {exc}") from exc

    async def _get_all(self, objects: list[StoredObject]) -> list[bytes]:
        return await asyncio.gather(*(self._ask(f"/{quote(each.key)}") for each in objects))

    async def _ask(self, resource: str) -> bytes:
        try:
            answer = await self._client.send(Request("GET", self._url + resource), _LIMITS)
        except TransportError as exc:
            raise AuditError(f"s3://{self._name}: {exc}") from exc
        if answer.status != 200:
            raise AuditError(f"s3://{self._name}: {answer.status} {answer.reason} for {resource}")
        return answer.body


def _text(element: ET.Element, name: str) -> str:
    text = element.findtext(f"{_NAMESPACE}{name}")
    if text is None:
        raise ValueError(f"{name} is missing")
    return text
