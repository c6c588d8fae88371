import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from policy_agent import cli

ROOT = Path(cli.__file__).parents[1]
PROGRAM = [sys.executable, "-c", "import sys; from policy_agent.cli import main; sys.exit(main())"]


@pytest.fixture
def words(bench):
    bench.extension("agent", "print('agent up', flush=True)\nregister('INVOKE')\nloop()")
    return [
        *("local", "--function", str(bench.function), "--handler", "app.handler"),
        *("--layer", str(bench.layer), "--env", f"SCRATCH={bench.scratch}"),
    ]


def test_each_event_file_is_answered_and_reported(bench, words, capsys):
    files = []
    for number in range(2):
        path = bench.scratch / f"{number}.json"
        path.write_text(f'{{"n": {number}}}\n')
        files.append(str(path))
    assert cli.main([*words, *files]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ['{"echo": {"n": 0}}', '{"echo": {"n": 1}}']
    reports = [line for line in err.splitlines() if line.startswith("REPORT RequestId: ")]
    assert len(reports) == 2
    for part in ("Duration: ", "Billed Duration: ", "Post Runtime: "):
        assert all(part in line for line in reports)
    assert "Init Duration: " in reports[0]
    assert "Init Duration: " not in reports[1]
    assert "[agent] agent up" in err.splitlines()


def test_without_files_each_line_of_standard_input_is_an_event(words):
    result = subprocess.run(
        [*PROGRAM, *words, "--no-freeze", "--telemetry", "refuse"],
        cwd=ROOT,
        input="1\n\n2\n",
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert result.stdout.splitlines() == ['{"echo": 1}', '{"echo": 2}'], result.stderr
    assert result.returncode == 0


def test_a_function_error_makes_the_exit_status_1(bench, words, capsys):
    bench.handler("def handler(event, context):\n    return 1 / event")
    events = []
    for number in (0, 1):
        path = bench.scratch / f"{number}.json"
        path.write_text(str(number))
        events.append(str(path))
    assert cli.main([*words, *events]) == 1
    out, err = capsys.readouterr()
    assert "ZeroDivisionError" in out.splitlines()[0]
    assert out.splitlines()[1] == "1.0"
    assert "Status: error\tError Type: ZeroDivisionError" in err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        pytest.param(["--env", "SCRATCH"], "--env SCRATCH: must be NAME=VALUE", id="env"),
        pytest.param(["/nowhere.json"], "/nowhere.json: cannot be read", id="no-event-file"),
    ],
)
def test_a_wrong_argument_is_one_sentence(words, capsys, extra, message):
    assert cli.main([*words, *extra]) == 1
    assert message in capsys.readouterr().err


def test_an_event_that_is_not_json_names_its_file(bench, words, capsys):
    path = bench.scratch / "bad.json"
    path.write_text("{")
    assert cli.main([*words, str(path)]) == 1
    assert f"policy-agent local: error: {path}: line 1" in capsys.readouterr().err


def test_a_termination_signal_leaves_no_process_behind(bench, words):
    bench.handler("""
        import os, time
        def handler(event, context):
            with open(os.environ["SCRATCH"] + "/pid", "w") as out:
                out.write(f"{os.getpid()}\\n")
            time.sleep(60)
    """)
    event = bench.scratch / "event.json"
    event.write_text("{}")
    pid_file = bench.scratch / "pid"
    with subprocess.Popen(
        [*PROGRAM, *words, "--timeout", "60", str(event)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as command:
        deadline = time.monotonic() + 10
        while not (pid_file.exists() and pid_file.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        command.send_signal(signal.SIGTERM)
        assert command.wait(10) == 128 + signal.SIGTERM
    assert not os.path.exists(f"/proc/{pid_file.read_text().strip()}")
