"""Check that references lead somewhere.

Pure. Follows OPA v1.22 v1/ast/check.go (refChecker).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.compatible import compatible
from policy_agent.rego.check.constants import constant_term
from policy_agent.rego.check.environment import ROOTS, Environment
from policy_agent.rego.check.inference import fits
from policy_agent.rego.check.problems import CheckProblem, type_problem
from policy_agent.rego.check.term_text import ref_text, term_text
from policy_agent.rego.check.type_tree import TypeTree
from policy_agent.rego.check.types import AnyOf, Function, Object, Type, resolve
from policy_agent.rego.check.wording import type_text
from policy_agent.rego.compile.nodes import COMPREHENSIONS, Node, children, is_generated
from policy_agent.rego.values import Value, ordered, thaw

WriteRef: TypeAlias = Callable[[ast.Ref], ast.Ref]


class ReferenceCheck:
    """Checks every reference of an expression against what is known.

    Args:
        env: what is known; learns the types of variables that references give values to.
        as_written: gives a reference back the names its author used.
    """

    def __init__(self, env: Environment, as_written: WriteRef) -> None:
        self._env = env
        self._as_written = as_written

    def problems(self, expr: ast.Expr) -> list[CheckProblem]:
        """Return what is wrong with the references of an expression; `with` is left out."""
        found: list[CheckProblem] = []
        self._visit(expr, found)
        return found

    def _visit(self, node: Node, found: list[CheckProblem]) -> None:
        below: Iterable[Node]
        match node:
            case ast.Expr(ast.Call(_, args)):
                below = args
            case ast.Expr(statement):
                below = (statement,)
            case ast.Call(_, args):
                below = args
            case ast.Ref():
                problem = self._not_a_function(node) or self._ref(node)
                if problem is not None:
                    found.append(problem)
                below = children(node)
            case _:
                below = () if isinstance(node, COMPREHENSIONS) else children(node)
        for each in below:
            self._visit(each, found)

    def _not_a_function(self, ref: ast.Ref) -> CheckProblem | None:
        type_ = self._env.type_of_ref(ref)
        return self._unsupported(ref, len(ref.path), type_) if isinstance(type_, Function) else None

    def _ref(self, ref: ast.Ref) -> CheckProblem | None:
        if not isinstance(ref.head, ast.Var):
            type_ = self._env.type_of(ref.head)
            return None if type_ is None else self._value(type_, ref, 1)
        env: Environment | None = self._env
        while env is not None:
            known, problem = self._document(env, env.tree, ref, 0)
            if known or problem is not None:
                return problem
            env = env.below
        return None

    def _document(
        self, env: Environment, node: TypeTree, ref: ast.Ref, position: int
    ) -> tuple[bool, CheckProblem | None]:
        """Check a reference from one of its parts on; also return whether this layer knew it."""
        terms = (ref.head, *ref.path)
        while position < len(terms):
            term = terms[position]
            problem = self._document_key(node, ref, term, position)
            if problem is not None:
                return True, problem
            child = node.child(term)
            if child is None:
                if env.below is not None:
                    return False, None
                return True, self._open(env, node, ref, position)
            if child.type is not None:
                return True, self._value(child.type, ref, position + 1)
            node = child
            position += 1
        return True, None

    def _document_key(
        self, node: TypeTree, ref: ast.Ref, term: ast.Term, position: int
    ) -> CheckProblem | None:
        variable = isinstance(term, ast.Var)
        text = isinstance(term, ast.Scalar) and isinstance(term.value, str)
        # A package has a name, so the first two parts below a root are text.
        if position in (1, 2) and not variable and not text:
            have = self._env.type_of(term)
            return self._invalid(ref, position, have, types.STRING, node.known_keys())
        if isinstance(term, ast.Var) and position:
            keys = types.keys(node.extent())
            known = self._env.type_of(term)
            if known is None:
                self._env.learn(term, keys)
            elif not compatible(keys, known):
                return self._invalid(ref, position, known, keys, node.known_keys())
        return None

    def _open(
        self, env: Environment, node: TypeTree, ref: ast.Ref, position: int
    ) -> CheckProblem | None:
        assert isinstance(ref.head, ast.Var)
        if ref.head.name not in ROOTS:
            return self._value(types.ANY, ref, 0)
        if not position:
            return self._value(types.ANY, ref, 1)
        for child in node.children.values():
            self._document(env, child, ref, position + 1)
        return None

    def _value(self, type_: Type | None, ref: ast.Ref, position: int) -> CheckProblem | None:
        terms = (ref.head, *ref.path)
        while position < len(terms):
            term = terms[position]
            if _is_empty(type_):
                return self._invalid(ref, position, None, None, [])
            keys = types.keys(type_)
            if keys is None:
                return self._unsupported(ref, position - 1, type_)
            if isinstance(term, ast.Scalar):
                part = types.select(type_, term.value)
                if part is None:
                    return self._invalid(ref, position, None, keys, _choices(type_))
            else:
                problem = self._key(type_, ref, position, keys)
                if problem is not None:
                    return problem
                part = types.values_of(type_)
            type_ = part
            position += 1
        return None

    def _key(
        self, type_: Type | None, ref: ast.Ref, position: int, keys: Type
    ) -> CheckProblem | None:
        term = (ref.head, *ref.path)[position]
        if isinstance(term, ast.Var | ast.Ref):
            known = self._env.type_of(term)
            if known is not None and not compatible(known, keys):
                return self._invalid(ref, position, known, keys, _choices(type_))
            if known is None and isinstance(term, ast.Var):
                self._env.learn(term, keys)
        elif not fits(self._env, term, keys):
            return self._invalid(ref, position, self._env.type_of(term), keys, [])
        return None

    def _invalid(
        self,
        ref: ast.Ref,
        position: int,
        have: Type | None,
        want: Type | None,
        choices: list[Value],
    ) -> CheckProblem:
        written = self._as_written(ref)
        pad = " " * (len(ref_text(written, position)) + 1)
        term = (written.head, *written.path)[position]
        if have is None:
            lines = [f"{pad}have: {term_text(term)}"]
        else:
            lines = [f"{pad}have (type): {type_text(have)}"]
        if choices or want is None:
            listed = " ".join(term_text(constant_term(choice)) for choice in choices)
            lines.append(f"{pad}want (one of): [{listed}]")
        else:
            lines.append(f"{pad}want (type): {type_text(want)}")
        return _undefined(ref, written, [f"{pad}^", *lines])

    def _unsupported(self, ref: ast.Ref, position: int, have: Type | None) -> CheckProblem:
        written = self._as_written(ref)
        marks = "^" * len(ref_text(written, position + 1))
        lines = [marks, f"have: {type_text(have)}"]
        if not isinstance(have, Function):
            return _undefined(ref, written, lines)
        last = written.path[-1] if written.path else written.head
        generated = isinstance(last, ast.Var) and is_generated(last.name)
        name = ref_text(written, len(written.path)) if generated else ref_text(written)
        message = f"function {name} used as reference, not called"
        return type_problem(_place(ref), message, [ref_text(written), *lines])


def _undefined(ref: ast.Ref, written: ast.Ref, lines: list[str]) -> CheckProblem:
    text = ref_text(written)
    return type_problem(_place(ref), f"undefined ref: {text}", [text, *lines])


def _place(ref: ast.Ref) -> Location:
    return ref.head.location


def _is_empty(type_: Type | None) -> bool:
    match resolve(type_):
        case Object(static, dynamic):
            return not static and dynamic is None
        case types.Array(items, rest):
            return not items and rest is None
        case types.Set(of):
            return of is None
    return False


def _choices(type_: Type | None) -> list[Value]:
    found: dict[object, Value] = {}
    pending = [type_]
    while pending:
        match resolve(pending.pop()):
            case Object(static):
                found.update((key, thaw(key)) for key in static)
            case AnyOf(members):
                pending.extend(members)
    return ordered(found.values())
