"""The types of documents by their paths, as rules, schemas and `with` have made them known.

Pure. Follows OPA v1.22 v1/ast/env.go (typeTreeNode).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.types import AnyOf, Object, Set, Type, resolve, union
from policy_agent.rego.values import FrozenBool, freeze, ordered, thaw

Key: TypeAlias = Any
KeyType: TypeAlias = Callable[[ast.Term], Type | None]


def key_of(term: ast.Term) -> Key:
    """Return what a part of a path is stored under: text and numbers as they are."""
    return freeze(term.value) if isinstance(term, ast.Scalar) else term


class TypeTree:
    """One document: its type if known, and the documents below it.

    Attributes:
        changes: how often types have been set by paths from here.
    """

    __slots__ = ("changes", "children", "type")

    def __init__(self) -> None:
        self.changes = 0
        self.type: Type | None = None
        self.children: dict[Key, TypeTree] = {}

    def child(self, term: ast.Term) -> TypeTree | None:
        """Return the document directly below under a term."""
        return self.children.get(key_of(term))

    def put(self, path: Iterable[ast.Term], type_: Type | None) -> None:
        """Set the type of the document at a path."""
        self.changes += 1
        node = self
        for term in path:
            node = node.children.setdefault(key_of(term), TypeTree())
        node.type = type_

    def insert(self, path: Sequence[ast.Term], type_: Type, key_type: KeyType) -> None:
        """Add to the type at a path and to every object type above it; the path is ground.

        Args:
            path: from the root.
            type_: what the rule at the path gives.
            key_type: the type of a term.
        """
        self.changes += 1
        node = self
        for index, term in enumerate(path):
            rest = path[index + 1 :]
            node = node.children.setdefault(key_of(term), TypeTree())
            known = resolve(node.type)
            if rest and isinstance(known, Object):
                node.type = _insert_below(known, [key_type(each) for each in rest], type_)
        node.type = merge(node.type, type_)
        known = resolve(node.type)
        if isinstance(resolve(type_), Object) and isinstance(known, Object):
            for leaf_keys, leaf in list(node._leaves(())):
                known = _insert_below(known, [types.type_of(thaw(k)) for k in leaf_keys], leaf)
            node.type = known

    def _leaves(self, above: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], Type]]:
        for key, child in self.children.items():
            path = (*above, key)
            if child.type is not None:
                yield path, child.type
            else:
                yield from child._leaves(path)

    def extent(self) -> Type:
        """Return the type of the whole document: an object of all that is known below it."""
        if self.type is not None:
            return self.type
        named = {
            key: child.extent()
            for key, child in self.children.items()
            if isinstance(key, str | int | Decimal | FrozenBool)
        }
        return types.make_object(named.items(), (types.STRING, types.ANY))

    def known_keys(self) -> list[Any]:
        """Return the keys below it in Rego's order."""
        return ordered(thaw(key) for key in self.children if not isinstance(key, ast.Var))


def _insert_below(thing: Object, path: list[Type | None], type_: Type | None) -> Object:
    if not path:
        return thing
    if len(path) > 1:
        type_ = _insert_below(Object(), path[1:], type_)
    if thing.dynamic is None:
        return Object(thing.static, (path[0], type_))
    key, value = thing.dynamic
    return Object(thing.static, (union(key, path[0]), union(value, type_)))


def merge(left: Type | None, right: Type | None) -> Type | None:
    """Return the type of a document that two rules define."""
    if left is None or right is None:
        return right if left is None else left
    left, right = resolve(left), resolve(right)
    match left, right:
        case Object(), Object() if not left.static and not right.static:
            if left.dynamic is None or right.dynamic is None:
                return right if left.dynamic is None else left
            keys = union(left.dynamic[0], right.dynamic[0])
            return Object({}, (keys, merge(left.dynamic[1], right.dynamic[1])))
        case Object(), AnyOf() if not left.static and left.dynamic is not None:
            return _merge_into(right, left) or union(left, right)
        case AnyOf(), Object() if not right.static and right.dynamic is not None:
            return _merge_into(left, right) or union(left, right)
        case Set(), Set():
            return Set(union(left.of, right.of))
    return union(left, right)


def _merge_into(several: AnyOf, one: Object) -> AnyOf | None:
    """Return `several` with its first object of no known keys widened, None without such."""
    assert one.dynamic is not None
    for index, member in enumerate(several.members):
        if isinstance(member, Object) and not member.static and member.dynamic is not None:
            key, value = member.dynamic
            wider = Object({}, (union(key, one.dynamic[0]), union(value, one.dynamic[1])))
            return AnyOf((*several.members[:index], wider, *several.members[index + 1 :]))
    return None
