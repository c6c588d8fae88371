"""Resolve imports and names of the package to references below `data` and `input`.

Pure. Follows OPA v1.22 v1/ast/compile.go (resolveAllRefs). `input` and `data` alone, variables to
the parser, become references without path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.compile.declared import declared_variables
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    DATA,
    ROOTS,
    children,
    each_changed,
    rebuild,
    rebuild_expr,
)
from policy_agent.rego.compile.problems import COMPILE_ERROR, Problems
from policy_agent.rego.compile.variables import variables

Globals = Mapping[str, ast.Ref]
_NOT_DOCUMENTS = frozenset({"future", "rego"})


def data_reference(path: Iterable[str], location: Location) -> ast.Ref:
    """Return `data.<path>`."""
    parts = tuple(ast.Scalar(part, location) for part in path)
    return ast.Ref(ast.Var(DATA, location), parts, location)


def exported_names(modules: Sequence[ast.Module]) -> dict[tuple[str, ...], set[str]]:
    """Return the names that each package's rules define."""
    names: dict[tuple[str, ...], set[str]] = {}
    for module in modules:
        names.setdefault(module.package, set()).update(rule.head.name for rule in module.rules)
    return names


def global_names(
    package: tuple[str, ...], names: Iterable[str], imports: Sequence[ast.Import]
) -> dict[str, ast.Ref]:
    """Return what each name stands for outside of any rule: rules first, imports over them."""
    found = {name: data_reference((*package, name), ast.NOWHERE) for name in names}
    for each in imports:
        assert isinstance(each.path.head, ast.Var)
        if each.path.head.name not in _NOT_DOCUMENTS:
            found[import_name(each)] = each.path
    return found


def import_name(each: ast.Import) -> str:
    """Return the name that an import defines."""
    if each.alias:
        return each.alias
    assert isinstance(each.path.head, ast.Var)
    if not each.path.path:
        return each.path.head.name
    last = each.path.path[-1]
    return str(last.value) if isinstance(last, ast.Scalar) else ""


def resolve_module(module: ast.Module, exported: set[str], problems: Problems) -> ast.Module:
    """Return a module whose references all begin at `data`, `input` or a local variable."""
    names = global_names(module.package, exported, module.imports)
    rules = tuple(_resolve_rule(rule, names, None, problems) for rule in module.rules)
    return replace(module, rules=rules)


def resolve_query(body: ast.Body, names: Globals) -> ast.Body:
    """Return a query whose references all begin at `data`, `input` or a local variable."""
    return _Resolver(names, [declared_variables(body)]).body(body)


def _resolve_rule(
    rule: ast.Rule, names: Globals, args: tuple[ast.Term, ...] | None, problems: Problems
) -> ast.Rule:
    head = rule.head
    args = head.args if head.args is not None else args
    for arg in args or ():
        if isinstance(arg, ast.Var | ast.Ref) and (shadowed := _root_name(arg)):
            problems.add(
                COMPILE_ERROR,
                f"args must not shadow {shadowed} (use a different variable name)",
                rule.location,
            )
    resolver = _Resolver(names, [_pattern_variables(args or ()), declared_variables(rule.body)])
    path = tuple(map(resolver.term, head.reference.path))
    head = replace(
        head,
        reference=replace(head.reference, path=path),
        args=args,
        key=None if head.key is None else resolver.term(head.key),
        value=None if head.value is None else resolver.term(head.value),
    )
    orelse = rule.orelse and _resolve_rule(rule.orelse, names, args, problems)
    return replace(rule, head=head, body=resolver.body(rule.body), orelse=orelse)


def _root_name(term: ast.Var | ast.Ref) -> str:
    """Return `input` or `data` when a term is just that, "" otherwise."""
    head = term if isinstance(term, ast.Var) else term.head
    if isinstance(term, ast.Ref) and term.path:
        return ""
    return head.name if isinstance(head, ast.Var) and head.name in ROOTS else ""


def _pattern_variables(args: Iterable[ast.Term]) -> set[str]:
    """Return the variables that arguments bind: not in object keys, sets or closures."""
    found: set[str] = set()
    pending: list[ast.Term] = list(args)
    while pending:
        term = pending.pop()
        match term:
            case ast.Var():
                found.add(term.name)
            case ast.ObjectTerm():
                pending.extend(value for _, value in term.pairs)
            case ast.SetTerm() | ast.Call():
                pass
            case _ if not isinstance(term, COMPREHENSIONS):
                pending.extend(children(term))
    return found


class _Resolver:
    """One rule's or query's names.

    `ignored` holds the variables that the enclosing scopes declare.
    """

    def __init__(self, names: Globals, ignored: list[set[str]]) -> None:
        self._names = names
        self._ignored = ignored

    def body(self, body: ast.Body) -> ast.Body:
        return tuple(map(self.expr, body))

    def expr(self, expr: ast.Expr) -> ast.Expr:
        statement = expr.statement
        if isinstance(statement, ast.SomeDecl):
            symbols = tuple(
                self._call(symbol) if isinstance(symbol, ast.Call) else symbol
                for symbol in statement.symbols
            )
            done = replace(expr, statement=replace(statement, symbols=symbols))
        elif isinstance(statement, ast.Every):
            own = set(variables(statement.value))
            if statement.key is not None:
                own |= variables(statement.key).keys()
            self._ignored.append(own)
            done = rebuild_expr(expr, self.term, self.body)
            self._ignored.pop()
        elif isinstance(statement, ast.Call):
            call = self._call(statement)
            done = expr if call is statement else replace(expr, statement=call)
        else:
            without = replace(expr, withs=()) if expr.withs else expr
            done = rebuild_expr(without, self.term, self.body)
        if not expr.withs:
            return done
        withs = tuple(
            replace(each, target=self._reference(each.target), value=self.term(each.value))
            for each in expr.withs
        )
        return replace(done, withs=withs)

    def term(self, term: ast.Term) -> ast.Term:
        if type(term) is ast.Scalar:
            return term
        match term:
            case ast.Var():
                return self._variable(term)
            case ast.Ref():
                return self._reference(term)
            case ast.Call():
                return self._call(term)
            case ast.ArrayComprehension() | ast.SetComprehension() | ast.ObjectComprehension():
                self._ignored.append(declared_variables(term.body))
                done = rebuild(term, self.term, self.body)
                self._ignored.pop()
                return done
            case ast.TemplateString():
                parts = tuple(
                    self.expr(part) if isinstance(part, ast.Expr) else part for part in term.parts
                )
                return replace(term, parts=parts)
        return rebuild(term, self.term, self.body)

    def _lookup(self, name: str) -> ast.Ref | None:
        found = self._names.get(name)
        if found is None or any(name in scope for scope in self._ignored):
            return None
        return found

    def _variable(self, term: ast.Var) -> ast.Term:
        if term.name in ROOTS:
            return ast.Ref(term, (), term.location)
        found = self._lookup(term.name)
        return term if found is None else _at(found, term.location)

    def _reference(self, term: ast.Ref) -> ast.Ref:
        path = each_changed(term.path, self.term)
        if not isinstance(term.head, ast.Var):
            return replace(term, head=self.term(term.head), path=path)
        found = self._lookup(term.head.name)
        if found is None:
            return term if path is term.path else ast.Ref(term.head, path, term.location)
        moved = _at(found, term.head.location)
        return ast.Ref(moved.head, moved.path + path, term.location)

    def _call(self, term: ast.Call) -> ast.Call:
        args, called = each_changed(term.args, self.term), self._reference(term.operator)
        if args is term.args and called is term.operator:
            return term
        return ast.Call(called, args, term.location)


def _at(reference: ast.Ref, location: Location) -> ast.Ref:
    """Return a reference as if written at another place."""
    path = tuple(
        replace(part, location=location) if isinstance(part, ast.Scalar) else part
        for part in reference.path
    )
    return ast.Ref(replace(reference.head, location=location), path, location)
