"""Print test results as `opa test` does (OPA v1.22 v1/tester/reporter.go).

Pure. The order is that of files and lines; OPA's is that of completion.
"""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from policy_agent.errors import PolicyError
from policy_agent.publisher.failing_line import FailingLines
from policy_agent.publisher.go_duration import go_duration
from policy_agent.publisher.ordered_json import in_order, indented
from policy_agent.publisher.problem_report import problems_json, problems_of, problems_text
from policy_agent.publisher.test_run import CaseResult, RegoTestResult
from policy_agent.rego.tracing.filters import Filter, notes_and_fails
from policy_agent.rego.tracing.history import Event
from policy_agent.rego.tracing.trace_text import trace_text

_RULE: Final = "-" * 80

Walk = Iterator[tuple[tuple[str, ...], CaseResult]]


@dataclass(frozen=True, slots=True)
class Style:
    """How much a report for people tells.

    Attributes:
        verbose: show the tests that pass too, and the traces of those that fail.
        failing_lines: shows the line where each test failed, with the values in it.
        explain: which events of a trace are shown.
        rewritten: the compiler's names of variables -> the author's.
    """

    verbose: bool = False
    failing_lines: FailingLines | None = None
    explain: Filter = notes_and_fails
    rewritten: Mapping[str, str] = field(default_factory=dict)

    @property
    def details_failures(self) -> bool:
        """Return whether there is a section about what failed."""
        return self.verbose or self.failing_lines is not None


def pretty(results: Sequence[RegoTestResult], style: Style) -> str:
    """Return the report for people: what did not pass, or if verbose all, then the counts."""
    text = ""
    last_file = ""
    for result in results:
        if result.outcome == "PASS" and not style.verbose:
            continue
        at = result.test.location
        text += "\n" if last_file not in ("", at.file) else ""
        last_file = at.file
        text += f"{at.file}:{at.row}:\n{result_line(result)}\n{_below(result, style)}"
    failures = [result for result in results if result.outcome == "FAIL"]
    if failures and style.details_failures:
        text += f"{_RULE}\nFAILURES\n{_RULE}\n"
        text += "".join(_failure(result, style) for result in failures)
    if text:
        text += f"{_RULE}\n"
    return text + _counts(results)


def result_line(result: RegoTestResult) -> str:
    """Return a test's name, how it ended and how long it took."""
    line = f"{result.test.full_name}: {result.outcome}"
    return line if result.test.is_skipped else f"{line} ({go_duration(result.duration_ns)})"


def as_json(
    results: Sequence[RegoTestResult], extra: Sequence[Mapping[str, Any]] | None = None
) -> str:
    """Return OPA's JSON array, one object per test, durations in nanoseconds.

    Args:
        results: of the tests.
        extra: members to add to each object.
    """
    members = extra or [{}] * len(results)
    both = zip(results, members, strict=True)
    return indented([in_order(_document(result) | dict(more)) for result, more in both])


def exit_status(results: Iterable[RegoTestResult], *, skipped_is_zero: bool) -> int:
    """Return 0 when all passed, else 2; a skipped test counts as not passed, as in OPA."""
    accepted = {"PASS", "SKIPPED"} if skipped_is_zero else {"PASS"}
    return 0 if all(result.outcome in accepted for result in results) else 2


def _below(result: RegoTestResult, style: Style) -> str:
    """Return what follows a result's line: its cases, its output and its error."""
    text = ""
    for names, case in _walk(result.cases):
        if case.has_failed or style.verbose:
            text += f"{'  ' * len(names)}{case.name}: {_word(case)}\n"
    if output := result.output.strip():
        text += f"\n{_indented(output, 2)}\n\n"
    if isinstance(result.error, PolicyError):
        text += f"  {problems_text(problems_of(result.error))}"
    elif result.error is not None:
        text += f"  {result.error}\n"
    return text


def _failure(result: RegoTestResult, style: Style) -> str:
    text = f"{result_line(result)}\n"
    if not result.cases:
        return f"{text}{_trace(result.trace, style)}{_line(result.trace, style, 0)}\n"
    text += _trace(result.trace, style) + "\n"
    for names, case in _walk(result.cases):
        if case.has_failed and not case.below:
            for depth, name in enumerate(names, 1):
                text += f"{'  ' * depth}{name}: {_word(case)}\n"
            text += _line(case.trace, style, 2 * len(names) + 2)
    return f"{text}\n"


def _trace(trace: Sequence[Event], style: Style) -> str:
    """Return a trace's rows, each column with the indentation that OPA writes before it."""
    if not style.verbose:
        return ""
    rows = trace_text(
        style.explain(trace), style.rewritten, values=style.failing_lines is not None, margin="  "
    )
    return f"\n{rows}"


def _line(trace: Sequence[Event], style: Style, margin: int) -> str:
    if style.failing_lines is None:
        return ""
    blank = f"{' ' * margin}\n"
    found = style.failing_lines.of(trace)
    if found is None:
        return blank
    place, text = found
    return f"{blank}{_indented(place, margin + 2)}\n{_indented(text, margin + 4)}{blank}"


def _counts(results: Sequence[RegoTestResult]) -> str:
    counts: Counter[str] = Counter()
    for result in results:
        leaves = [case for _, case in _walk(result.cases) if not case.below]
        counts.update(map(_word, leaves) if leaves and result.error is None else [result.outcome])
    return "".join(
        f"{outcome}: {counts[outcome]}/{counts.total()}\n"
        for outcome in ("PASS", "FAIL", "SKIPPED", "ERROR")
        if counts[outcome]
    )


def _document(result: RegoTestResult) -> dict[str, Any]:
    test = result.test
    at = test.location
    document: dict[str, Any] = {
        "location": in_order({"file": at.file, "row": at.row, "col": at.col}),
        "package": test.package,
        "name": test.name,
    }
    if result.outcome == "FAIL":
        document["fail"] = True
    if isinstance(result.error, PolicyError):
        document["error"] = problems_json(problems_of(result.error))
    elif result.error is not None:
        document["error"] = in_order(_with_code_first(result.error.problem.to_json()))
    if test.is_skipped:
        document["skip"] = True
    document["duration"] = result.duration_ns
    if result.output:
        document["output"] = b64encode(result.output.encode()).decode()
    if result.cases:
        document["sub_results"] = _cases_json(result.cases)
    return document


def _with_code_first(error: dict[str, Any]) -> dict[str, Any]:
    if isinstance(at := error.get("location"), dict):
        return {**error, "location": in_order(at)}
    return error


def _cases_json(cases: Mapping[str, CaseResult]) -> dict[str, msgspec.Raw]:
    documents = {}
    for name, case in cases.items():
        document: dict[str, Any] = {"name": case.name}
        if case.has_failed:
            document["fail"] = True
        if case.below:
            document["sub_results"] = _cases_json(case.below)
        documents[name] = in_order(document)
    return documents


def _walk(cases: Mapping[str, CaseResult], above: tuple[str, ...] = ()) -> Walk:
    for name, case in sorted(cases.items()):
        yield (*above, name), case
        yield from _walk(case.below, (*above, name))


def _word(case: CaseResult) -> str:
    return "FAIL" if case.has_failed else "PASS"


def _indented(text: str, width: int) -> str:
    return "\n".join(" " * width + line for line in text.split("\n"))
