r"""Say values, paths and queries in regopy's text, and read its answers.

Pure. regopy compares strings by their escaped text: `"\u0041"` differs from `"A"` there. So every
string reaches it in one spelling, with as few escapes as JSON allows; this is why values are not
encoded by `codec`, which escapes `<`, `>` and `&` as Go does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from policy_agent.codec import decode_json
from policy_agent.errors import (
    DocumentError,
    EvaluationError,
    Location,
    PolicyError,
    PolicyProblem,
)
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.number import Number
from policy_agent.rego.lexer import Token, TokenKind, string_value, tokenize
from policy_agent.rego.second_opinion.syntax import Syntax

NO_INPUT = b"undefined"

# The variables that hold a path's value and the truth of a query's only expression.
_RESULT = "x"
_TRUTH = "truth_of_expression__"

# One error in regopy's answer, such as `(error 2:m0|19|1 (errormsg 16:this is unclosed) ...)`.
_ERROR = re.compile(
    r"\(error(?: (?:\d+:m(?P<module>\d+))?\|(?P<offset>\d+)\|\d+)?\s+\(errormsg (?P<length>\d+):"
)
_MAX_PROBLEMS = 10  # As OPA's limit on reported errors (v1/ast/compile.go).
_UNKNOWN_FUNCTION = "Function not found: "
_RECURSION = "Recursion detected in rule body: "


def _encode_number(value: Any) -> msgspec.Raw:
    if isinstance(value, Number):
        return msgspec.Raw(value.text.encode())
    raise TypeError


_encode = msgspec.json.Encoder(enc_hook=_encode_number).encode


def encode_value(value: Any) -> bytes:
    """Return a JSON value as regopy's term; UNDEFINED is the absent input.

    Raises:
        EvaluationError: the value is no JSON value.
    """
    if value is UNDEFINED:
        return NO_INPUT
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as exc:
        problem = PolicyProblem("eval_internal_error", "not a JSON value")
        raise EvaluationError(problem) from exc


def path_query(segments: Iterable[str | int]) -> str:
    """Return the query for the document at a path below `data`."""
    brackets = "".join(f"[{encode_value(segment).decode()}]" for segment in segments)
    return f"{_RESULT} = data{brackets}"


def truth_query(source: str) -> str:
    """Return a query that has a solution also where its one expression is false.

    OPA v1.22 (v1/rego/rego.go, rewriteQueryToCaptureValue) answers `1 == 2` with one empty
    solution, regopy with none. Queries of several expressions and those that iterate agree.

    Raises:
        PolicyError: the text is no query: a token or a bracket is wrong, or there is none.
    """
    expressions = Syntax("", source).expressions()
    if not expressions:
        raise PolicyError([PolicyProblem("rego_parse_error", "cannot evaluate empty query")])
    is_single = len(expressions) == 1 and _is_plain(expressions[0])
    return f"{_TRUTH} := {source}" if is_single else source


def one_spelling(file: str, source: str) -> str:
    """Return a text without comments and with its strings in the spelling that values have.

    regopy takes a comment that ends with the text, not with a line, for an expression. Rows stay
    as they are, columns but for those after a string that is spelled otherwise.

    Raises:
        PolicyError: the text has illegal tokens.
    """
    parts: list[str] = []
    at = 0
    for token in tokenize(file, source):
        if token.kind in {TokenKind.STRING, TokenKind.COMMENT}:
            is_text = token.kind is TokenKind.STRING
            spelled = encode_value(string_value(token)).decode() if is_text else ""
            parts += source[at : token.start], spelled
            at = token.end
    return "".join((*parts, source[at:]))


def read_solutions(text: str) -> list[JsonObject]:
    """Return the variables of each solution in an answer.

    Raises:
        EvaluationError: the answer is an error, or holds one.
    """
    if text == "undefined":
        return []
    try:
        answer = decode_json(text.encode())
    except DocumentError as exc:
        raise EvaluationError(_evaluation_problem(text)) from exc
    solutions = answer if isinstance(answer, list) else [answer]
    return [
        {name: value for name, value in each.get("bindings", {}).items() if name != _TRUTH}
        for each in solutions
    ]


def read_document(text: str) -> Any:
    """Return the answer to a path's query; UNDEFINED when there is none.

    Raises:
        EvaluationError: the answer is an error, or holds one.
    """
    solutions = read_solutions(text)
    return solutions[0][_RESULT] if solutions else UNDEFINED


def evaluation_error(code: str, message: str) -> EvaluationError:
    """Return the error for one that regopy names by code and message."""
    known = code if code.startswith("eval_") else "eval_internal_error"
    return EvaluationError(PolicyProblem(known, message))


def read_refusal(text: str, modules: Sequence[tuple[str, str]]) -> PolicyError:
    """Return the error for the text with which regopy refuses modules or a query.

    Args:
        modules: file and text of each module, in the order in which regopy knows them as m0, m1.
    """
    problems: list[PolicyProblem] = []
    for match in _ERROR.finditer(text):
        location = None
        if match["module"] is not None:
            file, source = modules[int(match["module"])]
            location = _locate(file, source, int(match["offset"]))
        problem = PolicyProblem("rego_parse_error", _message(text, match), location)
        if problem not in problems:
            problems.append(problem)
    unread = PolicyProblem("rego_compile_error", "the engine refused the policy")
    return PolicyError(problems[:_MAX_PROBLEMS] or [unread])


def _is_plain(tokens: Sequence[Token]) -> bool:
    """Return whether an expression only has a value: binds no variable and changes no input."""
    if tokens[0].text in {"some", "every", "not"}:
        return False
    depth = 0
    for index, token in enumerate(tokens):
        neighbours = [each.text for each in tokens[max(index - 1, 0) : index + 2 : 2]]
        if token.kind is TokenKind.IDENT and neighbours == ["[", "]"]:
            return False
        if token.kind is TokenKind.OPERATOR:
            depth += (token.text in "([{") - (token.text in ")]}")
        if depth == 0 and token.text in {":=", "=", "with"}:
            return False
    return True


def _evaluation_problem(text: str) -> PolicyProblem:
    match = _ERROR.search(text)
    if match is None:
        return PolicyProblem("eval_internal_error", "the engine's answer cannot be read")
    message = _message(text, match)
    if message.startswith(_UNKNOWN_FUNCTION):
        name = message.removeprefix(_UNKNOWN_FUNCTION)
        return PolicyProblem("rego_type_error", f"undefined function {name}")
    if message.startswith(_RECURSION):
        name = message.removeprefix(_RECURSION)
        return PolicyProblem("rego_recursion_error", f"rule {name} is recursive")
    return PolicyProblem("eval_internal_error", message)


def _message(text: str, match: re.Match[str]) -> str:
    rest = text[match.end() :].encode()
    return rest[: int(match["length"])].decode("utf-8", "replace")


def _locate(file: str, source: str, offset_bytes: int) -> Location:
    before = source.encode("utf-8", "replace")[:offset_bytes].decode("utf-8", "replace")
    row = before.count("\n") + 1
    return Location(file, row, len(before) - before.rfind("\n"))
