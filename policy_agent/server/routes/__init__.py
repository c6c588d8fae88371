"""Everything the agent serves, a module for each family of resources.

A handler takes the call and the services, and returns an answer or raises one of our errors. The
table is searched in order, so what is asked for most comes first.
"""

from __future__ import annotations

from typing import Final

from policy_agent.server.routes import (
    authzen,
    batch,
    compilation,
    data,
    health,
    metrics,
    obligations,
    policies,
    query,
    status,
)
from policy_agent.server.routing import Route

ROUTES: Final[tuple[Route, ...]] = (
    *data.ROUTES,
    *batch.ROUTES,
    *authzen.ROUTES,
    *obligations.ROUTES,
    *health.ROUTES,
    *status.ROUTES,
    *metrics.ROUTES,
    *policies.ROUTES,
    *query.ROUTES,
    *compilation.ROUTES,
)
DIAGNOSTIC_ROUTES: Final[tuple[Route, ...]] = (*health.ROUTES, *metrics.ROUTES)
