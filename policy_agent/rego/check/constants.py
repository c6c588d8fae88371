"""Terms without variables, references and calls, and the values they stand for.

Pure.
"""

from __future__ import annotations

from policy_agent.rego import ast
from policy_agent.rego.values import RegoSet, Value, freeze, thaw


def is_constant(term: ast.Term) -> bool:
    """Return whether a term always stands for the same value."""
    match term:
        case ast.Scalar():
            return True
        case ast.ArrayTerm(items) | ast.SetTerm(items):
            return all(map(is_constant, items))
        case ast.ObjectTerm(pairs):
            return all(is_constant(key) and is_constant(value) for key, value in pairs)
    return False


def constant_value(term: ast.Term) -> Value:
    """Return the value of a constant term."""
    match term:
        case ast.Scalar(value):
            return value
        case ast.ArrayTerm(items):
            return [constant_value(item) for item in items]
        case ast.SetTerm(items):
            return RegoSet.of(map(constant_value, items))
        case ast.ObjectTerm(pairs):
            return {freeze(constant_value(key)): constant_value(value) for key, value in pairs}
    raise AssertionError(term)


def is_ground(ref: ast.Ref) -> bool:
    """Return whether every part of a reference is constant."""
    return all(map(is_constant, ref.path))


def ground_prefix(ref: ast.Ref) -> ast.Ref:
    """Return a reference up to its first part that is not constant."""
    for index, term in enumerate(ref.path):
        if not is_constant(term):
            return ast.Ref(ref.head, ref.path[:index], ref.location)
    return ref


def constant_term(value: Value) -> ast.Term:
    """Return a value as a term."""
    match value:
        case list():
            return ast.ArrayTerm(tuple(map(constant_term, value)))
        case dict():
            pairs = ((thaw(key), part) for key, part in value.items())
            return ast.ObjectTerm(tuple((constant_term(k), constant_term(v)) for k, v in pairs))
        case RegoSet():
            return ast.SetTerm(tuple(map(constant_term, value)))
    return ast.Scalar(value)
