"""Order bodies so that every variable has a value where it is used; refuse where none is possible.

Pure. Follows OPA v1.22 v1/ast/compile.go (reorderBodyForSafety).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec.structs import replace

from policy_agent.errors import Location, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import (
    CLOSURES,
    COMPREHENSIONS,
    OUTSIDE_CLOSURES,
    Node,
    descend,
    is_equality,
    is_generated,
    rebuild,
    rebuild_expr,
)
from policy_agent.rego.compile.outputs import (
    Arity,
    outputs_of_body,
    outputs_of_equality,
    outputs_of_expr,
)
from policy_agent.rego.compile.problems import UNSAFE_ERROR
from policy_agent.rego.compile.variables import FOR_SAFETY, OPERANDS, variables

_LOGICAL: Final = (ast.LogicalNot, ast.LogicalAnd, ast.LogicalOr)
_FUTURE_KEYWORDS = frozenset({"contains", "every", "if", "in", "not", "and", "or"})


class BodySafety:
    """Orders one body with everything inside it.

    Attributes:
        unsafe: expressions that cannot be placed, with their variables without value.
    """

    def __init__(self, arity: Arity) -> None:
        self.unsafe: list[tuple[ast.Expr, set[str]]] = []
        self._arity = arity
        self._needed = dict(FOR_SAFETY)
        self._needed.update(dict.fromkeys(_LOGICAL, self._operand_variables))

    def body(self, body: ast.Body, outer: AbstractSet[str]) -> ast.Body:
        """Return a body in a safe order; `outer` variables have a value before it."""
        order = self._order(body, outer)
        known = set(outer)
        done = []
        for index in order:
            expr = body[index]
            if isinstance(expr.statement, ast.Every):
                known |= variables(_iterated(expr.statement)).keys()
            done.append(self._inside(expr, known))
            known |= variables(expr, self._needed).keys()
        return tuple(done) if len(order) == len(body) else body

    def _order(self, body: ast.Body, outer: AbstractSet[str]) -> list[int]:
        needs = [set(variables(expr, self._needed)) - outer for expr in body]
        inside = variables(body, self._needed).keys()
        closed = [(_closed_over(expr) & inside) - outer for expr in body]
        safe = inside & outer
        order: list[int] = []
        placed: set[int] = set()
        progress = True
        while progress:
            progress = False
            for index, expr in enumerate(body):
                if index in placed:
                    continue
                outputs = outputs_of_expr(expr, self._arity, safe)
                if closed[index]:
                    # OPA asks for what the placed ones give beyond `safe`, where that mostly is
                    # already, so that it refuses some bodies that could run.
                    given = outputs_of_body((body[i] for i in order), self._arity, safe)
                    missing = closed[index] - given
                    if missing and missing == outputs:
                        continue
                    needs[index] |= missing
                needs[index] -= outputs | safe
                if not needs[index]:
                    order.append(index)
                    placed.add(index)
                    safe |= outputs
                    progress = True
        self.unsafe.extend(
            (expr, needs[index]) for index, expr in enumerate(body) if index not in placed
        )
        return order

    def _inside(self, expr: ast.Expr, known: set[str]) -> ast.Expr:
        def on_term(term: ast.Term) -> ast.Term:
            if not isinstance(term, COMPREHENSIONS):
                return rebuild(term, on_term, on_body)
            if isinstance(term, ast.ObjectComprehension):
                used = variables((term.key, term.value)).keys()
            else:
                used = variables(term.term).keys()
            given = variables(term.body, self._needed).keys() | known
            if missing := used - given:
                self.unsafe.append((expr, missing))
            return replace(term, body=on_body(term.body))

        def on_body(body: ast.Body) -> ast.Body:
            return self.body(body, known)

        return rebuild_expr(expr, on_term, on_body)

    def _operand_variables(self, node: Node) -> list[ast.Var]:
        """Return the variables that operands without braces need from outside of them."""
        if isinstance(node, ast.LogicalNot):
            bodies = [] if node.explicit else [node.body]
        else:
            bodies = [] if node.explicit_left else [node.left]
            bodies += [] if node.explicit_right else [node.right]
        return [
            ast.Var(name, body[0].location)
            for body in bodies
            for name in self._needed_outside(body)
        ]

    def _needed_outside(self, body: ast.Body) -> set[str]:
        """Return the variables of an operand that no expression of it gives another of it."""
        occurring = [variables(expr, FOR_SAFETY).keys() for expr in body]
        every = {name for names in occurring for name in names}
        if len(body) == 1:
            return every
        safe = {"input", "data"} | every
        for expr in body:
            if is_equality(expr) and isinstance(expr.statement, ast.Call):
                safe -= {arg.name for arg in expr.statement.args if isinstance(arg, ast.Var)}
        bound: set[str] = set()
        changed = True
        while changed:
            changed = False
            for expr in body:
                if is_equality(expr):
                    new = outputs_of_equality(expr, safe) - bound
                    changed = changed or bool(new)
                    bound |= new
                    safe |= new
        for expr in body:
            if isinstance(expr.statement, ast.Call) and not is_equality(expr):
                bound |= self._call_outputs(expr.statement)
        return {
            name
            for name in every
            if name not in bound or sum(name in names for names in occurring) == 1
        }

    def _call_outputs(self, call: ast.Call) -> set[str]:
        arity = self._arity(call.operator)
        if arity is None or arity >= len(call.args):
            return set()
        return set(variables(call.args[arity:], OPERANDS))


def _iterated(every: ast.Every) -> tuple[ast.Var, ...]:
    return (every.value,) if every.key is None else (every.key, every.value)


def _closed_over(expr: ast.Expr) -> set[str]:
    """Return the variables that occur in the closures of an expression."""
    return {
        name
        for node in descend(expr, OUTSIDE_CLOSURES)
        if isinstance(node, CLOSURES)
        for name in variables(node.body if isinstance(node, ast.Every) else node)
    }


def unsafe_problems(
    unsafe: list[tuple[ast.Expr, set[str]]], rewritten: Mapping[str, str], scope: str
) -> list[PolicyProblem]:
    """Return OPA's errors for what is unsafe.

    Args:
        unsafe: expressions and their variables without value.
        rewritten: local name -> name as written.
        scope: ` in rule x` where rules share a line.
    """
    first: dict[str, Location] = {}
    for expr, names in unsafe:
        for name in sorted(names):
            known = first.get(name)
            if known is None or _place(expr.location) < _place(known):
                first[name] = expr.location
    assigned = _assigned(unsafe, rewritten)
    shown = [
        (at, rewritten.get(name, name), name)
        for name, at in sorted(first.items(), key=lambda item: (_place(item[1]), item[0]))
        if not is_generated(rewritten.get(name, name))
    ]
    others = [each for each in shown if not {each[1], each[2]} & assigned]
    problems = [
        PolicyProblem(UNSAFE_ERROR, f"var {shown_name(name)} is unsafe{scope}{_hint(name)}", at)
        for at, name, _ in (others or shown)
    ]
    if problems:
        return problems
    seen: set[str] = set()
    for expr, names in sorted(unsafe, key=lambda pair: _place(pair[0].location)):
        generated = {name for name in names if is_generated(name)} - seen
        if generated:
            seen |= generated
            message = f"expression is unsafe{scope}"
            problems.append(PolicyProblem(UNSAFE_ERROR, message, expr.location))
    return problems


def shown_name(name: str) -> str:
    """Return a variable as an author knows it."""
    return "_" if name.startswith("$") else name


def _hint(name: str) -> str:
    if name not in _FUTURE_KEYWORDS:
        return ""
    return f" (hint: `import future.keywords.{name}` to import a future keyword)"


def _assigned(unsafe: list[tuple[ast.Expr, set[str]]], rewritten: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for expr, _ in unsafe:
        if expr.assignment and isinstance(expr.statement, ast.Call):
            for name in variables(expr.statement.args[0]):
                found |= {name, rewritten.get(name, name)}
    return found


def _place(at: Location) -> tuple[str, int, int]:
    return (at.file, at.row, at.col)
