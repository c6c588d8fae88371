"""All rules of a policy by their paths below `data`.

Pure. Follows OPA v1.22 v1/ast/compile.go (TreeNode, GetRulesDynamic).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.check.constants import constant_value, ground_prefix, is_constant
from policy_agent.rego.check.type_tree import Key, key_of
from policy_agent.rego.values import equal


class RuleNode(Struct, frozen=True, eq=False):
    """One rule or one of its `else` rules.

    Attributes:
        path: from `data`, with the variables of the head.
        index: of the rule in its module; an `else` rule has that of the rule it follows.
        is_else: stands after another rule's `else`.
        alternatives: the `else` rules that follow.
    """

    rule: ast.Rule
    module: ast.Module
    path: ast.Ref
    args: tuple[ast.Term, ...] | None
    index: int = 0
    is_else: bool = False
    alternatives: tuple[RuleNode, ...] = ()

    @property
    def multiple(self) -> bool:
        """Return whether it adds members to a set."""
        return self.rule.head.key is not None and self.rule.head.value is None

    @property
    def location(self) -> Location:
        """Return where the rule begins."""
        return self.rule.location

    def all(self) -> Iterator[RuleNode]:
        """Iterate over the rule and its `else` rules."""
        yield self
        yield from self.alternatives


class RuleTree(Struct, eq=False):
    """The rules at one path and the rules below; a path ends before its first variable."""

    rules: list[RuleNode] = field(default_factory=list)
    children: dict[Key, RuleTree] = field(default_factory=dict)
    term: ast.Term | None = None

    def below(self) -> Iterator[RuleTree]:
        """Iterate over this node and all below it, parents first."""
        yield self
        for child in self.children.values():
            yield from child.below()

    def find(self, ref: ast.Ref) -> RuleTree | None:
        """Return the node at exactly this path."""
        node: RuleTree | None = self
        for term in (ref.head, *ref.path):
            node = node and node.children.get(key_of(term))
        return node

    def add(self, node: RuleNode) -> None:
        """Add a rule."""
        self._place(ground_prefix(node.path)).rules.append(node)

    def add_package(self, module: ast.Module) -> None:
        """Add the path of a module without rules."""
        self._place(package_ref(module))

    def _place(self, ref: ast.Ref) -> RuleTree:
        place = self
        for term in (ref.head, *ref.path):
            place = place.children.setdefault(key_of(term), RuleTree(term=term))
        return place

    def matching(self, ref: ast.Ref) -> list[RuleNode]:
        """Return the rules that a reference may need, without their `else` rules."""
        found: dict[RuleNode, None] = {}
        head = self.children.get(key_of(ref.head))
        if head is not None:
            head._collect(ref, 0, found)
        return list(found)

    def _collect(self, ref: ast.Ref, position: int, found: dict[RuleNode, None]) -> None:
        if position == len(ref.path):
            for node in self.below():
                found.update(dict.fromkeys(node.rules))
            return
        term = ref.path[position]
        if is_constant(term):
            child = self.children.get(key_of(term))
            children = [] if child is None else [child]
        else:
            children = list(self.children.values())
        for child in children:
            for rule in child.rules:
                if _may_meet(rule.path, ref, position + 1):
                    found[rule] = None
            child._collect(ref, position + 1, found)


def _may_meet(one: ast.Ref, other: ast.Ref, start: int) -> bool:
    return all(
        not (is_constant(left) and is_constant(right))
        or equal(constant_value(left), constant_value(right))
        for left, right in zip(one.path[start:], other.path[start:], strict=False)
    )


def package_ref(module: ast.Module) -> ast.Ref:
    """Return the reference to a module's package."""
    path = tuple(ast.Scalar(part) for part in module.package)
    return ast.Ref(ast.Var("data"), path)


def rule_nodes(modules: Iterable[ast.Module]) -> Iterator[RuleNode]:
    """Iterate over the rules of modules; `else` rules come with the rule they follow."""
    for module in modules:
        package = package_ref(module)
        for index, rule in enumerate(module.rules):
            yield _rule_node(rule, module, package, index)


def _rule_node(rule: ast.Rule, module: ast.Module, package: ast.Ref, index: int) -> RuleNode:
    reference = rule.head.reference
    name = ast.Scalar(rule.head.name, reference.head.location)
    location = rule.head.location
    path = ast.Ref(package.head, (*package.path, name, *reference.path), location)
    args = rule.head.args
    alternatives = []
    current = rule.orelse
    while current is not None:
        given = args if current.head.args is None else current.head.args
        alternatives.append(RuleNode(current, module, path, given, index, is_else=True))
        current = current.orelse
    return RuleNode(rule, module, path, args, index, alternatives=tuple(alternatives))


def build_tree(modules: Iterable[ast.Module], rules: Iterable[RuleNode]) -> RuleTree:
    """Return the tree of some modules' rules."""
    tree = RuleTree()
    for module in modules:
        if not module.rules:
            tree.add_package(module)
    for rule in rules:
        tree.add(rule)
    return tree
