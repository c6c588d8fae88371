import pytest

from policy_agent import cli
from policy_agent.emulator.scenario import parse_scenario
from policy_agent.errors import EmulatorError

STORY = """
- invoke: {"n": 1}
  times: 2
- idle: 0.05
- invoke: {"n": 2}
  expect: {status: success, response: {echo: {n: 2}}, cold: false}
- kill: agent
- invoke: {"n": 0}
  expect: {status: failure, error_type: Extension.Crash, cold: false}
- invoke: {"n": 3}
  expect: {status: success, cold: true}
- vanish
- invoke: {"n": 4}
  expect: {cold: true}
- kill: runtime
- invoke: {"n": 0}
  expect: {status: failure, error_type: Runtime.ExitError}
- invoke: {"n": 5}
  expect: {status: success, cold: true}
- spin_down
"""


@pytest.fixture
def words(bench):
    bench.extension("agent")
    return [
        *("local", "--function", str(bench.function), "--handler", "app.handler"),
        *("--layer", str(bench.layer), "--env", f"SCRATCH={bench.scratch}"),
    ]


def test_a_scenario_is_run_step_by_step(bench, words, tmp_path, capsys):
    story, events = tmp_path / "story.yaml", tmp_path / "events.txt"
    story.write_text(STORY)
    assert cli.main([*words, "--scenario", str(story), "--event-log", str(events)]) == 0
    out, err = capsys.readouterr()
    answers = [f'{{"echo": {{"n": {n}}}}}' for n in (1, 1, 2, 3, 4, 5)]
    assert [line for line in out.splitlines() if "echo" in line] == answers, err
    assert err.count("Init Duration") == 4
    kinds = [line.split()[1] for line in events.read_text().splitlines()]
    assert kinds.count("invoke") == 8
    # One after each accident, and one at the end; what vanished was told nothing.
    assert kinds.count("shutdown") == 3


def test_what_is_not_as_expected_is_told_by_step(words, tmp_path, capsys):
    story = tmp_path / "story.yaml"
    story.write_text("- invoke: 1\n  expect: {cold: false, response: {echo: 2}}\n")
    assert cli.main([*words, "--scenario", str(story)]) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "step 1: cold is True, expected False",
        "step 1: response is {'echo': 1}, expected {'echo': 2}",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("invoke: 1", "a scenario is a list of steps", id="no-list"),
        pytest.param("- dance: 1", "step 1: needs one of invoke, idle", id="unknown"),
        pytest.param("- {invoke: 1, kill: a}", "step 1: needs one of", id="two-actions"),
        pytest.param("- invoke: 1\n- idle: soon", "step 2: idle takes seconds", id="idle"),
        pytest.param("- kill: 3", "step 1: kill takes an extension's name", id="kill"),
        pytest.param("- {invoke: 1, times: 0}", "times takes a number from 1", id="times"),
        pytest.param("- {invoke: 1, expect: {mood: good}}", "expect may have", id="expect"),
        pytest.param("- {idle: 1, times: 2}", "belong to invoke", id="idle-times"),
        pytest.param("- [", "s.yaml: ", id="no-yaml"),
    ],
)
def test_a_scenario_that_is_none_is_refused_by_its_step(text, problem):
    with pytest.raises(EmulatorError, match=r"s\.yaml") as caught:
        parse_scenario(text, "s.yaml")
    assert problem in str(caught.value)


def test_nothing_can_be_killed_before_anything_runs(words, tmp_path, capsys):
    story = tmp_path / "story.yaml"
    story.write_text("- kill: agent\n")
    assert cli.main([*words, "--scenario", str(story)]) == 1
    assert "step 1: nothing runs" in capsys.readouterr().err
