"""The child process: crashes, hangs and ends of real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import policy_agent
from policy_agent.errors import EvaluationDeadlineError, EvaluationError, PolicyError
from policy_agent.rego import Policy
from policy_agent.rego.options import Query
from policy_agent.rego.second_opinion import engine as engine_module
from policy_agent.rego.second_opinion.engine import Engine

# regopy 1.5.2 ends with a segmentation fault on a built-in without its argument, and never
# ends replacing the empty string.
SOURCE = """
package a
answer := 42
echo := input
crash := upper()
hang := strings.replace_n({"": "x"}, "b")
"""


@pytest.fixture
def engine():
    loaded = Engine({"m.rego": SOURCE}, b"{}", deadline_seconds=0.2)
    yield loaded
    loaded.close()


def run(engine, rule, term=b"undefined"):
    return engine.run(f"x = data.a.{rule}", term)


def is_running(pid):
    """Whether the process computes: a zombie, which its parent has not waited for, does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.005)


def test_a_crash_is_an_error_and_the_next_evaluation_works(engine):
    assert '"x":42' in run(engine, "answer")
    with pytest.raises(EvaluationError, match=r"crashed while evaluating \(signal 11\)") as caught:
        run(engine, "crash")
    assert caught.value.problem.code == "eval_internal_error"
    assert engine.pid is None
    assert '"x":42' in run(engine, "answer")


def test_a_hang_ends_at_the_deadline_and_the_next_evaluation_works(engine):
    assert '"x":42' in run(engine, "answer")
    hanging = engine.pid
    before = time.monotonic()
    with pytest.raises(EvaluationDeadlineError, match=r"evaluating took longer than 0\.2 s"):
        run(engine, "hang")
    assert time.monotonic() - before < 2
    assert str(hanging) not in children()
    assert '"x":42' in run(engine, "answer")


def test_a_child_that_was_killed_is_replaced(engine):
    run(engine, "answer")
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EvaluationError, match="signal 9"):
        run(engine, "answer")
    assert '"x":42' in run(engine, "answer")


def test_an_interrupted_request_does_not_leave_its_answer_to_the_next(engine):
    run(engine, "answer")

    def interrupt(signal_number, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(engine, "hang")
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert '"x":7' in run(engine, "echo", b"7")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_the_child_outlives_signals_meant_for_the_agent(engine, signal_number):
    run(engine, "answer")
    pid = engine.pid
    os.kill(pid, signal_number)
    assert '"x":42' in run(engine, "answer")
    assert engine.pid == pid


def test_large_inputs_pass_both_ways():
    term = b'"' + b"x" * 3_000_000 + b'"'
    large = Engine({"m.rego": SOURCE}, b"{}", deadline_seconds=10)
    try:
        assert len(run(large, "echo", term)) > len(term)
    finally:
        large.close()


def test_a_crash_while_compiling_refuses_the_policy():
    nested = "[" * 20_000 + "]" * 20_000
    with pytest.raises(PolicyError) as caught:
        Policy.from_modules({"m.rego": f"package a\np := {nested}"}, engine="regopy")
    assert str(caught.value) == (
        "rego_compile_error: the engine crashed while compiling (signal 11)"
    )


def test_a_crashing_query_leaves_the_policy_usable():
    with Policy.from_modules({"m.rego": SOURCE}, engine="regopy") as policy:
        with pytest.raises(EvaluationError, match="crashed"):
            policy.evaluate("a/crash")
        assert policy.query("x := count(data.a.answer)") == []
        assert policy.query("x := data.a.answer") == [{"x": 42}]


def test_closing_ends_the_child_and_leaves_no_zombie():
    policy = Policy.from_modules({"m.rego": SOURCE}, engine="regopy")
    pid = policy._engine._engine.pid  # type: ignore[attr-defined]
    assert is_running(pid)
    policy.close()
    policy.close()
    assert str(pid) not in children()
    with pytest.raises(EvaluationError, match="closed"):
        policy.evaluate("a/answer")


def test_a_refused_policy_leaves_no_child():
    before = children()
    with pytest.raises(PolicyError):
        Policy.from_modules({"m.rego": "package a\np := foo.bar(1)"}, engine="regopy")
    assert children() == before


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()


# Even one that computes for ever, and however the parent ends.
@pytest.mark.parametrize("rule", ["answer", "hang"])
def test_the_child_ends_when_its_parent_is_killed(rule):
    script = """
import sys, threading
from policy_agent.rego.second_opinion.engine import Engine
engine = Engine({"m.rego": sys.argv[1]}, b"{}", deadline_seconds=60)
engine.load()
print(engine.pid, flush=True)
engine.run("x = data.a." + sys.argv[2], b"undefined")
threading.Event().wait()
"""
    root = str(Path(policy_agent.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", script, SOURCE, rule],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as parent:
        child_pid = int(parent.stdout.readline())
        assert is_running(child_pid)
        parent.kill()
    wait_until(lambda: not is_running(child_pid))


def test_the_child_needs_no_site_packages_of_its_own():
    script = """
import sys
sys.path[:] = sys.argv[1:]
from policy_agent.rego import Policy
with Policy.from_modules({"m.rego": "package a\\np := 1"}, engine="regopy") as policy:
    assert policy.evaluate("a/p") == 1
"""
    root = str(Path(policy_agent.__file__).parents[1])
    search_path = [root, *(entry for entry in sys.path if entry)]
    subprocess.run([sys.executable, "-I", "-S", "-c", script, *search_path], check=True, env={})


def test_threads_take_turns():
    patient = Engine({"m.rego": SOURCE}, b"{}", deadline_seconds=10)
    answers = {}

    def ask(number):
        for _ in range(20):
            answers[number] = run(patient, "echo", str(number).encode())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    patient.close()
    assert all(f'"x":{number}' in answer for number, answer in answers.items())
    assert len(answers) == 4


@pytest.fixture
def two_queries_only(monkeypatch):
    monkeypatch.setattr(engine_module, "MAX_PREPARED_QUERIES", 2)


def test_only_the_latest_queries_stay_compiled(engine, two_queries_only):
    for value in (1, 2, 3, 1, 2, 3):
        assert f'"x":{value}' in engine.run(f"x = {value}", b"undefined")
    assert list(engine._prepared) == ["x = 2", "x = 3"]


def test_a_refused_query_does_not_disturb_the_compiled_ones(engine, two_queries_only):
    for value in (1, 2):
        engine.run(f"x = {value}", b"undefined")
    for wrong in ("x =", "1 =="):
        with pytest.raises(PolicyError):
            engine.run(wrong, b"undefined")
    for value in (3, 2, 1, 2):
        assert f'"x":{value}' in engine.run(f"x = {value}", b"undefined")


def test_an_engine_that_cannot_start_refuses_the_policy(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(PolicyError, match="the engine cannot be started: No such file"):
        Policy.from_modules({"m.rego": "package a\np := 1"}, engine="regopy")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "package a\ndeny if {\n  net.cidr_contains(`10.0.0.0/8`, input.ip)\n}",
            "m.rego:3: rego_type_error: undefined function net.cidr_contains",
            id="builtin_that_regopy_lacks",
        ),
        pytest.param(
            "package a\n# é\np := 1\nq if 1 ==\n",
            "m.rego:4: rego_parse_error: Invalid boolean operator",
            id="refused_by_regopy",
        ),
    ],
)
def test_what_regopy_cannot_run_is_refused(source, expected):
    with pytest.raises(PolicyError) as caught:
        Policy.from_modules({"a.rego": "package ok\nx := 1", "m.rego": source}, engine="regopy")
    assert str(caught.value) == expected


def test_recursion_is_an_evaluation_error():
    source = "package a\np := data.a.q\nq := data.a.p"
    with (
        Policy.from_modules({"m.rego": source}, engine="regopy") as policy,
        pytest.raises(EvaluationError) as caught,
    ):
        policy.evaluate("a/p")
    assert caught.value.problem.code == "rego_recursion_error"


def test_an_input_that_is_no_json_is_an_evaluation_error():
    with (
        Policy.from_modules({"m.rego": SOURCE}, engine="regopy") as policy,
        pytest.raises(EvaluationError, match="not a JSON value"),
    ):
        policy.evaluate("a/echo", object())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1 == 2", [{}], id="false_is_a_solution_too"),
        pytest.param("x := 1; x == 2", [], id="no_solution"),
        pytest.param("some x in [1, 2]; x > 1", [{"x": 2}], id="several"),
    ],
)
def test_queries_have_the_solutions_that_opa_has(text, expected):
    with Policy.from_modules({"m.rego": SOURCE}, engine="regopy") as policy:
        assert policy.query(text) == expected


def test_the_values_of_expressions_are_not_known():
    with (
        Policy.from_modules({"m.rego": SOURCE}, engine="regopy") as policy,
        pytest.raises(PolicyError, match="regopy cannot capture values"),
    ):
        policy.results(Query("1 == 2"))
