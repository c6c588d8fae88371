import json

import pytest

from policy_agent.publisher import measuring
from policy_agent.publisher.bench_report import histogram
from tests.publisher.asking import opas, ours, write_files
from tests.support import needs_opa


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measuring, "_BENCHMARK_NS", 5_000_000)


def test_the_report_tells_how_many_and_how_long(capsys):
    status, out, _ = ours(capsys, "bench", "-d", "p.rego", "-f", "json", "data.a.p")
    report = json.loads(out)
    assert status == 0
    assert list(report) == ["N", "T", "Bytes", "MemAllocs", "MemBytes", "Extra"]
    assert report["N"] == report["Extra"]["histogram_timer_rego_query_eval_ns_count"]
    assert (
        0 < report["T"] / report["N"] <= report["Extra"]["histogram_timer_rego_query_eval_ns_max"]
    )


def test_each_measurement_is_a_line_of_gos_format(capsys):
    arguments = ["-d", "p.rego", "-f", "gobench", "--metrics=false", "--count", "2", "data.a.p"]
    status, out, _ = ours(capsys, "bench", *arguments)
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert [(name, unit) for name, _, _, unit in lines] == [("BenchmarkOPAEval", "ns/op")] * 2


def test_the_histogram_of_known_durations():
    prefix = "histogram_timer_rego_query_eval_ns_"
    assert histogram([4, 1, 3, 2]) == {
        f"{prefix}75%": 3.75,
        f"{prefix}90%": 4,
        f"{prefix}95%": 4,
        f"{prefix}99%": 4,
        f"{prefix}99.9%": 4,
        f"{prefix}99.99%": 4,
        f"{prefix}count": 4,
        f"{prefix}max": 4,
        f"{prefix}mean": 2.5,
        f"{prefix}median": 2.5,
        f"{prefix}min": 1,
        f"{prefix}stddev": pytest.approx(1.118, abs=1e-3),
    }


class TestBesideOpa:
    pytestmark = needs_opa

    @pytest.mark.parametrize("format_name", ["pretty", "json"])
    @pytest.mark.parametrize("text", ["data.nothing", "nope(1)", "x :="])
    def test_what_cannot_be_measured_is_reported_as_by_opa(self, capsys, format_name, text):
        arguments = ["bench", "-f", format_name, "-d", "p.rego", text]
        assert ours(capsys, *arguments) == opas(*arguments)
