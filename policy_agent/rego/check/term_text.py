"""Terms as OPA's messages write them.

Pure. Follows the String methods of OPA v1.22 v1/ast/term.go and policy.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from policy_agent.codec import encode_json
from policy_agent.rego import ast
from policy_agent.rego.lexer import KEYWORDS

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_OPERANDS = 2


def term_text(term: ast.Statement) -> str:
    """Return a term as OPA prints it; a wildcard is `_`."""
    match term:
        case ast.Scalar(value):
            return encode_json(value).decode()
        case ast.Var(name):
            return "_" if name.startswith("$") else name
        case ast.Ref(head, path):
            return term_text(head) + "".join(map(_segment_text, path))
        case ast.Call(operator, args):
            return f"{term_text(operator)}({_list(args)})"
        case ast.TemplateString(parts):
            return f'$"{"".join(map(_part_text, parts))}"'
        case ast.ArrayTerm() | ast.SetTerm() | ast.ObjectTerm():
            return _collection_text(term)
        case ast.ArrayComprehension() | ast.SetComprehension() | ast.ObjectComprehension():
            return _comprehension_text(term)
    return _statement_text(term)


def _collection_text(term: ast.ArrayTerm | ast.SetTerm | ast.ObjectTerm) -> str:
    match term:
        case ast.ArrayTerm(items):
            return f"[{_list(items)}]"
        case ast.SetTerm(items):
            return f"{{{_list(items)}}}" if items else "set()"
        case ast.ObjectTerm(pairs):
            return f"{{{', '.join(f'{term_text(k)}: {term_text(v)}' for k, v in pairs)}}}"


def _comprehension_text(
    term: ast.ArrayComprehension | ast.SetComprehension | ast.ObjectComprehension,
) -> str:
    match term:
        case ast.ArrayComprehension(inner, body):
            return f"[{term_text(inner)} | {body_text(body)}]"
        case ast.SetComprehension(inner, body):
            return f"{{{term_text(inner)} | {body_text(body)}}}"
        case ast.ObjectComprehension(key, value, body):
            return f"{{{term_text(key)}: {term_text(value)} | {body_text(body)}}}"


def _statement_text(
    statement: ast.SomeDecl | ast.Every | ast.LogicalNot | ast.LogicalAnd | ast.LogicalOr,
) -> str:
    match statement:
        case ast.SomeDecl(symbols):
            return f"some {_list(symbols)}"
        case ast.Every(key, value, domain, body):
            names = _list([key, value] if key else [value])
            return f"every {names} in {term_text(domain)} {{ {body_text(body)} }}"
        case ast.LogicalNot(body):
            return f"not {{ {body_text(body)} }}"
        case ast.LogicalAnd(left, right):
            return f"{body_text(left)} and {body_text(right)}"
        case ast.LogicalOr(left, right):
            return f"{body_text(left)} or {body_text(right)}"


def body_text(body: ast.Body) -> str:
    """Return a body on one line."""
    return "; ".join(map(expression_text, body))


def expression_text(expr: ast.Expr) -> str:
    """Return one line of a body; of the operators only `=` is between its operands."""
    text = term_text(expr.statement)
    if isinstance(expr.statement, ast.Call) and len(expr.statement.args) == _OPERANDS:
        left, right = expr.statement.args
        if term_text(expr.statement.operator) == "eq":
            text = f"{term_text(left)} = {term_text(right)}"
    withs = (f" with {term_text(each.target)} as {term_text(each.value)}" for each in expr.withs)
    return ("not " if expr.negated else "") + text + "".join(withs)


def ref_text(ref: ast.Ref, end: int | None = None) -> str:
    """Return a reference, or its first `end` parts counting the head as one."""
    if end is None:
        return term_text(ref)
    return term_text(ast.Ref(ref.head, ref.path[: max(end - 1, 0)])) if end else ""


def _segment_text(term: ast.Term) -> str:
    if isinstance(term, ast.Scalar) and isinstance(term.value, str):
        name = term.value
        if _NAME.fullmatch(name) and name not in KEYWORDS:
            return f".{name}"
    return f"[{term_text(term)}]"


def _list(terms: Iterable[ast.Term]) -> str:
    return ", ".join(map(term_text, terms))


def _part_text(part: ast.Scalar | ast.Expr) -> str:
    if isinstance(part, ast.Scalar):
        return str(part.value)
    return f"{{{expression_text(part)}}}"
