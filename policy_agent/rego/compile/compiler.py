"""Compile modules: the passes in OPA's order.

Pure. Follows OPA v1.22 v1/ast/compile.go. A stage that finds errors ends the compilation, so that
later ones see only what is in order, unless they are such as do not disturb later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.compiled import (
    NO_CHECKS,
    Checks,
    Compiled,
    CompiledQuery,
    bounded,
    find_arity,
    is_always_defined,
)
from policy_agent.rego.compile.equal import unify_equal
from policy_agent.rego.compile.expand import Expansion
from policy_agent.rego.compile.hoist import (
    ComprehensionTerms,
    DynamicTerms,
    hoist_head_reference,
    hoist_head_terms,
)
from policy_agent.rego.compile.local_rules import RuleNames
from policy_agent.rego.compile.metadata import METADATA_CALLS, Metadata
from policy_agent.rego.compile.names import Names
from policy_agent.rego.compile.nodes import COMPREHENSIONS, descend, operator_name
from policy_agent.rego.compile.prints import Prints, erase_prints
from policy_agent.rego.compile.problems import Problems
from policy_agent.rego.compile.query import compile_query
from policy_agent.rego.compile.resolve import exported_names, resolve_module
from policy_agent.rego.compile.rule_safety import RuleSafety
from policy_agent.rego.compile.signatures import OPA_BUILTINS, Signature
from policy_agent.rego.compile.templates import Templates
from policy_agent.rego.compile.tree import RuleTree, build_tree
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.compile.withs import Withs

__all__ = ["Checks", "Compiled", "CompiledQuery", "compile_modules", "compile_query"]

# A kind of node that a rule has, or the name of a function that it calls.
Trait: TypeAlias = type | str
RuleChange: TypeAlias = Callable[[ast.Rule, ast.Module], ast.Rule]


def compile_modules(
    modules: Sequence[ast.Module],
    *,
    builtins: Mapping[str, Signature] = OPA_BUILTINS,
    prints: bool = False,
    checks: Checks = NO_CHECKS,
) -> Compiled:
    """Compile modules together.

    Args:
        modules: as parsed, in any order.
        builtins: the functions that may be called.
        prints: keep `print` calls instead of erasing them.
        checks: further checks, run at the stages where OPA runs them.

    Raises:
        PolicyError: the errors up to the first stage that leaves nothing for later ones to see, in
            the order in which they were found.
    """
    ordered = sorted(modules, key=lambda module: module.file)
    run = _Modules(ordered, builtins)
    with bounded():
        return run.compile(prints=prints, checks=checks)


class _Modules:
    """One compilation: the modules as far as they have come."""

    def __init__(self, modules: list[ast.Module], builtins: Mapping[str, Signature]) -> None:
        self._modules = modules
        self._builtins = builtins
        self._problems = Problems()
        self._names = Names(variables(tuple(rule for m in modules for rule in m.rules)))
        self._tree = RuleTree()
        self._rewritten: dict[str, str] = {}
        self._traits: list[list[frozenset[Trait]]] = []

    def compile(self, *, prints: bool, checks: Checks) -> Compiled:
        self._resolve(checks)
        names, problems = self._names, self._problems
        self._each(lambda rule, _: hoist_head_reference(rule, names))
        local = RuleNames(names, self._builtins, problems)
        self._each(lambda rule, _: local.rule(rule))
        self._rewritten = local.rewritten
        problems.end_stage()
        self._tree = build_tree(self._modules)
        templates = Templates(
            names, self._arity, self._builtins, self._is_defined, self._rewritten, problems
        )
        self._look()
        if self._each(lambda rule, _: templates.rule(rule), {ast.TemplateString}):
            self._look()
        problems.end_stage()
        self._treat_prints(keep=prints)
        self._each(lambda rule, _: Expansion(names).rule(rule))
        metadata = Metadata(self._modules, names)
        self._each(metadata.rule, METADATA_CALLS)
        terms = ComprehensionTerms(names)
        self._each(lambda rule, _: terms.rule(rule), COMPREHENSIONS)
        self._each(lambda rule, _: hoist_head_terms(rule, names))
        withs = Withs(names, self._tree, self._builtins, problems)
        self._each(lambda rule, _: withs.rule(rule), {ast.With})
        problems.end_stage()
        self._tree = build_tree(self._modules)
        problems.extend(checks.calls(self._state(prints=prints)))
        problems.end_stage()
        safety = RuleSafety(self._arity, self._rewritten, problems)
        for module in self._modules:
            for rule in module.rules:
                safety.check_head(rule, module)
        problems.end_stage()
        self._each(safety.order)
        problems.end_stage()
        self._each(lambda rule, _: unify_equal(rule), {"equal"})
        dynamic = DynamicTerms(names)
        self._each(lambda rule, _: dynamic.rule(rule))
        self._tree = build_tree(self._modules)
        compiled = self._state(prints=prints)
        problems.extend(checks.rules(compiled))
        problems.raise_found()
        return compiled

    def _resolve(self, checks: Checks) -> None:
        parsed = self._modules
        exported = exported_names(parsed)
        self._modules = [
            resolve_module(module, exported[module.package], self._problems)
            if module.package in exported
            else module
            for module in parsed
        ]
        self._problems.end_stage()
        self._problems.note(checks.sources(parsed))

    def _treat_prints(self, *, keep: bool) -> None:
        if not keep:
            self._each(lambda rule, _: erase_prints(rule), {"print"})
            return
        kept = Prints(self._names, self._arity, self._rewritten, self._problems)
        self._each(lambda rule, _: kept.rule(rule))
        self._problems.end_stage()

    def _state(self, *, prints: bool) -> Compiled:
        modules = tuple(self._modules)
        return Compiled(modules, self._tree, self._builtins, self._rewritten, prints)

    def _each(self, change: RuleChange, having: Collection[Trait] | None = None) -> int:
        """Replace every rule of every module, or those that have one of some traits.

        Returns:
            how many rules have been replaced.
        """
        count = 0
        for index, module in enumerate(self._modules):
            if having is None:
                chosen: Sequence[int] = range(len(module.rules))
            else:
                traits = self._traits[index]
                chosen = [n for n, each in enumerate(traits) if not each.isdisjoint(having)]
            if chosen:
                rules = list(module.rules)
                for position in chosen:
                    rules[position] = change(rules[position], module)
                self._modules[index] = replace(module, rules=tuple(rules))
                count += len(chosen)
        return count

    def _look(self) -> None:
        """Note what each rule has, so that passes about something else need not walk it."""
        self._traits = [[_traits(rule) for rule in module.rules] for module in self._modules]

    def _arity(self, operator: ast.Ref) -> int | None:
        return find_arity(self._tree, self._builtins, operator)

    def _is_defined(self, reference: ast.Ref) -> bool:
        return is_always_defined(self._tree, reference)


def _traits(rule: ast.Rule) -> frozenset[Trait]:
    nodes = descend(rule)
    calls = [operator_name(node.operator) for node in nodes if type(node) is ast.Call]
    return frozenset(map(type, nodes)).union(calls)
