"""Find the types of variables from what their terms must fit.

Pure. Follows OPA v1.22 v1/ast/check.go (unify1, unify2).
"""

from __future__ import annotations

from policy_agent.rego import ast
from policy_agent.rego.check.compatible import compatible
from policy_agent.rego.check.constants import constant_value, is_constant
from policy_agent.rego.check.environment import Environment
from policy_agent.rego.check.types import (
    ANY,
    AnyOf,
    Array,
    Object,
    Set,
    Type,
    is_any,
    is_unknown,
    item,
    resolve,
    select,
    union,
)
from policy_agent.rego.values import freeze


def fits(env: Environment, term: ast.Term, type_: Type | None, *, widen: bool = False) -> bool:
    """Return whether a term can be of a type; its variables of unknown type take theirs from it.

    Args:
        env: learns the types.
        term: any term.
        type_: what the place of the term takes.
        widen: variables are of this type or of those found before.
    """
    match term:
        case ast.Var():
            return _variable_fits(env, term, type_, widen=widen)
        case ast.ArrayTerm() | ast.ObjectTerm() | ast.SetTerm():
            return _collection_fits(env, term, type_, widen=widen)
        case ast.Call() | ast.TemplateString():
            return True
    return compatible(env.type_of(term), type_)


def _variable_fits(env: Environment, variable: ast.Var, type_: Type | None, *, widen: bool) -> bool:
    known = env.type_of(variable)
    if widen:
        env.learn(variable, union(known, type_))
    elif known is not None:
        return compatible(known, type_)
    else:
        env.learn(variable, type_)
    return True


def _collection_fits(
    env: Environment,
    term: ast.ArrayTerm | ast.ObjectTerm | ast.SetTerm,
    type_: Type | None,
    *,
    widen: bool,
) -> bool:
    if isinstance(type_, AnyOf):
        if is_any(type_):
            for part in _parts(term):
                fits(env, part, ANY, widen=True)
            return True
        found = [fits(env, term, member, widen=True) for member in type_.members]
        return any(found)
    match term, resolve(type_):
        case ast.ArrayTerm(items), Array(static, dynamic) as array:
            if len(items) != len(static) and dynamic is None:
                return False
            return all(
                fits(env, each, item(array, position), widen=widen)
                for position, each in enumerate(items)
            )
        case ast.ObjectTerm(), Object() as thing:
            return _object_fits(env, term, thing, widen=widen)
        case ast.SetTerm(items), Set(of):
            return all(fits(env, each, of, widen=widen) for each in items)
    return False


def _parts(term: ast.ArrayTerm | ast.ObjectTerm | ast.SetTerm) -> tuple[ast.Term, ...]:
    if isinstance(term, ast.ObjectTerm):
        return tuple(part for pair in term.pairs for part in pair)
    return term.items


def _object_fits(env: Environment, term: ast.ObjectTerm, thing: Object, *, widen: bool) -> bool:
    if len(term.pairs) != len(thing.static) and thing.dynamic is None:
        return False
    for key, value in term.pairs:
        if not is_constant(key):
            # Which property it meets is not known.
            fits(env, value, ANY, widen=widen)
            continue
        part = select(thing, constant_value(key))
        if part is None or not fits(env, value, part, widen=widen):
            return False
    return True


def unify(env: Environment, left: ast.Term, right: ast.Term) -> bool:
    """Return whether two terms can be equal; variables of unknown type take theirs from it."""
    one, two = env.type_of(left), env.type_of(right)
    unknown = is_unknown(one), is_unknown(two)
    if unknown == (True, False):
        return fits(env, left, two)
    if unknown == (False, True):
        return fits(env, right, one)
    if unknown == (False, False):
        return compatible(one, two)
    if isinstance(left, ast.Var | ast.ArrayTerm | ast.ObjectTerm):
        done = _unify_unknown(env, left, right)
        if done is not None:
            return done
    if isinstance(left, ast.Var) and one is None and two is not None:
        return fits(env, left, two)
    if isinstance(right, ast.Var) and two is None and one is not None:
        return fits(env, right, one)
    return False


def _unify_unknown(
    env: Environment, left: ast.Var | ast.ArrayTerm | ast.ObjectTerm, right: ast.Term
) -> bool | None:
    """Return whether two terms of unknown types can be equal, None when they are no such terms."""
    match left, right:
        case ast.ArrayTerm(), ast.ArrayTerm():
            return len(left.items) == len(right.items) and all(
                unify(env, *pair) for pair in zip(left.items, right.items, strict=True)
            )
        case ast.ObjectTerm(), ast.ObjectTerm():
            return _unify_objects(env, left, right)
        case ast.Var(), (ast.ArrayTerm() | ast.ObjectTerm()):
            return fits(env, right, ANY) and fits(env, left, env.type_of(right))
        case _, ast.Var():
            return fits(env, left, ANY) and fits(env, right, env.type_of(left))
    return None


def _unify_objects(env: Environment, left: ast.ObjectTerm, right: ast.ObjectTerm) -> bool:
    def by_key(term: ast.ObjectTerm) -> dict[object, ast.Term]:
        return {
            freeze(constant_value(key)) if is_constant(key) else key: value
            for key, value in term.pairs
        }

    one, two = by_key(left), by_key(right)
    return one.keys() == two.keys() and all(
        unify(env, value, two[key]) for key, value in one.items()
    )
