"""Infer the types of all rules and check that every expression can hold.

Pure. Follows OPA v1.22 v1/ast/check.go (typeChecker). A rule is checked after those it needs; one
with problems is of any type, so that others are not blamed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.calls import Wanted, argument_problem, call_problem
from policy_agent.rego.check.compatible import compatible
from policy_agent.rego.check.constants import ground_prefix, is_ground
from policy_agent.rego.check.environment import Environment
from policy_agent.rego.check.open_input import is_open
from policy_agent.rego.check.problems import CheckProblem
from policy_agent.rego.check.references import ReferenceCheck, WriteRef
from policy_agent.rego.check.rules import RuleNode
from policy_agent.rego.check.schemas import assume
from policy_agent.rego.check.signatures import names, signature
from policy_agent.rego.check.type_tree import TypeTree
from policy_agent.rego.check.types import Function, Type, union
from policy_agent.rego.compile.nodes import (
    COMPREHENSIONS,
    OUTSIDE_COMPREHENSIONS,
    ROOTS,
    Node,
    descend,
    operator_name,
)

_INPUT: Final = ast.Var("input")
Dependents = Callable[[ast.Ref], Sequence[ast.Ref]]


class TypeCheck:
    """Checks rules and queries against what the rules before them have made known.

    Args:
        as_written: gives a reference back the names its author used.
        dependents: the paths of all rules whose value may change when a document is replaced.
        functions: the built-in functions there are; None for OPA's own.
    """

    def __init__(
        self,
        as_written: WriteRef,
        dependents: Dependents,
        functions: frozenset[str] | None = None,
    ) -> None:
        self._as_written = as_written
        self._dependents = dependents
        self._functions = names() if functions is None else functions
        self._replaced: dict[tuple[ast.Ref, bool], TypeTree | None] = {}
        # What a layer of rules does not know is then open, not undefined: the layer below decides.
        self.given = Environment(self._known_in)
        self.known = self.given.layer()

    def declare_functions(self, nodes: Iterable[Node]) -> None:
        """Make known the built-in functions that are among some nodes."""
        declared = set()
        for each in nodes:
            ref = ast.Ref(each, ()) if type(each) is ast.Var else each
            if type(ref) is ast.Ref and type(ref.head) is ast.Var and ref.head.name not in ROOTS:
                name = operator_name(ref)
                if name in self._functions and name not in declared:
                    declared.add(name)
                    self.given.tree.put((ref.head, *ref.path), signature(name))

    def rule(
        self, node: RuleNode, assumed: Iterable[tuple[ast.Ref, Type] | CheckProblem] = ()
    ) -> list[CheckProblem]:
        """Check one rule and make its type known.

        Args:
            node: all rules that it needs have been checked.
            assumed: documents and their types, which hold in this rule only; or a problem of them.
        """
        env = self.known.layer()
        found: list[CheckProblem] = []
        for each in assumed:
            if isinstance(each, CheckProblem):
                found.append(each)
            else:
                assume(env, *each)
        env, problems = self.body(env, node.rule.body)
        path = (node.path.head, *node.path.path)
        if problems:
            self.known.tree.put(path, types.ANY)
            return found + problems
        type_ = _function_type(node, env) if node.args else _value_type(node, env)
        if type_ is not None:
            prefix = ground_prefix(node.path)
            self.known.tree.insert((prefix.head, *prefix.path), type_, self.known.type_of)
        return found

    def query(self, body: ast.Body, as_written: WriteRef) -> list[CheckProblem]:
        """Check a query; all rules have been checked.

        Args:
            body: reordered, as rules' bodies are.
            as_written: for the query's own variables.
        """
        check = TypeCheck(as_written, self._dependents, self._functions)
        return check.body(Environment(check._known_in, self.known), body)[1]

    def body(self, env: Environment, body: ast.Body) -> tuple[Environment, list[CheckProblem]]:
        """Check a body.

        Returns:
            a layer that knows the body's variables, and the problems.
        """
        env = env.layer()
        problems: list[CheckProblem] = []
        is_input_open = not env.knows(_INPUT)
        for expr in body:
            if not (is_input_open and is_open(expr)):
                problems += self._expr(env, expr)
        return env, problems

    def _closed_body(
        self, env: Environment, body: ast.Body
    ) -> tuple[Environment, list[CheckProblem]]:
        """Check a comprehension's body; what it is part of asks for it again and again."""
        changes = env.changes()
        remembered = env.checked.get(id(body))
        if remembered is None or remembered[0] != changes:
            remembered = env.checked[id(body)] = (changes, self.body(env, body))
        result: tuple[Environment, list[CheckProblem]] = remembered[1]
        return result

    def _known_in(self, env: Environment, body: ast.Body) -> Environment | None:
        known, problems = self._closed_body(env, body)
        return None if problems else known

    def _expr(self, env: Environment, expr: ast.Expr) -> list[CheckProblem]:
        if expr.withs:
            env = self._under_withs(env, expr)
        inner = self._closures(env, expr)
        inner += ReferenceCheck(env, self._as_written).problems(expr)
        problem = self._with_problem(env, expr)
        if problem is None and isinstance(expr.statement, ast.Call):
            problem = call_problem(env, expr.statement, expr.location)
        if problem is None or (inner and problem.of_unknown):
            return inner
        return [*inner, problem]

    def _closures(self, env: Environment, node: Node) -> list[CheckProblem]:
        found: list[CheckProblem] = []
        for each in descend(node, OUTSIDE_COMPREHENSIONS):
            if isinstance(each, COMPREHENSIONS):
                _, problems = self._closed_body(env, each.body)
                found = problems or found
        return found

    def _with_problem(self, env: Environment, expr: ast.Expr) -> CheckProblem | None:
        for each in expr.withs:
            target, value = env.type_of(each.target), env.type_of(each.value)
            functions = isinstance(target, Function) and isinstance(value, Function)
            if functions and not compatible(target, value):
                assert isinstance(target, Function)
                assert isinstance(value, Function)
                return argument_problem(
                    each.location, each.target, "arity mismatch", value.args, Wanted.of(target)
                )
        return None

    def _under_withs(self, env: Environment, expr: ast.Expr) -> Environment:
        layered = env
        replaced: list[tuple[ast.Ref, Type]] = []
        for each in expr.withs:
            type_ = env.type_of_ref(each.target)
            function = isinstance(type_, Function)
            tree = self._changed_by(each.target, function=function)
            if tree is not None:
                layered = layered.with_layer(tree)
            if function:
                continue
            value = env.type_of(each.value)
            given = None
            # Of a target with variables it is not known which part is replaced.
            if is_ground(each.target) and type_ is not None and value is not None:
                given = union(type_, value)
            replaced.append((ground_prefix(each.target), given or types.ANY))
        if replaced:
            layered = layered.with_layer()
            for ref, each_type in replaced:
                layered.tree.put((ref.head, *ref.path), each_type)
        return layered

    def _changed_by(self, target: ast.Ref, *, function: bool) -> TypeTree | None:
        key = (target, function)
        if key not in self._replaced:
            tree = TypeTree()
            for ref in self._dependents(target):
                if not (function and ref == target):
                    tree.put((ref.head, *ref.path), types.ANY)
            self._replaced[key] = tree if tree.children else None
        return self._replaced[key]


def _function_type(node: RuleNode, env: Environment) -> Type:
    args = node.args or ()
    for arg in args:
        for each in descend(arg):
            if isinstance(each, ast.Var) and env.type_of(each) is None:
                env.learn(each, types.ANY)
    return Function(tuple(map(env.type_of, args)), _head_value(node, env))


def _head_value(node: RuleNode, env: Environment) -> Type | None:
    value = node.rule.head.value
    return types.BOOLEAN if value is None else env.type_of(value)


def _value_type(node: RuleNode, env: Environment) -> Type | None:
    """Return the type of a rule's part of its document, from the end of the ground path on."""
    if node.multiple:
        assert node.rule.head.key is not None
        member = env.type_of(node.rule.head.key)
        type_: Type | None = None if member is None else types.Set(member)
    else:
        type_ = _head_value(node, env)
    prefix = ground_prefix(node.path)
    for term in reversed(node.path.path[len(prefix.path) :]):
        key = env.type_of(term)
        if type_ is None or key is None:
            return None
        type_ = types.Object({}, (key, type_))
    return type_
