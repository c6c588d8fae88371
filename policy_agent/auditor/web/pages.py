"""The pages: decisions, one decision with its proof, the verification report, anomalies.

Rendered here, without JavaScript. Whatever stands in an entry comes from callers of functions, so
templates escape everything, and the browser is told to load nothing but our style sheet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_agent.audit_chain import ChainKey
from policy_agent.auditor.filters import parse_moment
from policy_agent.auditor.render import format_time, visible
from policy_agent.auditor.row import ResultKind
from policy_agent.auditor.web import asking
from policy_agent.errors import AuditError

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE: Final = Path(__file__).parent / "style.css"

_Page = Callable[[Request], Awaitable[Response]]


def create_app(directory: Path, keys: Sequence[ChainKey], hosts: Sequence[str]) -> Starlette:
    """Return the ASGI application.

    Args:
        directory: of the store, which is opened anew for each page.
        keys: the agents' audit keys; without any, entries must have been made without.
        hosts: names that a browser may know us by; another's page that resolves to our address
            (DNS rebinding) must not read decisions.
    """
    store = asking.Asking(directory, keys)

    async def decisions(request: Request) -> Response:
        asked = {name: text for name, text in request.query_params.items() if text}
        asked.setdefault("since", "24h")
        page = await asyncio.to_thread(store.decisions, asked, _now())
        older = urlencode({**asked, "until": format_time(page.older)}) if page.older else ""
        kinds = [kind.value for kind in ResultKind]
        return _render("decisions", asked=asked, page=page, older=older, kinds=kinds)

    async def decision(request: Request) -> Response:
        entries = await asyncio.to_thread(store.entries, request.path_params["decision_id"])
        return _render("decision", entries=entries, status=200 if entries else 404)

    async def verification(request: Request) -> Response:
        asked = {name: text for name, text in request.query_params.items() if text}
        report = await asyncio.to_thread(store.verification, asked, _now())
        return _render("verification", asked=asked, report=report)

    async def anomalies(request: Request) -> Response:
        asked = {"since": "1h", "baseline": "7d"}
        asked |= {name: text for name, text in request.query_params.items() if text}
        now = _now()
        since, start = parse_moment(asked["since"], now), parse_moment(asked["baseline"], now)
        found = await asyncio.to_thread(store.anomalies, start, since, now)
        return _render("anomalies", asked=asked, found=found)

    async def style(_: Request) -> Response:
        return Response(_STYLE.read_bytes(), media_type="text/css", headers=HEADERS)

    routes = [
        Route("/", _or_why_not(decisions)),
        Route("/decisions/{decision_id:path}", _or_why_not(decision)),
        Route("/verification", _or_why_not(verification)),
        Route("/anomalies", _or_why_not(anomalies)),
        Route("/style.css", style),
    ]
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))]
    return Starlette(routes=routes, middleware=middleware)


def _or_why_not(page: _Page) -> _Page:
    async def render(request: Request) -> Response:
        try:
            return await page(request)
        except AuditError as exc:
            return _render("problem", problem=str(exc), status=400)

    return render


_TEMPLATES: Final = Environment(
    loader=PackageLoader("policy_agent.auditor.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"time": format_time, "visible": visible}


def _render(template: str, *, status: int = 200, **facts: Any) -> Response:
    text = _TEMPLATES.get_template(f"{template}.html").render(facts)
    return Response(text, status, headers=HEADERS, media_type="text/html")


def _now() -> datetime:
    return datetime.now(UTC)
