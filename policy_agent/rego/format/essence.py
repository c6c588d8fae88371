"""What of a module formatting must leave as it is.

Pure.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.ast_order import distinct_terms
from policy_agent.rego.check.signatures import INFIX
from policy_agent.rego.check.term_text import term_text
from policy_agent.rego.compile.nodes import (
    alternatives,
    equality,
    operator_name,
    rebuild,
    rebuild_expr,
)
from policy_agent.rego.format.imports import is_future, is_rego_v1, is_rego_v2

_WITH_RESULT = 3


def essence(module: ast.Module) -> object:
    """Return what of a module must stay as it is."""
    imports = Counter(
        (each.path, each.alias)
        for each in module.imports
        if not (is_rego_v1(each) or is_rego_v2(each) or is_future(each))
    )
    return module.package, imports, tuple(map(_rule_essence, module.rules))


def _rule_essence(rule: ast.Rule) -> object:
    return tuple(
        (
            each.default,
            each.head.reference if index == 0 else None,
            _terms_essence(each.head.args),
            each.head.key and _term_essence(each.head.key),
            each.head.value and _term_essence(each.head.value),
            _body_essence(each.body),
        )
        for index, each in enumerate(alternatives(rule))
    )


def _terms_essence(terms: tuple[ast.Term, ...] | None) -> object:
    return None if terms is None else tuple(map(_term_essence, terms))


def _body_essence(body: ast.Body) -> ast.Body:
    return tuple(
        replace(rebuild_expr(_without_result(expr), _term_essence, _body_essence), generated=False)
        for expr in body
    )


def _without_result(expr: ast.Expr) -> ast.Expr:
    """Return `plus(x, y, z)` as `z = x + y`."""
    call = expr.statement
    if not isinstance(call, ast.Call) or operator_name(call.operator) not in INFIX:
        return expr
    if operator_name(call.operator) == "internal.member_3" or len(call.args) != _WITH_RESULT:
        return expr
    *args, result = call.args
    return replace(
        expr, statement=equality(result, replace(call, args=tuple(args)), expr.location).statement
    )


def _term_essence(term: ast.Term) -> ast.Term:
    """Return a term without what can be written in more than one way."""
    done: ast.Term = rebuild(term, _term_essence, _body_essence)
    if isinstance(done, ast.SetTerm):
        return replace(done, items=tuple(distinct_terms(done.items)))
    if isinstance(done, ast.TemplateString):
        # What is constant in a template may be part of its text.
        parts: list[ast.Scalar | ast.Expr] = []
        for part in done.parts:
            if isinstance(part, ast.Expr):
                parts.append(part)
                continue
            text = part.value if isinstance(part.value, str) else term_text(part)
            last = parts[-1] if parts else None
            if isinstance(last, ast.Scalar):
                parts[-1] = ast.Scalar(last.value + text)
            else:
                parts.append(ast.Scalar(text))
        return replace(done, parts=tuple(parts))
    return done
