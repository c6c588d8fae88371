"""Print the results of a query as `opa eval` does (OPA v1.22 internal/presentation).

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from policy_agent import codec
from policy_agent.publisher.ordered_json import in_order, indented
from policy_agent.publisher.problem_report import Problem, problems_json
from policy_agent.publisher.text_table import text_table
from policy_agent.rego.results import ExpressionValue, QueryResult

Results = Sequence[QueryResult]


def as_json(results: Results) -> str:
    """Return OPA's JSON document; that of no result is empty."""
    return indented({"result": [_document(each) for each in results]} if results else {})


def errors_json(problems: Sequence[Problem], *, format_name: str) -> str:
    """Return OPA's JSON document of what went wrong."""
    document = indented({"errors": problems_json(problems)})
    # `discard` passes through Go's maps, which sort.
    return indented(codec.decode_json(document.encode())) if format_name == "discard" else document


def _discarded(results: Results) -> str:
    return indented({"result": "discarded"} if results else {})


def _values(results: Results) -> str:
    return "".join(indented([each.value for each in result.expressions]) for result in results)


def _bindings(results: Results) -> str:
    return "".join(indented(result.bindings) for result in results)


def _raw(results: Results) -> str:
    lines = (" ".join(map(_raw_value, result.expressions)) for result in results)
    return "".join(f"{line}\n" for line in lines)


def _raw_value(expression: ExpressionValue) -> str:
    value = expression.value
    return value if isinstance(value, str) else codec.encode_json(value).decode()


def _pretty(results: Results) -> str:
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


FORMATS: Final[Mapping[str, Callable[[Results], str]]] = {
    "json": as_json,
    "values": _values,
    "bindings": _bindings,
    "pretty": _pretty,
    "raw": _raw,
    "discard": _discarded,
}
ERRORS_AS_JSON: Final = frozenset({"json", "discard"})
