"""OPA's policy API: `/v1/policies` shows what the bundles brought and refuses writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from policy_agent.model import JsonObject
from policy_agent.server import wire
from policy_agent.server.call import Call
from policy_agent.server.request import flag
from policy_agent.server.routing import Route
from policy_agent.server.services import Services
from policy_agent.server.wire import Answer


async def _get(call: Call, services: Services) -> Answer:
    pretty = flag(call.parameters, "pretty")
    if not call.below:
        shown = [_shown(services, *module) for module in _modules(services)]
        return wire.result(shown, pretty=pretty)
    wanted = unquote(call.below)
    for module in _modules(services):
        if module[0] == wanted:
            return wire.result(_shown(services, *module), pretty=pretty)
    return _missing(wanted)


async def _refuse_write(call: Call, services: Services) -> Answer:
    if not call.below:
        return wire.method_not_allowed()
    wanted = unquote(call.below)
    known = [name for name, *_ in _modules(services)]
    if call.method == "DELETE" and wanted not in known:
        return _missing(wanted)
    return wire.write_refused(f"policies/{wanted}", None)


def _modules(services: Services) -> Iterator[tuple[str, str, int | None]]:
    snapshot = services.decisions.snapshot
    for name, bundle in snapshot.bundles.items() if snapshot else ():
        for path, text in bundle.modules.items():
            yield f"{name}/{path}", text, bundle.rego_versions.get(path)


def _shown(services: Services, name: str, text: str, version: int | None) -> JsonObject:
    return {"id": name, "raw": text, "ast": services.overview.syntax_tree(name, text, version)}


def _missing(name: str) -> Answer:
    message = f'storage_not_found_error: policy id "{name}"'
    return wire.error_answer(404, "resource_not_found", message)


ROUTES: Final = (
    Route(
        "/v1/policies",
        {"GET": _get, "PUT": _refuse_write, "DELETE": _refuse_write},
        subtree=True,
        label="v1/policies",
    ),
)
