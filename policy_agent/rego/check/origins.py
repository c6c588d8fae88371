"""Say which values of a reference's variables would make it need a rule, and where they come from.

Pure. Follows OPA v1.22 v1/ast/compile.go (dynamicCause, varOrigins).
"""

from __future__ import annotations

from msgspec import Struct

from policy_agent.rego import ast
from policy_agent.rego.check import types
from policy_agent.rego.check.constants import constant_value, is_constant
from policy_agent.rego.check.graph import Need, conditions, variables_before
from policy_agent.rego.check.references import WriteRef
from policy_agent.rego.check.rules import RuleNode
from policy_agent.rego.check.signatures import signature
from policy_agent.rego.check.term_text import ref_text, term_text
from policy_agent.rego.compile.nodes import call_name, is_equality, operator_name
from policy_agent.rego.values import RegoSet, Value, equal

_CONDITIONS_LIMIT = 2
_MEMBERS_LIMIT = 5


class Condition(Struct, frozen=True):
    """A reference that may need a rule.

    Attributes:
        rule: where the reference stands.
        target: the rule that it may need.
        need: the reference as the graph has it.
        ref: the reference as written, no longer than the target's path.
        rule_text: the rule's path as written.
    """

    rule: RuleNode
    target: RuleNode
    need: Need
    ref: ast.Ref
    rule_text: str


class _Origin(Struct, frozen=True):
    note: str
    values: list[Value] | None = None
    result_of: str = ""


def cause_text(condition: Condition, target_text: str, as_written: WriteRef) -> str:
    """Return what must hold for the reference to need the rule."""
    need, target = condition.need, condition.target
    positions = conditions(need.narrowed, target, variables_before(condition.rule, need.position))
    wanted: dict[ast.Term, int] = {}
    for position in positions:
        term = need.ref.path[position]
        first = wanted.setdefault(term, position)
        if target.path.path[first] != target.path.path[position]:
            return f" could refer to {target_text}"
    origins = {position: _origin(condition, term, as_written) for term, position in wanted.items()}
    stated = 0 < len(wanted) <= _CONDITIONS_LIMIT
    if not stated or any(
        not _may_be(origin, target.path.path[position]) for position, origin in origins.items()
    ):
        return f" could refer to {target_text}"
    parts = []
    for position, origin in origins.items():
        value = term_text(target.path.path[position])
        note = f" ({origin.note})" if origin else ""
        parts.append(f"{term_text(condition.ref.path[position])} is {value}{note}")
    return f" refers to {target_text} if {' and '.join(parts)}"


def _may_be(origin: _Origin | None, wanted: ast.Term) -> bool:
    if origin is None or not is_constant(wanted):
        return True
    value = constant_value(wanted)
    if origin.values is not None:
        return any(equal(member, value) for member in origin.values)
    function = signature(origin.result_of) if origin.result_of else None
    if function is None or function.result is None or not isinstance(wanted, ast.Scalar):
        return True
    return types.contains(function.result, types.type_of(value))


def _origin(condition: Condition, term: ast.Term, as_written: WriteRef) -> _Origin | None:
    if isinstance(term, ast.Ref):
        of_rule = isinstance(term.head, ast.Var) and term.head.name == "data"
        return _Origin("rule values aren't known at compile time") if of_rule else None
    if not isinstance(term, ast.Var):
        return None
    shown = term_text(as_written(ast.Ref(term, ())).head)
    rule = condition.rule
    body = rule.rule.body[: condition.need.position]
    bindings = _bindings(body)
    variable = term
    for _ in range(len(rule.rule.body) + 1):
        result_of = _result_of(body, variable)
        if result_of:
            return _Origin(f"{shown} is computed by {result_of}", result_of=result_of)
        bound = bindings.get(variable.name)
        if not isinstance(bound, ast.Var):
            break
        variable = bound
    if isinstance(bound := bindings.get(variable.name), ast.Ref):
        found = _origin_of_ref(bound, bindings, shown, as_written)
        if found is not None:
            return found
    return _origin_in_head(condition, variable, shown)


def _bindings(body: ast.Body) -> dict[str, ast.Term]:
    found: dict[str, ast.Term] = {}
    for expr in body:
        if is_equality(expr) and not expr.negated and not expr.withs:
            assert isinstance(expr.statement, ast.Call)
            left, right = expr.statement.args[:2]
            if isinstance(left, ast.Var):
                found.setdefault(left.name, right)
            if isinstance(right, ast.Var):
                found.setdefault(right.name, left)
    return found


def _result_of(body: ast.Body, variable: ast.Var) -> str:
    """Return the built-in function whose result a variable is, "" for none."""
    for expr in reversed(body):
        name = call_name(expr)
        function = None if expr.negated or expr.withs or name == "eq" else signature(name)
        if function is not None and isinstance(expr.statement, ast.Call):
            args = expr.statement.args
            if len(args) == len(function.args) + 1 and args[-1] == variable:
                return operator_name(expr.statement.operator)
    return ""


def _origin_of_ref(
    ref: ast.Ref, bindings: dict[str, ast.Term], shown: str, as_written: WriteRef
) -> _Origin | None:
    constant = next(
        (index for index, part in enumerate(ref.path) if not is_constant(part)), len(ref.path)
    )
    prefix = ast.Ref(ref.head, ref.path[:constant], ref.location)
    if isinstance(ref.head, ast.Var) and ref.head.name == "input":
        return _Origin(f"{shown} comes from {ref_text(as_written(prefix))}")
    if isinstance(ref.head, ast.Var) and ref.head.name == "data":
        text = f"{shown} comes from rule {ref_text(prefix)}"
        return _Origin(f"{text}, whose value isn't known at compile time")
    if len(ref.path) != 1 or is_constant(ref.path[0]):
        return None
    term: ast.Term | None = ref.head
    for _ in range(len(bindings) + 1):
        if isinstance(term, ast.Var):
            term = bindings.get(term.name)
    if not isinstance(term, ast.ArrayTerm | ast.SetTerm | ast.ObjectTerm) or not is_constant(term):
        return None
    value = constant_value(term)
    members = list(value.values() if isinstance(value, dict) else value)
    many = len(members) > _MEMBERS_LIMIT
    listed = f"{len(members)} values" if many else term_text(term)
    assert isinstance(value, list | dict | RegoSet)
    return _Origin(f"{shown} is one of {listed}", members)


def _origin_in_head(condition: Condition, variable: ast.Var, shown: str) -> _Origin | None:
    rule = condition.rule
    if variable in (rule.args or ()):
        return _Origin(f"{shown} is an argument of {condition.rule_text}")
    if variable in rule.path.path or variable == rule.rule.head.key:
        return _Origin(f"{shown} is a key of {condition.rule_text}")
    return None
