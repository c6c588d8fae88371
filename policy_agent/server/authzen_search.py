"""Page through what AuthZEN's searches find (Authorization API 1.0, "Search APIs").

Pure. A token holds where to go on, and of which search: it is of no use for another one.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any
from zlib import crc32

from msgspec import Struct

from policy_agent.codec import encode_json
from policy_agent.errors import RequestError
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.server.authzen import ENTITIES
from policy_agent.server.obligation_profile import profiled


class Page(Struct, frozen=True):
    """Which part of the results is wanted; `limit` 0 means all that are left."""

    offset: int
    limit: int
    search: int


def read_page(request: Mapping[str, Any], question: Mapping[str, Any]) -> Page | None:
    """Return the page that a search asks for, None when it asks for none.

    Raises:
        RequestError: the page is not what it should be, or its token is of another search.
    """
    wanted = request.get("page")
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        raise RequestError("page must be an object")
    search = crc32(encode_json(question))
    limit = wanted.get("limit", 0)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise RequestError("page.limit must be a whole number")
    token = wanted.get("token", "")
    if not token:
        return Page(0, limit, search)
    try:
        offset, size, of_search = map(int, urlsafe_b64decode(token).split(b"."))
    except (TypeError, ValueError, binascii.Error) as exc:
        raise RequestError("page.token is none of ours") from exc
    if of_search != search or offset < 0:
        raise RequestError("page.token is of another search")
    return Page(offset, limit or size, search)


def found(value: Any, entity: str, wanted_type: str) -> list[JsonObject] | None:
    """Return the entities that a policy found, each once; None when it is no list of them.

    Args:
        entity: `subject`, `resource` or `action`.
        wanted_type: what others than actions must be of.
    """
    if value is UNDEFINED:
        return []
    if not isinstance(value, list):
        return None
    fields = ENTITIES[entity]
    results: dict[tuple[str, ...], JsonObject] = {}
    for each in value:
        if not isinstance(each, dict):
            return None
        key = tuple(str(each[name]) for name in fields if isinstance(each.get(name), str))
        if len(key) < len(fields):
            return None
        if entity != "action" and each["type"] != wanted_type:
            continue
        if (shown := _with_profiled_obligations(each)) is not None:
            results.setdefault(key, shown)
    return list(results.values())


def _with_profiled_obligations(entity: JsonObject) -> JsonObject | None:
    """Return a result in the profile's form, None for one that nobody could fulfil."""
    if "obligations" not in entity:
        return entity
    obligations = profiled(entity["obligations"])
    return None if obligations is None else {**entity, "obligations": obligations}


def search_answer(results: list[JsonObject], page: Page | None) -> JsonObject:
    """Return a search's answer: all results, or one page of them."""
    if page is None:
        return {"results": results}
    end = page.offset + page.limit if page.limit else len(results)
    shown = results[page.offset : end]
    token = ""
    if end < len(results):
        token = urlsafe_b64encode(f"{end}.{page.limit}.{page.search}".encode()).decode()
    about = {"next_token": token, "count": len(shown), "total": len(results)}
    return {"results": shown, "page": about}
