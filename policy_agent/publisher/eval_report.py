"""Print the results of a query as `opa eval` does (OPA v1.22 internal/presentation).

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from policy_agent import codec
from policy_agent.publisher.coverage_report import coverage_json, coverage_percent
from policy_agent.publisher.explanation import explanation_json
from policy_agent.publisher.ordered_json import in_order, indented
from policy_agent.publisher.problem_report import Problem, problems_json
from policy_agent.publisher.profile import LineProfile, profile_json, profile_text
from policy_agent.publisher.text_table import plain_table, text_table
from policy_agent.rego.results import ExpressionValue, QueryResult
from policy_agent.rego.tracing.coverage import FileCoverage
from policy_agent.rego.tracing.history import Event
from policy_agent.rego.tracing.trace_text import trace_text


@dataclass(slots=True)
class Answer:
    """The results of a query, and what was asked for besides.

    Attributes:
        query: its text.
        rewritten: the compiler's names of variables -> the author's.
        explanation: None unless it was asked for.
        profile: likewise.
        coverage: likewise.
        supplementary: coverage without an optimization, by the kind of range it explains.
        shows_values: whether traces show the values of variables.
    """

    results: Sequence[QueryResult]
    query: str = ""
    rewritten: Mapping[str, str] = field(default_factory=dict)
    explanation: list[Event] | None = None
    profile: list[LineProfile] | None = None
    coverage: Mapping[str, FileCoverage] | None = None
    supplementary: Mapping[str, Mapping[str, FileCoverage]] = field(default_factory=dict)
    shows_values: bool = False


def as_json(answer: Answer) -> str:
    """Return OPA's JSON document; that of no result is empty."""
    return indented(in_order(_documents(answer)))


def errors_json(problems: Sequence[Problem], *, format_name: str) -> str:
    """Return OPA's JSON document of what went wrong."""
    document = indented({"errors": problems_json(problems)})
    # `discard` passes through Go's maps, which sort.
    return indented(codec.decode_json(document.encode())) if format_name == "discard" else document


def _discarded(answer: Answer) -> str:
    documents = _documents(answer)
    if answer.results:
        documents["result"] = "discarded"
    # It passes through Go's maps, which sort.
    return indented(codec.decode_json(codec.encode_json(documents)))


def _values(answer: Answer) -> str:
    return "".join(
        indented([each.value for each in result.expressions]) for result in answer.results
    )


def _bindings(answer: Answer) -> str:
    return "".join(indented(result.bindings) for result in answer.results)


def _raw(answer: Answer) -> str:
    lines = (" ".join(map(_raw_value, result.expressions)) for result in answer.results)
    return "".join(f"{line}\n" for line in lines)


def _raw_value(expression: ExpressionValue) -> str:
    value = expression.value
    return value if isinstance(value, str) else codec.encode_json(value).decode()


def _pretty(answer: Answer) -> str:
    text = ""
    if answer.explanation:
        text = trace_text(answer.explanation, answer.rewritten, values=answer.shows_values)
    text += _pretty_results(answer.results)
    if answer.profile:
        text += profile_text(answer.profile, answer.query)
    if answer.coverage is not None:
        percent = f"{coverage_percent(answer.coverage):.2f}"
        text += plain_table([("Overall Coverage", percent)])
    return text


def _pretty_results(results: Sequence[QueryResult]) -> str:
    if not results:
        return "undefined\n"
    first = results[0]
    if len(results) == 1 and not first.bindings:
        all_boolean = all(isinstance(each.value, bool) for each in first.expressions)
        if len(first.expressions) == 1 or all_boolean:
            return indented(first.expressions[0].value)
    # Beside variables, expressions that merely hold say nothing.
    shown = [
        index
        for index, each in enumerate(first.expressions)
        if not isinstance(each.value, bool) or not first.bindings
    ]
    names = sorted(first.bindings)
    rows = [
        [result.expressions[index].value for index in shown]
        + [result.bindings[name] for name in names]
        for result in results
    ]
    header = [*(first.expressions[index].text for index in shown), *names]
    return text_table(header, [[codec.encode_json(cell).decode() for cell in row] for row in rows])


def _documents(answer: Answer) -> dict[str, Any]:
    """Return the members of OPA's JSON document, in its order."""
    documents: dict[str, Any] = {}
    if answer.results:
        documents["result"] = [_document(each) for each in answer.results]
    if answer.explanation:
        documents["explanation"] = explanation_json(answer.explanation, answer.rewritten)
    if answer.profile:
        documents["profile"] = profile_json(answer.profile)
    if answer.coverage is not None:
        documents["coverage"] = coverage_json(answer.coverage, answer.supplementary)
    return documents


def _document(result: QueryResult) -> msgspec.Raw:
    expressions = [
        in_order(
            {
                "value": each.value,
                "text": each.text,
                "location": in_order({"row": each.row, "col": each.col}),
            }
        )
        for each in result.expressions
    ]
    bindings = {"bindings": result.bindings} if result.bindings else {}
    return in_order({"expressions": expressions, **bindings})


FORMATS: Final[Mapping[str, Callable[[Answer], str]]] = {
    "json": as_json,
    "values": _values,
    "bindings": _bindings,
    "pretty": _pretty,
    "raw": _raw,
    "discard": _discarded,
}
ERRORS_AS_JSON: Final = frozenset({"json", "discard"})
