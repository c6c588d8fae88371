"""Whether the agent prints what it costs for CloudWatch."""

from __future__ import annotations

from msgspec import Struct

from policy_agent.config.section import Section

DEFAULT_NAMESPACE = "PolicyAgent"
DEFAULT_INTERVAL_SECONDS = 60


class CostMetrics(Struct, frozen=True):
    """How the agent's own cost is printed in CloudWatch's embedded metric format.

    Attributes:
        namespace: of the metrics.
        interval_seconds: at least between two lines, but for the first and the last.
    """

    namespace: str = DEFAULT_NAMESPACE
    interval_seconds: int = DEFAULT_INTERVAL_SECONDS


def read_cost_metrics(section: Section) -> CostMetrics | None:
    """Read `cost_metrics`; None when nothing is to be printed."""
    is_on = section.flag("emf", default=False)
    metrics = CostMetrics(
        section.text("namespace", DEFAULT_NAMESPACE),
        section.integer("interval_seconds", DEFAULT_INTERVAL_SECONDS, at_least=0),
    )
    section.finish()
    return metrics if is_on else None
