"""Plan the rules of one path as one function.

Pure. Follows OPA v1.22 internal/planner/planner.go (planRules).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policy_agent.rego import ast, plan
from policy_agent.rego.compile.nodes import alternatives
from policy_agent.rego.compile.tree import PlacedRule
from policy_agent.rego.planner.emitter import Written
from policy_agent.rego.planner.expressions import Expressions
from policy_agent.rego.planner.names import path_text
from policy_agent.rego.planner.scopes import Generation, Variables
from policy_agent.rego.planner.trie import RuleTrie


class Functions(Expressions):
    """The part of the planner for rules."""

    funcs: dict[str, plan.Func]
    as_planned: Callable[[ast.Rule], ast.Rule]
    _wanted: list[tuple[Generation, RuleTrie, bool]]

    def function(self, node: RuleTrie, *, by_key: bool = False) -> str:
        """Return the name of the function of a node's rules, which is planned later if it is new.

        Rules may depend on each other in long chains; planning one inside of another would nest as
        deeply.

        Args:
            node: of the rules.
            by_key: the function takes a key of their set or object, and gives no more than that.
        """
        generation = self.generations.current
        path = _place(node, by_key=by_key)
        if path not in generation.functions:
            generation.functions[path] = f"g{generation.number}.{path}"
            self._wanted.append((generation, node, by_key))
        return generation.functions[path]

    def plan_wanted(self) -> None:
        """Plan the functions that what is planned so far calls, and those that they call."""
        while self._wanted:
            generation, node, by_key = self._wanted.pop()
            name = generation.functions[_place(node, by_key=by_key)]
            with self.generations.within(generation), self.trie.hiding(generation.hidden):
                self.funcs[name] = self._plan(name, node, by_key=by_key)

    def _plan(self, name: str, node: RuleTrie, *, by_key: bool) -> plan.Func:
        planned = [PlacedRule(each.module, self.as_planned(each.rule)) for each in node.rules]
        rules = sorted(planned, key=lambda placed: -len(placed.path))
        generation = self.generations.current
        self._next_local = plan.INPUT
        passed = {variable: self.local() for variable in generation.passed}
        result = self.local()
        key = self.local() if by_key else None
        params = tuple(self.local() for _ in range(rules[0].arity))
        prefix = len(node.path)
        self.at(rules[0].rule.head.location)
        blocks: list[plan.Block] = []
        is_object = any(len(placed.path) > prefix for placed in rules)
        if is_object:
            blocks.append(self.single(plan.MakeObjectStmt, result))
        elif rules[0].is_set:
            blocks.append(self.single(plan.MakeSetStmt, result))
        for placed in rules:
            if not placed.rule.default:
                self.at(placed.rule.head.location)
                if is_object or placed.is_set:
                    blocks.append(self._member(placed, prefix, result, passed, key))
                else:
                    blocks.extend(self._complete(placed, result, params, passed))
        blocks += [
            self._default(placed.rule, result, passed) for placed in rules if placed.rule.default
        ]
        self.at(rules[0].rule.head.location)
        blocks.append(self.single(plan.ReturnLocalStmt, result))
        path = () if by_key else (f"g{generation.number}", *node.path)
        every = (*passed.values(), *params, *(() if key is None else (key,)))
        return plan.Func(name, every, result, tuple(blocks), path)

    def _fresh(self, passed: dict[str, plan.Local], write: Callable[[], None]) -> Written:
        """Return what `write` writes as a block that knows only what is passed to the function."""
        self.variables = Variables(dict(passed))
        return self.closed(write)

    def _member(
        self,
        placed: PlacedRule,
        prefix: int,
        result: plan.Local,
        passed: dict[str, plan.Local],
        only: plan.Local | None,
    ) -> plan.Block:
        """Plan a rule that adds to a set, or to an object under its reference's path.

        Args:
            placed: the rule.
            prefix: the length of the path that the set or object has.
            result: the set or object.
            passed: the variables that the function takes.
            only: the key that the rule's must be equal to, None for any.
        """
        head = placed.rule.head
        path = placed.path[prefix:]

        def write() -> None:
            if only is not None:
                key = path[0] if path else head.key
                assert key is not None
                self.match(plan.LocalOperand(only), key)
            self.body(placed.rule.body)
            self.at(head.location)
            if placed.is_set:
                assert head.key is not None
                value = self.term(head.key)
                target = self._nested(result, path, plan.MakeSetStmt)
                self.emit(plan.SetAddStmt, value, target)
            else:
                assert head.value is not None
                value = self.term(head.value)
                target = self._nested(result, path[:-1], plan.MakeObjectStmt)
                self.emit(plan.ObjectInsertOnceStmt, self.term(path[-1]), value, target)

        return self._fresh(passed, write).block

    def _nested(
        self, target: plan.Local, path: Sequence[ast.Term], make: Callable[..., plan.Stmt]
    ) -> plan.Local:
        """Return the collection at a path of an object, made where there is none."""
        for index, part in enumerate(path):
            last = index == len(path) - 1
            target = self._child(target, self.term(part), make if last else plan.MakeObjectStmt)
        return target

    def _child(
        self, parent: plan.Local, key: plan.Operand, make: Callable[..., plan.Stmt]
    ) -> plan.Local:
        child = self.local()

        def look() -> None:
            self.emit(plan.DotStmt, plan.LocalOperand(parent), key, child)
            self.emit(plan.BreakStmt, 1)

        def find() -> None:
            self.block(self.closed(look).block)
            self.emit(make, child)
            self.emit(plan.ObjectInsertStmt, key, plan.LocalOperand(child), parent)

        self.block(self.closed(find).block)
        return child

    def _complete(
        self,
        placed: PlacedRule,
        result: plan.Local,
        params: tuple[plan.Local, ...],
        passed: dict[str, plan.Local],
    ) -> list[plan.Block]:
        """Plan a rule with its `else` rules: the first that holds gives the value."""
        value = self.local()
        blocks: list[plan.Block] = []
        for rule in alternatives(placed.rule):
            self.at(rule.head.location)
            first = plan.ResetLocalStmt if not blocks else plan.IsUndefinedStmt

            def write(rule: ast.Rule = rule, first: Callable[..., plan.Stmt] = first) -> None:
                self.emit(first, value)
                for local, arg in zip(params, rule.head.args or (), strict=True):
                    self.match(plan.LocalOperand(local), arg)
                self.body(rule.body)
                self.at(rule.head.location)
                assert rule.head.value is not None
                self.emit(plan.AssignVarOnceStmt, self.term(rule.head.value), value)

            blocks.append(self._fresh(passed, write).block)

        def finish() -> None:
            self.emit(plan.IsDefinedStmt, value)
            self.emit(plan.AssignVarOnceStmt, plan.LocalOperand(value), result)

        blocks.append(self._fresh(passed, finish).block)
        if placed.rule.orelse is None:
            return blocks
        return [self.single(plan.BlockStmt, tuple(blocks))]

    def _default(
        self, rule: ast.Rule, result: plan.Local, passed: dict[str, plan.Local]
    ) -> plan.Block:
        def write() -> None:
            self.at(rule.head.location)
            self.emit(plan.IsUndefinedStmt, result)
            self.body(rule.body)
            assert rule.head.value is not None
            self.emit(plan.AssignVarOnceStmt, self.term(rule.head.value), result)

        return self._fresh(passed, write).block


def _place(node: RuleTrie, *, by_key: bool) -> str:
    return path_text(node.path) + ("[key]" if by_key else "")
