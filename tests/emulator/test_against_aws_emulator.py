"""The same extension under AWS's emulator and under ours: every answer it gets is compared."""

import os
import sys

from tests.rie import emulator


def notes_under_aws_emulator(bench, tmp_path):
    command = [sys.executable, "-m", "awslambdaric", "app.handler"]
    environment = {
        "PYTHONPATH": str(bench.function),
        "SCRATCH": str(bench.scratch),
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "HOME": os.environ.get("HOME", "/"),
    }
    with emulator(
        bench.layer, tmp_path, command=command, cwd=bench.function, environment=environment
    ) as rie:
        assert rie.invoke({"n": 1}) == {"echo": {"n": 1}}
        rie.spin_down()
    return {note["case"]: note for note in bench.notes("agent") if "case" in note}


def comparable(note):
    body = note["body"]
    error_type = body.get("errorType") if isinstance(body, dict) else None
    return note["status"], error_type, type(body)


def test_an_extension_gets_the_same_answers_from_both(bench, tmp_path, answers):
    ours = answers
    (bench.scratch / "agent.jsonl").unlink()
    theirs = notes_under_aws_emulator(bench, tmp_path)
    assert set(theirs) == set(ours)
    different = {
        case: (comparable(theirs[case]), comparable(ours[case]))
        for case in ours
        if "body" in ours[case] and comparable(theirs[case]) != comparable(ours[case])
    }
    # AWS's emulator has no telemetry, and says so to every subscription.
    assert set(different) == {"subscribe-late"}, different
    assert theirs["subscribe-late"]["body"]["errorType"] == "Telemetry.NotSupported"
