"""Rules written without braces or `if`: `p := 1`, `f(x) = y`, `p[x]`.

Pure. Follows OPA v1.22 v1/ast/parser_ext.go (ParseRuleFromExpr): such a line is first read as an
expression; what no rule can be is a problem then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from policy_agent.errors import Location, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.builtins.catalog import HOME
from policy_agent.rego.parse.names import kind_of, text_of
from policy_agent.rego.parse.rules import Draft, true_body
from policy_agent.rego.parse.statements import Statement, location_of

_EXAMPLES: Final = {"if": "p if { ... }", "contains": "p contains x"}


class NotARuleError(Exception):
    """An expression cannot be read as a rule; the text is OPA's message."""


def rule_of(body: ast.Body) -> Draft:
    """Return the rule that a bare expression is.

    Raises:
        NotARuleError: it is none.
    """
    if len(body) != 1:
        raise NotARuleError("multiple expressions cannot be used for rule head")
    expression = body[0]
    if expression.withs:
        raise NotARuleError("expressions using with keyword cannot be used for rule head")
    if expression.negated:
        raise NotARuleError("negated expressions cannot be used for rule head")
    draft = _rule_of_statement(expression.statement, expression.location)
    draft.made_body = True
    return draft


def _rule_of_statement(statement: ast.Statement, location: Location) -> Draft:
    match statement:
        case ast.SomeDecl():
            raise NotARuleError("'some' declarations cannot be used for rule head")
        case ast.Every() | ast.LogicalNot() | ast.LogicalAnd() | ast.LogicalOr():
            raise NotARuleError("expression cannot be used for rule head")
        case ast.Ref():
            return _rule_of_reference(statement)
        case ast.Call():
            return _rule_of_call(statement, location)
        case _:
            raise NotARuleError(f"{kind_of(statement)} cannot be used for rule name")


def _rule_of_reference(reference: ast.Ref) -> Draft:
    location = reference.location
    if not reference.path:
        raise NotARuleError("refs cannot be used for rule head")
    name = _name_of(reference)
    if len(reference.path) > 1:
        head = ast.Head(reference, value=ast.Scalar(True, location), location=location)
        return Draft(head, location, true_body(location), made_value=True)
    key = reference.path[0]
    set_name = ast.Ref(reference.head, (), reference.head.location)
    head = ast.Head(set_name, key=key, shown_name=name, shown_key=key, location=location)
    return Draft(head, location, true_body(location))


def _rule_of_call(call: ast.Call, location: Location) -> Draft:
    operator = text_of(call.operator)
    if operator in ("eq", "assign") and len(call.args) == 2:
        draft = _rule_of_equation(*call.args)
        draft.location = location
        draft.head = replace(draft.head, assign=operator == "assign", location=location)
        return draft
    if operator in HOME:
        raise NotARuleError("rule name conflicts with built-in function")
    if not call.args:
        raise NotARuleError("rule argument list must take at least one argument")
    at = call.operator.location
    _name_of(call.operator)
    return Draft(
        _head(call.operator, ast.Scalar(True, at), args=call.args, location=at), at, true_body(at)
    )


def _rule_of_equation(left: ast.Term, right: ast.Term) -> Draft:
    at = right.location
    match left:
        case ast.Call():
            _name_of(left.operator)
            head = _head(left.operator, right, args=left.args)
        case ast.Ref():
            _name_of(left)
            head = _head(left, right)
        case ast.Var():
            head = _head(ast.Ref(left, (), left.location), right)
        case _:
            raise NotARuleError(f"{kind_of(left)} cannot be used for rule name")
    return Draft(head, at, true_body(at))


def _head(
    reference: ast.Ref,
    value: ast.Term,
    *,
    args: tuple[ast.Term, ...] | None = None,
    location: Location = ast.NOWHERE,
) -> ast.Head:
    name = text_of(reference.head)
    path = reference.path
    short = len(path) == 1 and args is None
    return ast.Head(
        reference,
        args,
        value=value,
        shown_name=name if short or not path else "",
        shown_key=path[0] if short else None,
        location=location,
    )


def _name_of(reference: ast.Ref) -> str:
    if not isinstance(reference.head, ast.Var):
        raise NotARuleError(f"invalid rule head: {text_of(reference)}")
    return reference.head.name


def refusal(
    statements: Sequence[Statement], index: int, message: str, *, v0: bool
) -> PolicyProblem:
    """Return the problem of a statement that is no rule, with v0's hint at a missing import."""
    statement = statements[index]
    if v0:
        word = _head_keyword(statement)
        if not word and index + 1 < len(statements):
            following = statements[index + 1]
            if location_of(following).row == location_of(statement).row:
                word = _head_keyword(following)
        if word:
            hint = f"`import future.keywords.{word}` for `{_EXAMPLES[word]}` rules"
            message = f"{message} (hint: {hint})"
    return PolicyProblem("rego_parse_error", message, location_of(statement))


def _head_keyword(statement: Statement) -> str:
    """Return `if` or `contains` where a statement is that word alone."""
    name = ""
    if isinstance(statement, Draft):
        name = statement.head.shown_name
    elif isinstance(statement, tuple) and len(statement) == 1:
        word = statement[0].statement
        name = word.name if isinstance(word, ast.Var) else ""
    return name if name in _EXAMPLES else ""
