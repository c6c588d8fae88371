import io
import json
import time

import pytest

from policy_agent.config import CostMetrics, parse_config
from policy_agent.own_cost import MAX_VALUES, OwnCost


class Teller:
    """An OwnCost with what it prints, and a decision log's count of bytes."""

    def __init__(self, config):
        self.shipped = 0
        self.stream = io.StringIO()
        self.cost = OwnCost(config, "orders", lambda: self.shipped, self.stream)

    @property
    def lines(self):
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_the_first_line_is_in_cloudwatchs_embedded_metric_format():
    teller = Teller(CostMetrics())
    teller.cost.ready(time.monotonic_ns() - 50_000_000, 11.5)
    teller.shipped = 700
    teller.cost.invocation_over(3.25)
    [line] = teller.lines
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert abs(line["_aws"]["Timestamp"] - time.time() * 1000) < 10_000
    assert (directive["Namespace"], directive["Dimensions"]) == ("PolicyAgent", [["function"]])
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {
        "Init": "Milliseconds",
        "InitProcessorTime": "Milliseconds",
        "Register": "Milliseconds",
        "PostRuntime": "Milliseconds",
        "Shipped": "Bytes",
        "Memory": "Bytes",
    }
    assert line["function"] == "orders"
    assert (line["Register"], line["PostRuntime"], line["Shipped"]) == ([11.5], [3.25], [700])
    assert line["Init"][0] >= 50
    assert line["Memory"][0] > 1_000_000


def test_invocations_within_the_interval_share_a_line():
    teller = Teller(CostMetrics(interval_seconds=3600))
    for post_runtime_ms in (1.0, 2.0, 3.0):
        teller.shipped += 100
        teller.cost.invocation_over(post_runtime_ms)
    teller.cost.ended(5.5)
    first, last = teller.lines
    assert first["PostRuntime"] == [1]
    assert (last["PostRuntime"], last["Shutdown"]) == ([2, 3], [5.5])
    assert last["Shipped"] == [100, 100, 0]


def test_no_line_holds_more_values_than_cloudwatch_takes():
    teller = Teller(CostMetrics(interval_seconds=3600))
    for _ in range(2 * MAX_VALUES + 1):
        teller.cost.invocation_over(1)
    assert [len(line["PostRuntime"]) for line in teller.lines] == [1, MAX_VALUES, MAX_VALUES]


def test_nothing_is_printed_unless_asked_for():
    teller = Teller(None)
    teller.cost.ready(time.monotonic_ns(), 11)
    teller.cost.invocation_over(1)
    teller.cost.ended(1)
    assert teller.lines == []
    assert teller.cost.to_json()["invocations"] == 1


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        pytest.param({}, None, id="off"),
        pytest.param({"emf": True}, CostMetrics("PolicyAgent", 60), id="on"),
        pytest.param(
            {"emf": True, "namespace": "N", "interval_seconds": 0}, CostMetrics("N", 0), id="own"
        ),
    ],
)
def test_the_section_says_whether_and_how(section, expected):
    assert parse_config({"cost_metrics": section}).cost_metrics == expected
