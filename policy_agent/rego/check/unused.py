"""What strict mode refuses: imports, assigned variables and arguments that nothing uses.

Pure. Follows OPA v1.22 v1/ast/compile.go (checkUnusedImports, checkUnusedAssignedVars,
rewriteLocalVars).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policy_agent.errors import PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.problems import COMPILE_ERROR
from policy_agent.rego.check.term_text import ref_text, term_text
from policy_agent.rego.compile.nodes import (
    CLOSURES,
    Node,
    alternatives,
    call_name,
    children,
    descend,
    is_wildcard,
)
from policy_agent.rego.compile.variables import variables

_NOT_IMPORTED = frozenset({"future", "rego"})


def unused_problems(modules: Iterable[ast.Module]) -> Iterator[PolicyProblem]:
    """Iterate over what is unused in modules as parsed."""
    for module in modules:
        yield from _unused_imports(module)
        for rule in module.rules:
            for alternative in alternatives(rule):
                yield from _unused_assigned(alternative)
            yield from _unused_arguments(rule)


def import_name(imported: ast.Import) -> str:
    """Return the name under which an import is known in its module."""
    last = imported.path.path[-1] if imported.path.path else imported.path.head
    return imported.alias or (str(last.value) if isinstance(last, ast.Scalar) else term_text(last))


def import_text(imported: ast.Import) -> str:
    """Return an import as it is written."""
    alias = f" as {imported.alias}" if imported.alias else ""
    return f"import {ref_text(imported.path)}{alias}"


def _unused_imports(module: ast.Module) -> Iterator[PolicyProblem]:
    used: set[str] = set()
    for rule in module.rules:
        for alternative in alternatives(rule):
            own = variables(rule.head.args or ()).keys() | _declared(alternative.body)
            used |= variables((alternative.head, alternative.body)).keys() - own
    for imported in module.imports:
        if term_text(imported.path.head) in _NOT_IMPORTED or import_name(imported) in used:
            continue
        message = f"{import_text(imported)} unused"
        yield PolicyProblem(COMPILE_ERROR, message, imported.location)


def _declared(body: ast.Body) -> set[str]:
    """Return the variables that a body declares for itself."""
    found: set[str] = set()
    for expr in body:
        match expr.statement:
            case ast.SomeDecl(symbols):
                for symbol in symbols:
                    declared = symbol.args[:-1] if isinstance(symbol, ast.Call) else (symbol,)
                    found |= variables(declared).keys()
            case ast.Call(_, args) if call_name(expr) == "assign" and args:
                found |= variables(args[0]).keys()
    return found


def _unused_arguments(rule: ast.Rule) -> Iterator[PolicyProblem]:
    arguments = _positions(rule.head.args or ())
    places = [name for alternative in alternatives(rule) for name in _mentions(alternative.head)]
    seen = set(places)
    for alternative in alternatives(rule):
        seen |= _used_in_body(alternative.body)
    for name in sorted(arguments):
        if name not in seen and not is_wildcard(name):
            hint = "(hint: use _ (wildcard variable) instead)"
            message = f"unused argument {name}. {hint}"
            yield PolicyProblem(COMPILE_ERROR, message, rule.head.location)


def _positions(args: tuple[ast.Term, ...]) -> set[str]:
    """Return the variables that are mentioned once in arguments."""
    names = [node.name for node in descend(args) if isinstance(node, ast.Var)]
    return {name for name in names if names.count(name) == 1}


def _mentions(head: ast.Head) -> Iterator[str]:
    """Iterate over the variables of a head without its arguments."""
    terms = (*head.reference.path, *(part for part in (head.key, head.value) if part is not None))
    yield from variables(terms)


def _unused_assigned(rule: ast.Rule) -> Iterator[PolicyProblem]:
    """Iterate over the unused variables of the first body that has any, inner ones first."""
    for term in _comprehensions((rule.head.reference.path, rule.head.key, rule.head.value)):
        if found := _in_closure(term):
            yield from found
            return
    outside = set(_mentions(rule.head)) | variables(rule.head.args or ()).keys()
    yield from _in_body(rule.body, outside)


def _in_closure(node: Node) -> list[PolicyProblem]:
    """Return the unused variables of a comprehension or of what else has bodies."""
    match node:
        case ast.ArrayComprehension() | ast.SetComprehension():
            return _in_body(node.body, set(variables(node.term)))
        case ast.ObjectComprehension():
            return _in_body(node.body, set(variables((node.key, node.value))))
        case ast.Every() | ast.LogicalNot():
            return _in_body(node.body, set())
        case ast.LogicalAnd() | ast.LogicalOr():
            return _in_body(node.left, set()) or _in_body(node.right, set())
    return []


def _in_body(body: ast.Body, used_outside: set[str]) -> list[PolicyProblem]:
    for expr in body:
        for closure in _comprehensions(expr):
            if found := _in_closure(closure):
                return found
    problems = []
    for index, expr in enumerate(body):
        if call_name(expr) != "assign" or not isinstance(expr.statement, ast.Call):
            continue
        target = expr.statement.args[0]
        others = _used_in_body((*body[:index], *body[index + 1 :])) | _used_in(
            (*expr.statement.args[1:], *expr.withs)
        )
        for name in variables(target):
            if not is_wildcard(name) and name not in others | used_outside:
                message = f"assigned var {name} unused"
                problems.append(PolicyProblem(COMPILE_ERROR, message, expr.location))
    return problems


def _used_in_body(body: ast.Body) -> set[str]:
    """Return the variables that a body uses, but for those of inner bodies that hide them."""
    used: set[str] = set()
    for expr in body:
        used |= _used_in(expr)
    return used


def _used_in(node: Node) -> set[str]:
    match node:
        case ast.Var(name):
            return {name}
        case ast.ArrayComprehension() | ast.SetComprehension():
            return (_used_in(node.term) | _used_in_body(node.body)) - _declared(node.body)
        case ast.ObjectComprehension():
            inner = _used_in(node.key) | _used_in(node.value) | _used_in_body(node.body)
            return inner - _declared(node.body)
        case ast.Every():
            own = variables(tuple(each for each in (node.key, node.value) if each)).keys()
            return _used_in(node.domain) | (_used_in_body(node.body) - _declared(node.body) - own)
    return set().union(*map(_used_in, children(node)))


def _comprehensions(node: Node) -> Iterator[Node]:
    """Iterate over the outermost nodes with bodies of their own below a node."""
    if node is None:
        return
    if isinstance(node, CLOSURES):
        yield node
        return
    for each in children(node):
        yield from _comprehensions(each)
