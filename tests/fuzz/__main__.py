"""Fuzz one target for as long as asked, with atheris: `python -m tests.fuzz parser --seconds 600`.

It follows which code the bytes reach, so that it goes where no test has been. Each kind of failure
is printed once, with the bytes that cause it kept under `build/fuzz/`; `--replay` runs such a file.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path

from tests.fuzz.seeds import more_policies, plans
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parent.parent.parent / "build" / "fuzz"
# Longer inputs are slower and find little more.
MAX_BYTES = 20_000
# A hang is ended, and its input kept.
TIMEOUT_SECONDS = 60


class Findings:
    """The failures of one run, each kind once."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._kinds: set[str] = set()

    def run(self, raw: bytes) -> None:
        """Run the target on some bytes and keep what fails."""
        try:
            TARGETS[self._name](raw)
        except Exception as exc:  # noqa: BLE001 - every failure is a finding
            place = traceback.extract_tb(exc.__traceback__)[-1]
            kind = f"{type(exc).__name__} at {Path(place.filename).name}:{place.lineno}"
            if kind not in self._kinds:
                self._kinds.add(kind)
                file = self._folder / f"{self._name}-finding-{len(self._kinds)}"
                file.write_bytes(raw)
                print(f"\n{file}: {kind}", flush=True)
                traceback.print_exc(limit=-8)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--replay", type=Path, help="run one file's bytes and show what they do")
    arguments = parser.parse_args()
    if arguments.replay:
        TARGETS[arguments.target](arguments.replay.read_bytes())
        return 0
    return fuzz(arguments.target, arguments.seconds)


def fuzz(name: str, seconds: int) -> int:
    """Fuzz a target; its corpus grows from run to run."""
    try:
        import atheris
    except ImportError:
        print("this needs atheris: pip install atheris")
        return 2
    corpus = ROOT / name
    corpus.mkdir(parents=True, exist_ok=True)
    write_seeds(name, corpus)
    findings = Findings(name, ROOT)
    atheris.instrument_all()
    flags = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", f"-timeout={TIMEOUT_SECONDS}"]
    flags += ["-rss_limit_mb=4096", "-use_value_profile=1", f"-artifact_prefix={ROOT}/{name}-"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], findings.run)
    atheris.Fuzz()  # ends the process
    return 0


def write_seeds(name: str, corpus: Path) -> None:
    """Put what the target understands where fuzzing begins."""
    known = {"parser": [text.encode() for text in more_policies()], "plan-reader": list(plans())}
    for number, raw in enumerate(known.get(name, [])):
        (corpus / f"seed-{number}").write_bytes(raw)


if __name__ == "__main__":
    sys.exit(main())
