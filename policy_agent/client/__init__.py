"""Ask the agent from inside a function, and do what it says. Standard library only.

`decide` asks, `enforce` acts on the answer, `authorize` does both around a handler. `events` turns
Lambda events into input; `asgi` and `powertools` fit the same into those frameworks; `aio` is
everything for asyncio. What a cold start need not pay for is imported from its module.
"""

from policy_agent.client.authorize import authorize
from policy_agent.client.decisions import (
    AgentUnavailableError,
    Decision,
    DeniedError,
    decide,
)
from policy_agent.client.obligations import (
    STANDARD_HANDLERS,
    enforce,
    filter_rows,
    limit,
    mask_fields,
    report_fulfilment,
)

__all__ = [
    "STANDARD_HANDLERS",
    "AgentUnavailableError",
    "Decision",
    "DeniedError",
    "authorize",
    "decide",
    "enforce",
    "filter_rows",
    "limit",
    "mask_fields",
    "report_fulfilment",
]
