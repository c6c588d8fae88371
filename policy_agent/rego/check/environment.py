"""What is known about the types of variables and documents at one place of a policy.

Pure. Follows OPA v1.22 v1/ast/env.go (TypeEnv).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.constants import constant_value, is_constant
from policy_agent.rego.check.type_tree import TypeTree
from policy_agent.rego.check.types import Type, select, union, values_of
from policy_agent.rego.values import Frozen, freeze

ROOTS = frozenset({"input", "data"})


class Environment:
    """A layer of known types over others.

    Attributes:
        tree: what this layer knows, by paths from a variable, `input`, `data` or a built-in.
        variables: the tree that newly found types of variables go to; `tree` itself but for the
            layers that `with` makes.
        below: the layer that is asked next.
        check_body: checks a comprehension's body over a layer and returns the layer that knows its
            variables, None when the body has problems.
        checked: what `check_body` needs to remember of this layer.
    """

    __slots__ = ("below", "check_body", "checked", "tree", "variables")

    def __init__(
        self,
        check_body: Callable[[Environment, ast.Body], Environment | None],
        below: Environment | None = None,
        tree: TypeTree | None = None,
    ) -> None:
        self.tree = TypeTree() if tree is None else tree
        self.variables = self.tree
        self.below = below
        self.check_body = check_body
        self.checked: dict[int, Any] = {}

    def layer(self) -> Environment:
        """Return a new layer over this one."""
        return Environment(self.check_body, self)

    def with_layer(self, tree: TypeTree | None = None) -> Environment:
        """Return a new layer whose variables are known here too."""
        made = Environment(self.check_body, self, tree)
        made.variables = self.variables
        return made

    def changes(self) -> int:
        """Return how often what is known here has changed."""
        return self.tree.changes + (self.below.changes() if self.below is not None else 0)

    def knows(self, variable: ast.Var) -> bool:
        """Return whether anything is known of a variable or of what is below it."""
        if variable in self.tree.children:
            return True
        return self.below is not None and self.below.knows(variable)

    def learn(self, variable: ast.Var, type_: Type | None) -> None:
        """Set the type of a variable."""
        self.variables.put((variable,), type_)

    def type_of(self, term: ast.Statement) -> Type | None:
        """Return the type of a term, None when unknown."""
        match term:
            case ast.Scalar(value):
                return types.type_of(value)
            case ast.TemplateString():
                return types.STRING
            case ast.Var():
                child = self.tree.child(term)
                if child is not None:
                    return child.type
                return self.below.type_of(term) if self.below is not None else None
            case ast.Ref():
                return self.type_of_ref(term)
            case ast.ArrayTerm() | ast.SetTerm() | ast.ObjectTerm():
                return self._collection(term)
            case ast.ArrayComprehension() | ast.SetComprehension() | ast.ObjectComprehension():
                return self._comprehension(term)
        return None

    def _collection(self, term: ast.ArrayTerm | ast.SetTerm | ast.ObjectTerm) -> Type:
        match term:
            case ast.ArrayTerm(items):
                return types.Array(tuple(map(self.type_of, items)))
            case ast.SetTerm(items):
                return types.Set(self._union(items))
            case ast.ObjectTerm(pairs):
                return self._object(pairs)

    def _comprehension(
        self, term: ast.ArrayComprehension | ast.SetComprehension | ast.ObjectComprehension
    ) -> Type | None:
        known = self.check_body(self, term.body)
        if known is None:
            return None
        match term:
            case ast.ArrayComprehension(inner):
                return types.Array((), known.type_of(inner))
            case ast.SetComprehension(inner):
                return types.Set(known.type_of(inner))
            case ast.ObjectComprehension(key, value):
                return types.Object({}, (known.type_of(key), known.type_of(value)))

    def _union(self, terms: Iterable[ast.Term]) -> Type | None:
        result: Type | None = None
        for term in terms:
            result = union(result, self.type_of(term))
        return result

    def _object(self, pairs: Iterable[tuple[ast.Term, ast.Term]]) -> Type:
        static: dict[Frozen, Type | None] = {}
        dynamic = None
        for key, value in pairs:
            if is_constant(key):
                static[freeze(constant_value(key))] = self.type_of(value)
            else:
                dynamic = (self.type_of(key), self.type_of(value))
        return types.make_object(static.items(), dynamic)

    def type_of_ref(self, ref: ast.Ref) -> Type | None:
        """Return the type of what a reference leads to, None when unknown."""
        if not isinstance(ref.head, ast.Var):
            return select_path(self.type_of(ref.head), ref.path)
        node = self.tree.child(ref.head)
        if node is None:
            return self._from_below(ref)
        for index, term in enumerate(ref.path):
            rest = ref.path[index:]
            if node.type is not None:
                child = node.child(term)
                if child is None:
                    return select_path(node.type, rest)
            elif not is_constant(term):
                return select_path(node.extent(), rest)
            else:
                child = node.child(term)
                if child is None:
                    return self._from_below(ref)
            node = child
        return node.extent()

    def _from_below(self, ref: ast.Ref) -> Type | None:
        if self.below is not None:
            return self.below.type_of_ref(ref)
        assert isinstance(ref.head, ast.Var)
        return types.ANY if ref.head.name in ROOTS else None


def select_path(type_: Type | None, path: Sequence[ast.Term]) -> Type | None:
    """Return the type of a part of a value, of any such part where the path is no constant."""
    for term in path:
        if type_ is None:
            return None
        type_ = select_term(type_, term)
    return type_


def select_term(type_: Type, term: ast.Term) -> Type | None:
    """Return the type of the part under one term."""
    match term:
        case ast.Scalar(value):
            return select(type_, value)
    return values_of(type_)
