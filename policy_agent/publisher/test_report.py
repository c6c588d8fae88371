"""Print test results as `opa test` does (OPA v1.22 v1/tester/reporter.go), without its traces.

Pure. The order is that of files and lines; OPA's is that of completion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from policy_agent import codec
from policy_agent.publisher.test_run import RegoTestResult

_RULE: Final = "-" * 80


def pretty(results: Sequence[RegoTestResult], *, verbose: bool) -> str:
    """Return the report for people: what did not pass, or with `verbose` all, then the counts."""
    lines: list[str] = []
    last_file = ""
    for result in results:
        if result.outcome == "PASS" and not verbose:
            continue
        location = result.test.location
        if last_file not in ("", location.file):
            lines.append("")
        last_file = location.file
        lines += [f"{location.file}:{location.row}:", _result_line(result)]
        if result.error is not None:
            lines.append(f"  {result.error}")
    if lines:
        lines.append(_RULE)
    return "".join(f"{line}\n" for line in [*lines, *_counts(results)])


def as_json(results: Iterable[RegoTestResult]) -> str:
    """Return OPA's JSON array, one object per test, durations in nanoseconds."""
    documents = [_document(result) for result in results]
    return codec.indent_json(codec.encode_json(documents)).decode() + "\n"


def exit_status(results: Iterable[RegoTestResult], *, skipped_is_zero: bool) -> int:
    """Return 0 when all passed, else 2; a skipped test counts as not passed, as in OPA."""
    accepted = {"PASS", "SKIPPED"} if skipped_is_zero else {"PASS"}
    return 0 if all(result.outcome in accepted for result in results) else 2


def go_duration(duration_ns: int) -> str:
    """Return a duration below an hour as Go prints it: `0s`, `1.5µs`, `12.345678ms`, `1m0.5s`."""
    if duration_ns == 0:
        return "0s"
    for unit, unit_ns in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if duration_ns < unit_ns * 1_000:
            return _decimal(duration_ns, unit_ns) + unit
    minutes, rest_ns = divmod(duration_ns, 60_000_000_000)
    seconds = _decimal(rest_ns, 1_000_000_000) + "s"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(value_ns: int, unit_ns: int) -> str:
    whole, rest = divmod(value_ns, unit_ns)
    digits = f"{rest:0{len(str(unit_ns)) - 1}}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


def _result_line(result: RegoTestResult) -> str:
    line = f"{result.test.full_name}: {result.outcome}"
    return line if result.test.is_skipped else f"{line} ({go_duration(result.duration_ns)})"


def _counts(results: Sequence[RegoTestResult]) -> list[str]:
    counts = Counter(result.outcome for result in results)
    return [
        f"{outcome}: {counts[outcome]}/{len(results)}"
        for outcome in ("PASS", "FAIL", "SKIPPED", "ERROR")
        if counts[outcome]
    ]


def _document(result: RegoTestResult) -> dict[str, Any]:
    test = result.test
    at = test.location
    document: dict[str, Any] = {
        "location": {"file": at.file, "row": at.row, "col": at.col},
        "package": test.package,
        "name": test.name,
        "duration": result.duration_ns,
    }
    if result.error is not None:
        document["error"] = result.error.to_json()
    elif test.is_skipped:
        document["skip"] = True
    elif not result.has_passed:
        document["fail"] = True
    return document
