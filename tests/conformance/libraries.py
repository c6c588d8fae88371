"""Run a library's Rego tests with `opa test` and with the engine and compare them, one by one.

`python -m tests.conformance.libraries [--v0] DIRECTORY...`: each directory is one policy, the
`.rego` files below it; what OPA cannot compile either is said and left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.rego import Policy
from tests.support import OPA

DEADLINE_SECONDS = 20


def opa_outcomes(directory: Path, files: list[Path], *, v0: bool) -> dict[str, str] | None:
    """Return test -> PASS, FAIL or ERROR, None where OPA cannot compile the tests."""
    command = [str(OPA), "test", "--format", "json", *map(str, files)]
    if v0:
        command.append("--v0-compatible")
    ended = subprocess.run(command, capture_output=True, check=False, cwd=directory)
    if not ended.stdout.lstrip().startswith(b"["):
        return None
    return {
        f"{test['package']}.{test['name']}": _word(test)
        for test in json.loads(ended.stdout)
        if not test.get("skip")
    }


def _word(test: dict[str, object]) -> str:
    return "ERROR" if "error" in test else "FAIL" if test.get("fail") else "PASS"


def outcomes(files: list[Path], names: list[str], *, v0: bool) -> dict[str, str]:
    """Return test -> PASS, FAIL or ERROR for the tests OPA ran.

    Raises:
        PolicyError: the engine cannot compile the tests.
    """
    modules = {str(file): file.read_text() for file in files}
    old = modules if v0 else ()
    found = {}
    with Policy.from_modules(
        modules, {}, rego_versions=dict.fromkeys(old, 0), deadline_seconds=DEADLINE_SECONDS
    ) as policy:
        for name in names:
            try:
                # OPA numbers the definitions after the first.
                value = policy.evaluate(tuple(name.partition("#")[0].split(".")[1:]))
            except EvaluationError:
                found[name] = "ERROR"
            else:
                found[name] = "PASS" if value is True else "FAIL"
    return found


def main() -> int:
    """Compare, print what differs and the counts; 1 when something does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--v0", action="store_true", help="the files are written in Rego v0")
    arguments = parser.parse_args()
    assert OPA is not None, "set OPA_BIN or put opa on the PATH"
    counts: Counter[str] = Counter()
    for directory in arguments.directories:
        files = sorted(path.resolve() for path in directory.rglob("*.rego"))
        theirs = opa_outcomes(directory, files, v0=arguments.v0) if files else {}
        if theirs is None:
            counts["directories that opa refuses"] += 1
            continue
        if not theirs:
            continue
        counts["directories"] += 1
        try:
            ours = outcomes(files, list(theirs), v0=arguments.v0)
        except PolicyError as exc:
            counts["directories that only we refuse"] += 1
            print(f"{directory}: {exc}")
            continue
        for name, word in theirs.items():
            counts[f"opa {word}, ours {ours[name]}"] += 1
            if ours[name] != word:
                print(f"{directory}: {name}: opa {word}, ours {ours[name]}")
    print(dict(counts))
    return 1 if any(_differs(label) for label in counts) else 0


def _differs(label: str) -> bool:
    words = label.replace(",", "").split()
    return "only" in words or (words[0] == "opa" and words[1] != words[3])


if __name__ == "__main__":
    sys.exit(main())
