"""Find the tests in Rego modules: rules named `test_...`, and `todo_test_...` to be skipped.

Pure. Follows OPA v1.22 v1/tester/runner.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.check.term_text import term_text
from policy_agent.rego.compile.compiled import Compiled
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    DATA,
    Node,
    call_name,
    descend,
    equality,
    is_equality,
    is_generated,
    operator,
)
from policy_agent.rego.compile.variables import variables

TEST_CASE: Final = "internal.test_case"
_TEST: Final = "test_"
_SKIPPED: Final = "todo_test_"
_EVALUATED: Final = (ast.Ref, *COMPREHENSIONS)


@dataclass(frozen=True, slots=True)
class RegoTest:
    """One test rule.

    Attributes:
        package: as OPA prints it, `data.orders.authz_test`.
        name: the rule's name below its package, as OPA prints it.
        path: the document's segments below `data`.
        location: of the rule.
        is_skipped: whether its name says that it is not to be run yet.
        has_cases: whether it is data-driven, `test_x[case] if ...`.
    """

    package: str
    name: str
    path: tuple[str, ...]
    location: Location
    is_skipped: bool
    has_cases: bool

    @property
    def full_name(self) -> str:
        """Return the name that reports show."""
        return f"{self.package}.{self.name}"

    @property
    def query(self) -> str:
        """Return the document's reference, which is also what a filter is matched against."""
        return term_text(_reference(self.path))


def find_tests(modules: Iterable[ast.Module]) -> list[RegoTest]:
    """Return the tests in the order of files and lines."""
    return [
        _test(module, rule, words)
        for module in sorted(modules, key=lambda each: each.file)
        for rule in module.rules
        if (words := _test_words(rule.head))
    ]


def with_numbered_tests(modules: Sequence[ast.Module]) -> list[ast.Module]:
    """Return modules in which a test that has the name of an earlier one has a number, too."""
    seen: Counter[tuple[str, ...]] = Counter()
    numbered: dict[str, ast.Module] = {}
    for module in sorted(modules, key=lambda each: each.file):
        rules = []
        for rule in module.rules:
            words = _test_words(rule.head)
            path = (*module.package, *words)
            if words and words[-1].startswith(_TEST):
                if seen[path]:
                    rule = _renamed(rule, len(words), f"{words[-1]}#{seen[path]:02}")
                seen[path] += 1
            rules.append(rule)
        numbered[module.file] = replace(module, rules=tuple(rules))
    return [numbered[module.file] for module in modules]


def with_marked_cases(compiled: Compiled) -> Compiled:
    """Return compiled modules whose data-driven tests tell which case they have come to.

    A call of `TEST_CASE` with the case's path is put into each such rule as early as the path is
    known, so that a case that fails later on has been told of.
    """
    modules = tuple(
        replace(module, rules=tuple(map(_with_marked_case, module.rules)))
        for module in compiled.modules
    )
    return replace(compiled, modules=modules)


def with_bound_values(compiled: Compiled) -> Compiled:
    """Return compiled modules whose tests bind what they compare to variables first.

    So its value is known where the comparison fails.
    """
    numbers = count()

    def bound(body: ast.Body) -> ast.Body:
        done: list[ast.Expr] = []
        for expr in body:
            statement = expr.statement
            if isinstance(statement, ast.Every):
                expr = replace(expr, statement=replace(statement, body=bound(statement.body)))
            elif isinstance(statement, ast.Call) and is_equality(expr) and not expr.generated:
                args: list[ast.Term] = []
                for term in statement.args:
                    if isinstance(term, _EVALUATED) and not expr.negated:
                        variable = ast.Var(f"__localt{next(numbers)}__", term.location)
                        given = equality(variable, term, term.location, generated=True)
                        done.append(replace(given, withs=expr.withs))
                        term = variable
                    args.append(term)
                expr = replace(expr, statement=replace(statement, args=tuple(args)))
            done.append(expr)
        return tuple(done)

    def rule(each: ast.Rule) -> ast.Rule:
        is_test = each.head.shown_name.startswith(_TEST)
        return replace(each, body=bound(each.body)) if is_test else each

    modules = tuple(
        replace(module, rules=tuple(map(rule, module.rules))) for module in compiled.modules
    )
    return replace(compiled, modules=modules)


def _test(module: ast.Module, rule: ast.Rule, words: tuple[str, ...]) -> RegoTest:
    first, *rest = words
    name = term_text(ast.Ref(ast.Var(first), tuple(map(ast.Scalar, rest))))
    head = rule.head
    return RegoTest(
        package=term_text(_reference(module.package)),
        name=name,
        path=(*module.package, *words),
        location=rule.location,
        is_skipped=words[-1].startswith(_SKIPPED),
        has_cases=head.value is not None and not all(map(_is_scalar, head.reference.path)),
    )


def _test_words(head: ast.Head) -> tuple[str, ...]:
    """Return a reference up to the word that makes it a test, () for other rules."""
    words = [head.name]
    for part in head.reference.path:
        if words[-1].startswith((_TEST, _SKIPPED)):
            break
        if not isinstance(part, ast.Scalar) or not isinstance(part.value, str):
            return ()
        words.append(part.value)
    return tuple(words) if words[-1].startswith((_TEST, _SKIPPED)) else ()


def _reference(path: Iterable[str]) -> ast.Ref:
    return ast.Ref(ast.Var(DATA), tuple(map(ast.Scalar, path)))


def _is_scalar(term: ast.Term) -> bool:
    return isinstance(term, ast.Scalar)


def _renamed(rule: ast.Rule, length: int, name: str) -> ast.Rule:
    reference = rule.head.reference
    if length == 1:
        new = replace(reference, head=ast.Var(name, reference.location))
    else:
        path = list(reference.path)
        path[length - 2] = ast.Scalar(name, path[length - 2].location)
        new = replace(reference, path=tuple(path))
    return replace(rule, head=replace(rule.head, reference=new))


def _with_marked_case(rule: ast.Rule) -> ast.Rule:
    words = _test_words(rule.head)
    case = rule.head.reference.path[len(words) - 1 :] if words else ()
    calls = (call_name(each) for each in descend(rule.body) if isinstance(each, ast.Expr))
    if not case or not words[-1].startswith(_TEST) or TEST_CASE in calls:
        return rule
    body = rule.body
    for part in case:
        body = _with_early_assignment(body, part)
    names = {part.name for part in case if isinstance(part, ast.Var)}
    known = _first_mention_of_all(body, names)
    at = rule.head.location
    call = ast.Call(operator(TEST_CASE, at), (ast.ArrayTerm(case, at),), at)
    marked = (*body[:known], ast.Expr(call, generated=True, location=at), *body[known:])
    return replace(rule, body=marked)


def _with_early_assignment(body: ast.Body, part: ast.Term) -> ast.Body:
    """Return a body in which what the compiler assigns to a part of the head stands early."""
    for index, expr in enumerate(body):
        if expr.generated and is_equality(expr) and isinstance(expr.statement, ast.Call):
            target, value = expr.statement.args
            if target == part:
                needed = {name for name in variables(value) if is_generated(name)}
                place = min(index, _first_mention_of_all(body[:index], needed))
                rest = body[:index] + body[index + 1 :]
                return (*rest[:place], expr, *rest[place:])
    return body


def _first_mention_of_all(body: ast.Body, names: Iterable[str]) -> int:
    """Return how many expressions it takes until each of some variables is mentioned."""
    needed = 0
    for name in names:
        mentions = (index for index, expr in enumerate(body) if _mentions(expr, name))
        needed = max(needed, next(mentions, len(body) - 1) + 1)
    return needed


def _mentions(node: Node, name: str) -> bool:
    return name in variables(node)
