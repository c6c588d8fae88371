"""Answer `rego.metadata.rule()` and `rego.metadata.chain()` with what the policy's comments say.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteRegoMetadataCalls) and annotations.go (Chain).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import (
    alternatives,
    append_to_body,
    call_name,
    descend,
    equality,
    rebuild,
    rebuild_bodies,
    rebuild_expr,
)

_CHAIN = "rego.metadata.chain"
_RULE = "rego.metadata.rule"
METADATA_CALLS: Final = frozenset({_CHAIN, _RULE})


class Metadata:
    """The pass; `modules` are all of the compilation, for annotations of other files."""

    def __init__(self, modules: Sequence[ast.Module], names: Names) -> None:
        self._modules = modules
        self._names = names

    def rule(self, rule: ast.Rule, module: ast.Module) -> ast.Rule:
        """Return a rule that holds the answers to its calls as constants."""
        done: ast.Rule | None = None
        for each in reversed(list(alternatives(rule))):
            done = replace(self._one(each, rule, module), orelse=done)
        assert done is not None
        return done

    def _one(self, rule: ast.Rule, first: ast.Rule, module: ast.Module) -> ast.Rule:
        alone = replace(rule, orelse=None)
        calls: dict[str, Location] = {}
        for node in descend(alone):
            if isinstance(node, ast.Expr) and (name := call_name(node)) in (_CHAIN, _RULE):
                calls.setdefault(name, node.location)
        if not calls:
            return rule
        found: dict[str, ast.Var] = {}
        bound: list[ast.Expr] = []
        for name in (_CHAIN, _RULE):
            if name in calls:
                is_chain = name == _CHAIN
                answer = (
                    annotation_chain(first, module, self._modules)
                    if is_chain
                    else self._own(first, module)
                )
                term = _term(answer, calls[name])
                found[name], expr = self._names.bind(term)
                bound.append(expr)
        answered = rebuild_bodies(alone, lambda term: _in_term(term, found), _Answers(found).body)
        return replace(answered, body=append_to_body(tuple(bound), answered.body))

    def _own(self, rule: ast.Rule, module: ast.Module) -> dict[str, Any]:
        own = _of_rule(rule, module)
        return _json(own[0]) if own else {}


def annotation_chain(
    rule: ast.Rule, module: ast.Module, modules: Sequence[ast.Module]
) -> list[dict[str, Any]]:
    """Return what is said of a rule, of its document, its package and those above, in this order.

    Args:
        module: the rule's.
        modules: all of the compilation.

    Returns:
        Objects with a `path` and, but for a rule of which nothing is said, `annotations`.
    """
    path = [*module.package, *_ground(rule)]
    chain: list[dict[str, Any]] = [
        {"path": path, "annotations": _json(each)} for each in reversed(_of_rule(rule, module))
    ]
    chain = chain or [{"path": path}]
    chain += [
        {"path": list(each.target), "annotations": _json(each)}
        for each in _outer(module.package, path, modules)
    ]
    return chain


def _outer(
    package: tuple[str, ...], path: list[str], modules: Sequence[ast.Module]
) -> Iterator[ast.Annotations]:
    every = [each for module in modules for each in module.annotations]
    own = list(package)
    for each in every:
        if each.scope == "document" and list(each.target) == path:
            yield each
            break
    for each in every:
        if each.scope == "package" and list(each.target) == own:
            yield each
            break
    outer = [
        each
        for each in every
        if each.scope == "subpackages" and list(each.target) == own[: len(each.target)]
    ]
    yield from sorted(outer, key=lambda each: -len(each.target))


class _Answers:
    """Replaces the calls in bodies by the variables that hold the answers."""

    def __init__(self, found: Mapping[str, ast.Var]) -> None:
        self._found = found

    def body(self, body: ast.Body) -> ast.Body:
        return tuple(self._expr(expr) for expr in body)

    def _expr(self, expr: ast.Expr) -> ast.Expr:
        answer = self._found.get(call_name(expr))
        if answer is None:
            return rebuild_expr(expr, lambda term: _in_term(term, self._found), self.body)
        assert isinstance(expr.statement, ast.Call)
        if not expr.statement.args:
            return replace(expr, statement=answer, generated=True)
        return equality(expr.statement.args[0], answer, expr.location, generated=True)


def _in_term(term: ast.Term, found: Mapping[str, ast.Var]) -> ast.Term:
    return rebuild(term, lambda each: _in_term(each, found), _Answers(found).body)


def _ground(rule: ast.Rule) -> list[str]:
    path = [rule.head.name]
    for part in rule.head.reference.path:
        if not isinstance(part, ast.Scalar):
            break
        path.append(part.value)
    return path


def _of_rule(rule: ast.Rule, module: ast.Module) -> list[ast.Annotations]:
    """Return the annotations of scope `rule` that stand directly before a rule."""
    before = max(
        (other.location.row for other in module.rules if other.location.row < rule.location.row),
        default=0,
    )
    return [
        each
        for each in module.annotations
        if each.scope == "rule" and before <= each.location.row < rule.location.row
    ]


def _json(annotations: ast.Annotations) -> dict[str, Any]:
    return {"scope": annotations.scope, **annotations.fields}


def _term(value: Any, location: Location) -> ast.Term:
    """Return the constant term of a JSON document."""
    if isinstance(value, Mapping):
        pairs = tuple((_term(key, location), _term(item, location)) for key, item in value.items())
        return ast.ObjectTerm(pairs, location)
    if isinstance(value, list | tuple):
        return ast.ArrayTerm(tuple(_term(item, location) for item in value), location)
    return ast.Scalar(value, location)
