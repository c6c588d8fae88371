"""Check that called functions exist, take so many arguments, and are not deprecated or refused.

Pure. Follows OPA v1.22 v1/ast/compile.go (checkUndefinedFuncs, checkUnsafeBuiltins) and
rego_v1.go (checkDeprecatedBuiltins).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from policy_agent.errors import PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.calls import Wanted, argument_problem
from policy_agent.rego.check.environment import Environment
from policy_agent.rego.check.problems import type_problem
from policy_agent.rego.check.references import WriteRef
from policy_agent.rego.check.signatures import DEPRECATED
from policy_agent.rego.check.term_text import ref_text, term_text
from policy_agent.rego.check.types import Function
from policy_agent.rego.compile.nodes import Node, call_name, children, descend


def call_problems(
    node: Node, arity: Callable[[ast.Ref], int | None], known: Environment, as_written: WriteRef
) -> Iterator[PolicyProblem]:
    """Iterate over the calls of functions that do not exist or take other numbers of arguments.

    Args:
        node: a module's rules or a query, with every call an expression.
        arity: how many arguments a function takes, None when there is none.
        known: the types of the built-in functions.
        as_written: gives a reference back the names its author used.
    """
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, ast.Expr) and isinstance(current.statement, ast.Call):
            problem = _call_problem(current, current.statement, arity, known, as_written)
            if problem is not None:
                yield problem
                continue
        pending.extend(reversed(list(children(current))))


def _call_problem(
    expr: ast.Expr,
    call: ast.Call,
    arity: Callable[[ast.Ref], int | None],
    known: Environment,
    as_written: WriteRef,
) -> PolicyProblem | None:
    named = all(isinstance(part, ast.Scalar) for part in call.operator.path)
    wanted = arity(call.operator) if named else None
    given = len(call.args)
    if wanted is None:
        name = ref_text(as_written(call.operator))
        return type_problem(expr.location, f"undefined function {name}")
    if expr.generated:
        # The compiler has added a variable for the result.
        if call_name(expr) == "eq" or given == wanted + 1:
            return None
        given -= 1
    elif given in (wanted, wanted + 1):
        return None
    function = known.type_of_ref(call.operator)
    if isinstance(function, Function):
        have = [known.type_of(arg) for arg in call.args]
        return argument_problem(
            expr.location, as_written(call.operator), "arity mismatch", have, Wanted.of(function)
        )
    plural = "" if given == 1 else "s"
    name = ref_text(as_written(call.operator))
    message = f"function {name} has arity {wanted}, got {given} argument{plural}"
    return type_problem(expr.location, message)


def nameless_problems(node: Node) -> Iterator[PolicyProblem]:
    """Iterate over the calls, as parsed, of what can have no name, such as `f(x).g(y)`."""
    for each in descend(node):
        if isinstance(each, ast.Call) and not isinstance(each.operator.head, ast.Var):
            name = ref_text(each.operator)
            yield type_problem(each.location, f"undefined function {name}")


def void_problems(
    nodes: Iterable[Node], known: Environment, as_written: Callable[[ast.Term], ast.Term]
) -> Iterator[PolicyProblem]:
    """Iterate over the calls of functions without a result where one is wanted."""
    for each in nodes:
        if isinstance(each, ast.Expr) and each.generated and isinstance(each.statement, ast.Call):
            call = each.statement
            function = known.type_of_ref(call.operator)
            if isinstance(function, Function) and function.result is None:
                args = tuple(map(as_written, call.args[:-1]))
                text = term_text(ast.Call(call.operator, args))
                yield type_problem(each.location, f"{text} used as value")


def deprecated_problems(nodes: Iterable[Node]) -> Iterator[PolicyProblem]:
    """Iterate over the calls of functions that Rego v1 no longer has."""
    return _named_calls(nodes, DEPRECATED, "deprecated")


def unsafe_problems(nodes: Iterable[Node], refused: Collection[str]) -> Iterator[PolicyProblem]:
    """Iterate over the calls of functions that whoever runs the policy refuses."""
    return _named_calls(nodes, refused, "unsafe")


def _named_calls(
    nodes: Iterable[Node], refused: Collection[str], what: str
) -> Iterator[PolicyProblem]:
    for each in nodes:
        if isinstance(each, ast.Expr) and (name := call_name(each)) in refused and name:
            message = f"{what} built-in function calls in expression: {name}"
            yield type_problem(each.location, message)
