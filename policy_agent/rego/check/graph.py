"""Which rules need which others.

Pure. Follows OPA v1.22 v1/ast/compile.go (NewGraph). A reference with variables may need several
rules; variables that a body binds to constants before are narrowed to these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from policy_agent.rego import ast
from policy_agent.rego.check.constants import constant_term, constant_value, is_constant
from policy_agent.rego.check.rules import RuleNode, RuleTree
from policy_agent.rego.compile.nodes import Node, descend, is_equality
from policy_agent.rego.values import RegoSet, Value, equal, freeze

_NARROWING_LIMIT = 64
Known = Mapping[str, list[Value]]


class Need(Struct, frozen=True, eq=False):
    """A reference through which one rule may need others.

    Attributes:
        ref: as it stands in the rule.
        narrowed: with its variables replaced where they have but one value.
        position: the index of its expression in the body; the body's length for the head.
        certain: the rules it needs whatever its variables hold; the others depend on them.
    """

    ref: ast.Ref
    narrowed: ast.Ref
    position: int
    certain: frozenset[RuleNode]
    rules: tuple[RuleNode, ...]


class Graph(Struct, eq=False):
    """All rules, `else` rules as their own, with what they need in order of their references.

    Attributes:
        edges: the rules that each needs, and whether it does so whatever its variables hold.
    """

    rules: list[RuleNode] = field(default_factory=list)
    needs: dict[RuleNode, tuple[Need, ...]] = field(default_factory=dict)
    needed_by: dict[RuleNode, dict[RuleNode, None]] = field(default_factory=dict)
    edges: dict[RuleNode, dict[RuleNode, bool]] = field(default_factory=dict)

    def dependents(self, starts: Iterable[RuleNode]) -> list[RuleNode]:
        """Return rules and all that need them, over any number of steps."""
        found: dict[RuleNode, None] = {}
        pending = list(starts)
        while pending:
            rule = pending.pop()
            if rule not in found:
                found[rule] = None
                pending.extend(self.needed_by.get(rule, ()))
        return list(found)

    def leading_to_circles(self) -> list[RuleNode]:
        """Return the rules that need a rule of a circle; mostly there are none."""
        left = {rule: len(needed) for rule, needed in self.edges.items()}
        pending = [rule for rule, count in left.items() if not count]
        for rule in pending:
            for above in self.needed_by.get(rule, ()):
                left[above] -= 1
                if not left[above]:
                    pending.append(above)
        return [rule for rule in self.rules if left[rule]]

    def in_order(self) -> list[RuleNode]:
        """Return the rules so that each comes after those it needs, as far as it can be."""
        done: dict[RuleNode, None] = {}
        for root in sorted(self.rules, key=_place):
            entered = {root}
            stack = [] if root in done else [(root, self._needed(root))]
            while stack:
                rule, needed = stack[-1]
                following = next((x for x in needed if x not in done and x not in entered), None)
                if following is None:
                    done[rule] = None
                    stack.pop()
                else:
                    entered.add(following)
                    stack.append((following, self._needed(following)))
        return list(done)

    def _needed(self, rule: RuleNode) -> Iterator[RuleNode]:
        return iter(sorted(self.edges[rule], key=_place))


def _place(rule: RuleNode) -> tuple[str, int, int]:
    return rule.location.file, rule.location.row, rule.location.col


def build_graph(rules: Iterable[RuleNode], tree: RuleTree) -> Graph:
    """Return the graph of some rules; references are looked up in the tree of all rules."""
    graph = Graph()
    for first in rules:
        for rule in first.all():
            graph.rules.append(rule)
            needs = tuple(_needs(rule, tree))
            graph.needs[rule] = needs
            edges = graph.edges.setdefault(rule, {})
            for need in needs:
                for target in need.rules:
                    certain = target in need.certain
                    for each in target.all():
                        edges[each] = edges.get(each, False) or certain
                        graph.needed_by.setdefault(each, {})[rule] = None
    return graph


def _needs(rule: RuleNode, tree: RuleTree) -> Iterator[Need]:
    bindings: list[tuple[int, str, list[Value]]] | None = None
    body = rule.rule.body
    head: Sequence[Node] = (*(rule.args or ()), rule.rule.head.key, rule.rule.head.value)
    for position, nodes in enumerate([*((expr,) for expr in body), head]):
        for ref in _references(nodes):
            if all(map(is_constant, ref.path)):
                found = tuple(tree.matching(ref))
                if found:
                    yield Need(ref, ref, position, frozenset(found), found)
                continue
            if bindings is None:
                bindings = _bindings(body)
            known = {name: values for index, name, values in bindings if index < position}
            yield from _variable_need(rule, ref, position, known, tree)


def _references(nodes: Sequence[Node]) -> Iterator[ast.Ref]:
    for node in nodes:
        if node is not None:
            for each in descend(node):
                if (
                    isinstance(each, ast.Ref)
                    and isinstance(each.head, ast.Var)
                    and each.head.name == "data"
                ):
                    yield each


def _variable_need(
    rule: RuleNode, ref: ast.Ref, position: int, known: Known, tree: RuleTree
) -> Iterator[Need]:
    expanded = _expand(ref, known) if known else [ref]
    narrowed = expanded[0] if len(expanded) == 1 else ref
    found: dict[RuleNode, None] = {}
    for each in expanded:
        found.update(dict.fromkeys(tree.matching(each)))
    if found:
        bound = variables_before(rule, position)
        certain = frozenset(target for target in found if not conditions(narrowed, target, bound))
        yield Need(ref, narrowed, position, certain, tuple(found))


def variables_before(rule: RuleNode, position: int) -> frozenset[str]:
    """Return the variables that may have a value where an expression of the body is reached."""
    head = rule.rule.head
    nodes: list[Node] = [*head.reference.path, *(rule.args or ()), head.key, head.value]
    nodes += rule.rule.body[:position]
    return frozenset(
        each.name
        for node in nodes
        if node is not None
        for each in descend(node)
        if isinstance(each, ast.Var)
    )


def conditions(ref: ast.Ref, target: RuleNode, bound: frozenset[str]) -> list[int]:
    """Return the positions in a reference's path that decide whether it needs a rule.

    A variable that has no value yet and stands there once meets every rule. A constant that
    differs counts too.
    """
    found = []
    for position, (term, other) in enumerate(zip(ref.path, target.path.path, strict=False)):
        if not is_constant(other):
            continue
        if isinstance(term, ast.Var) and term.name not in bound and ref.path.count(term) == 1:
            continue
        if is_constant(term) and equal(constant_value(term), constant_value(other)):
            continue
        found.append(position)
    return found


def _bindings(body: ast.Body) -> list[tuple[int, str, list[Value]]]:
    """Return the variables that a body unifies with constants, and where."""
    known: dict[str, list[Value]] = {}
    found = []
    for index, expr in enumerate(body):
        if not is_equality(expr) or expr.negated or expr.withs:
            continue
        assert isinstance(expr.statement, ast.Call)
        if len(expr.statement.args) != 2:
            continue
        left, right = expr.statement.args
        for variable, term in ((left, right), (right, left)):
            values = _values(term, known) if isinstance(variable, ast.Var) else None
            if isinstance(variable, ast.Var) and values is not None:
                if variable.name not in known:
                    known[variable.name] = values
                    found.append((index, variable.name, values))
                break
    return found


def _values(term: ast.Term, known: Known) -> list[Value] | None:
    """Return the values a term can have, None when that is not known."""
    if isinstance(term, ast.Var):
        return known.get(term.name)
    if is_constant(term):
        return [constant_value(term)]
    if not isinstance(term, ast.Ref):
        return None
    values = _values(term.head, known)
    for part in term.path:
        if values is None:
            return None
        values = _members(values, part)
    return values


def _members(values: list[Value], part: ast.Term) -> list[Value] | None:
    found: list[Value] = []
    for value in values:
        if is_constant(part):
            found.extend(_member(value, constant_value(part)))
        elif isinstance(value, list | RegoSet):
            found.extend(value)
        elif isinstance(value, dict):
            found.extend(value.values())
        else:
            return None
    return found if len(found) <= _NARROWING_LIMIT else None


def _member(value: Value, key: Value) -> list[Value]:
    if isinstance(value, list):
        return value[key : key + 1] if type(key) is int and key >= 0 else []
    if isinstance(value, dict):
        return [value[freeze(key)]] if freeze(key) in value else []
    return [key] if isinstance(value, RegoSet) and key in value else []


def _expand(ref: ast.Ref, known: Known) -> list[ast.Ref]:
    paths: list[tuple[ast.Term, ...]] = [ref.path]
    for position, term in enumerate(ref.path):
        values = None if is_constant(term) else _values(term, known)
        if not values or len(paths) * len(values) > _NARROWING_LIMIT:
            continue
        paths = [
            (*path[:position], constant_term(value), *path[position + 1 :])
            for path in paths
            for value in values
        ]
    return [ast.Ref(ref.head, path, ref.location) for path in paths]
