"""Check that the variables of a rule have values, and order its bodies.

Pure. Follows OPA v1.22 v1/ast/compile.go (checkSafetyRuleHeads, checkSafetyRuleBodies).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import ROOTS, alternatives, is_generated
from policy_agent.rego.compile.outputs import Arity
from policy_agent.rego.compile.problems import UNSAFE_ERROR, Problems
from policy_agent.rego.compile.safety import BodySafety, shown_name, unsafe_problems
from policy_agent.rego.compile.variables import FOR_SAFETY, has_local_variables, variables


class RuleSafety(Struct, frozen=True):
    """The pass and what it needs to know.

    Attributes:
        rewritten: local name -> name as written.
    """

    arity: Arity
    rewritten: Mapping[str, str]
    problems: Problems

    def check_head(self, rule: ast.Rule, module: ast.Module) -> None:
        """Record variables of a head, or of an `else` head, that its body gives no value."""
        for each in alternatives(rule):
            used = variables(each.head)
            if not used:
                continue
            given = variables(each.body, FOR_SAFETY).keys() | variables(each.head.args or ())
            for name, at in used.items():
                written = self.rewritten.get(name, name)
                if name not in given and not is_generated(written):
                    message = f"var {shown_name(written)} is unsafe{_scope(rule, module)}"
                    self.problems.add(UNSAFE_ERROR, message, at)

    def order(self, rule: ast.Rule, module: ast.Module) -> ast.Rule:
        """Return a rule, with its `else` rules, whose bodies are in a safe order."""
        if not has_local_variables(rule):
            return rule
        safety = BodySafety(self.arity)
        body = safety.body(rule.body, ROOTS | variables(rule.head.args or ()).keys())
        if safety.unsafe:
            scope = _scope(rule, module)
            self.problems.extend(unsafe_problems(safety.unsafe, self.rewritten, scope))
        orelse = rule.orelse and self.order(rule.orelse, module)
        return replace(rule, body=body, orelse=orelse)


def _scope(rule: ast.Rule, module: ast.Module) -> str:
    """Name a rule where its line holds rules of more than one name."""
    row = rule.location.row
    beside = {
        _name(other)
        for first in module.rules
        for other in alternatives(first)
        if other.location.row == row
    }
    return f" in rule {_name(rule)}" if len(beside) > 1 else ""


def _name(rule: ast.Rule) -> str:
    """Return the constants that a rule's reference begins with, as written."""
    name = rule.head.name
    for part in rule.head.reference.path:
        if not isinstance(part, ast.Scalar):
            break
        name += f".{part.value}" if isinstance(part.value, str) else f"[{part.value}]"
    return name
