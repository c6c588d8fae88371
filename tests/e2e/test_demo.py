import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e

CLI = [sys.executable, "-c", "from policy_agent.cli import main; raise SystemExit(main())"]


def test_the_demo_counts_every_decision_once(layer_zip):
    command = [*CLI, "demo", "--layer", str(layer_zip)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    last = result.stdout.splitlines()[-1]
    count = re.fullmatch(r"demo: ok decisions=(\d+) stored=(\d+) missing=0 duplicates=0", last)
    assert count, result.stdout
    assert count[1] == count[2]
    assert int(count[1]) >= 11


def test_a_missing_layer_is_named(tmp_path):
    command = [*CLI, "demo", "--layer", str(tmp_path / "none.zip")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "none.zip is missing: run `make layer`" in result.stderr
