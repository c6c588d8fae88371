"""Modules and queries from their statements, with the checks that need all of them.

Pure. Follows parseModule of OPA v1.22 v1/ast/parser_ext.go and the checks of v1/ast/rego_v1.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.annotations import read_annotations
from policy_agent.rego.parse.attachment import attach
from policy_agent.rego.parse.bare_rules import NotARuleError, refusal, rule_of
from policy_agent.rego.parse.cursor import TOO_DEEP
from policy_agent.rego.parse.rules import Draft
from policy_agent.rego.parse.statements import (
    Package,
    Statement,
    StatementParser,
    location_of,
    path_of,
)


def parse_module(file: str, source: str, *, v0: bool = False) -> ast.Module:
    """Read one policy file.

    Args:
        file: the name that problems and locations are reported under.
        v0: read it as Rego v0, as `opa --v0-compatible` does.

    Raises:
        PolicyError: OPA refuses the text; every problem that OPA reports, with its wording.
    """
    try:
        return _parse_module(file, source, v0=v0)
    except RecursionError as exc:
        raise _too_deep(file) from exc


def parse_query(source: str, *, file: str = "", v0: bool = False) -> ast.Body:
    """Read a query: expressions between semicolons or line ends.

    Raises:
        PolicyError: OPA refuses the text.
    """
    try:
        parser = StatementParser(file, source, v0=v0)
        statements = parser.statements(with_rules=False)
    except RecursionError as exc:
        raise _too_deep(file) from exc
    if parser.problems:
        raise PolicyError(list(parser.problems))
    body: list[ast.Expr] = []
    for statement in statements:
        if not isinstance(statement, tuple):
            kind = type(statement).__name__
            raise _problem(f"expected body but got *ast.{kind}", location_of(statement))
        body += statement
    return tuple(body)


def _too_deep(file: str) -> PolicyError:
    return _problem(TOO_DEEP, Location(file, 1, 1))


def _problem(message: str, location: Location) -> PolicyError:
    return PolicyError([PolicyProblem("rego_parse_error", message, location)])


def _parse_module(file: str, source: str, *, v0: bool) -> ast.Module:
    parser = StatementParser(file, source, v0=v0)
    statements = parser.statements()
    comments = tuple(
        ast.Comment(comment.text, Location(file, comment.row, comment.col))
        for comment in parser.tokens.comments
        if comment.before <= parser.index
    )
    annotations, problems = read_annotations(comments)
    problems = [*parser.problems, *problems]
    if problems:
        raise PolicyError(problems)
    if not statements and not annotations:
        raise _problem("empty module", Location(file, 0, 0))
    if not statements:
        raise _problem("package expected", annotations[0].location)
    package = statements[0]
    if not isinstance(package, Package):
        problems.append(_expected_package(package))
        package = Package((), location_of(package))
    imports = tuple(s for s in statements[1:] if isinstance(s, ast.Import))
    version = _version(imports, v0=v0)
    drafts = _drafts(statements, problems, v0=version == 0)
    if version:
        problems += _v1_problems(drafts)
    if problems:
        raise PolicyError(problems)
    module = ast.Module(
        file=file,
        package=package.path,
        imports=imports,
        rules=tuple(draft.rule() for draft in drafts),
        annotations=annotations,
        rego_version=version,
        comments=comments,
        location=package.location,
    )
    return attach(module) if annotations else module


def _expected_package(statement: Statement) -> PolicyProblem:
    return PolicyProblem("rego_parse_error", "package expected", location_of(statement))


def _version(imports: Sequence[ast.Import], *, v0: bool) -> int:
    version = 0 if v0 else 1
    for declaration in imports:
        head = declaration.path.head
        if isinstance(head, ast.Var) and head.name == "rego":
            version = max(version, 2 if path_of(declaration) == ("v2",) else 1)
    return version


def _drafts(
    statements: Sequence[Statement], problems: list[PolicyProblem], *, v0: bool
) -> list[Draft]:
    """Return the rules among the statements behind the first; add what is none to `problems`."""
    drafts = []
    for index, statement in enumerate(statements):
        if index == 0:
            continue
        if isinstance(statement, Draft):
            drafts.append(statement)
        elif isinstance(statement, Package):
            location = statement.location
            problems.append(PolicyProblem("rego_parse_error", "unexpected package", location))
        elif isinstance(statement, tuple):
            try:
                drafts.append(rule_of(statement))
            except NotARuleError as exc:
                problems.append(refusal(statements, index, str(exc), v0=v0))
    return drafts


def _v1_problems(drafts: Sequence[Draft]) -> Iterator[PolicyProblem]:
    for first in drafts:
        draft: Draft | None = first
        while draft is not None:
            for message in _v1_messages(draft):
                yield PolicyProblem("rego_parse_error", message, draft.location)
            draft = draft.orelse


def _v1_messages(draft: Draft) -> Iterator[str]:
    head = draft.head
    what = "function" if head.args else "rule"
    if not head.reference.path and head.shown_name in k.V1_KEYWORDS:
        yield f"{head.shown_name} keyword cannot be used for rule name"
    if draft.made_body and draft.made_value:
        yield f"{what} must have value assignment and/or body declaration"
    if not draft.made_body and not draft.has_if and not draft.default:
        yield f"`if` keyword is required before {what} body"
    if head.value is None and not draft.has_contains:
        yield "`contains` keyword is required for partial set rules"
