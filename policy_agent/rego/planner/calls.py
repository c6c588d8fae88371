"""Plan calls of rules and built-in functions, as they are or as `with` replaces them.

Pure. Follows OPA v1.22 internal/planner/planner.go (planExprCall).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policy_agent.rego import ast, plan
from policy_agent.rego.compile.nodes import operator_name
from policy_agent.rego.compile.signatures import Signature
from policy_agent.rego.compile.tree import constant_path
from policy_agent.rego.planner.references import References
from policy_agent.rego.planner.scopes import Generations
from policy_agent.rego.planner.trie import RuleTrie


class Calls(References):
    """The part of the planner for calls."""

    builtins: Mapping[str, Signature]
    called: set[str]
    generations: Generations

    def passed(self) -> tuple[plan.Operand, ...]:
        """Return what every function of the present generation takes first."""
        return tuple(self.term(ast.Var(name)) for name in self.generations.current.passed)

    def call_rules(self, node: RuleTrie, key: plan.Operand | None = None) -> plan.Local:
        """Plan the value of the rules of a node; see `References`."""
        target = self.local()
        args = self.passed() if key is None else (*self.passed(), key)
        self.emit(plan.CallStmt, self.function(node, by_key=key is not None), args, target)
        return target

    def call_any_rule(self, node: RuleTrie, key: plan.Operand, target: plan.Local) -> None:
        """Plan a call by name; see `References`."""
        path = (f"g{self.generations.current.number}", *node.path)
        args = tuple(map(self.copied, self.passed()))
        self.emit(plan.CallDynamicStmt, args, target, (*map(self.string, path), key))

    def call(self, call: ast.Call) -> None:
        """Plan a call as an expression; a last argument beyond its arity takes the result."""
        name = operator_name(call.operator)
        if name == "eq":
            self.unify(*call.args)
            return
        replacement = self.generations.current.mocks.get(name)
        if replacement is not None:
            self._replaced(call, replacement)
        elif (node := self.find(call.operator)) is not None and node.rules:
            self._rules(node, call.args)
        elif name in self.builtins:
            self._builtin(name, call.args)
        else:
            raise self.refuse(f"undefined function {name}", call.location)

    def find(self, operator: ast.Ref) -> RuleTrie | None:
        """Return the rules that a reference names."""
        path = constant_path(operator)
        return None if path is None else self.trie.lookup(path)

    def _arity(self, operator: ast.Ref) -> int:
        node = self.find(operator)
        if node is not None and node.rules:
            return node.arity
        return self.builtins[operator_name(operator)].arity

    def _replaced(self, call: ast.Call, replacement: ast.Term) -> None:
        if isinstance(replacement, ast.Ref):
            assert isinstance(replacement.head, ast.Var)
            name = operator_name(replacement)
            node = self.find(replacement)
            if node is not None and node.arity:
                with self.generations.unmocked():
                    self._rules(node, call.args)
                return
            if replacement.head.name not in ("input", "data") and name in self.builtins:
                self._builtin(name, call.args)
                return
        arity = self._arity(call.operator)
        for argument in call.args[:arity]:
            self.term(argument)
        self._result(self.term(replacement), call.args[arity:])

    def _rules(self, node: RuleTrie, arguments: Sequence[ast.Term]) -> None:
        # The function's name is known only once it is planned, arguments come first.
        operands = tuple(self.term(argument) for argument in arguments[: node.arity])
        target = self.local()
        name = self.function(node)
        self.emit(plan.CallStmt, name, (*self.passed(), *operands), target)
        self._result(plan.LocalOperand(target), arguments[node.arity :])

    def _builtin(self, name: str, arguments: Sequence[ast.Term]) -> None:
        signature = self.builtins[name]
        self.called.add(name)
        count = len(arguments) if signature.void else signature.arity
        operands = tuple(self.term(argument) for argument in arguments[:count])
        target = self.local()
        self.emit(plan.CallStmt, name, operands, target)
        result = plan.LocalOperand(target)
        captured = arguments[count:]
        if signature.relation:
            self._relation(result, captured)
        elif not signature.void:
            self._result(result, captured)

    def _relation(self, result: plan.Operand, captured: Sequence[ast.Term]) -> None:
        if captured:
            _, value = self.scan(result)
            self.match(plan.LocalOperand(value), captured[0])
            return
        size, zero = self.local(), self.local()
        self.emit(plan.LenStmt, result, size)
        self.emit(plan.MakeNumberIntStmt, 0, zero)
        self.emit(plan.NotEqualStmt, plan.LocalOperand(size), plan.LocalOperand(zero))

    def _result(self, result: plan.Operand, captured: Sequence[ast.Term]) -> None:
        if captured:
            self.match(result, captured[0])
        else:
            self.emit(plan.NotEqualStmt, result, plan.BoolOperand(False))
