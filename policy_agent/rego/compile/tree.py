"""The rules of all modules by the path they define.

Pure. Follows OPA v1.22 v1/ast/compile.go (TreeNode).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import DATA
from policy_agent.rego.values import Frozen, freeze


class PlacedRule(Struct, frozen=True, eq=False):
    """A rule and the module that it comes from."""

    module: ast.Module
    rule: ast.Rule

    @property
    def path(self) -> tuple[ast.Term, ...]:
        """Return the whole reference below `data`."""
        reference = self.rule.head.reference
        name = ast.Scalar(self.rule.head.name, reference.location)
        package = tuple(ast.Scalar(part, reference.location) for part in self.module.package)
        return (*package, name, *reference.path)

    @property
    def ground_path(self) -> tuple[Frozen, ...]:
        """Return the constants that the reference begins with."""
        found = []
        for part in self.path:
            if not isinstance(part, ast.Scalar):
                break
            found.append(freeze(part.value))
        return tuple(found)

    @property
    def is_set(self) -> bool:
        """Return whether the rule adds to a set (`p contains x`)."""
        return self.rule.head.key is not None and self.rule.head.value is None

    @property
    def arity(self) -> int:
        """Return how many arguments the rule takes; 0 when it is no function."""
        return len(self.rule.head.args or ())


class RuleTree:
    """A node: the rules of one path and what is below it.

    Attributes:
        rules: those whose reference begins with just this path of constants.
        children: by frozen value.
    """

    __slots__ = ("children", "rules")

    def __init__(self) -> None:
        self.rules: list[PlacedRule] = []
        self.children: dict[Frozen, RuleTree] = {}

    def insert(self, path: Iterable[Frozen]) -> RuleTree:
        """Return the node of a path, made where there was none."""
        node = self
        for part in path:
            node = node.children.setdefault(part, RuleTree())
        return node

    def find(self, path: Iterable[Frozen]) -> RuleTree | None:
        """Return the node of a path."""
        node: RuleTree | None = self
        for part in path:
            if node is None:
                return None
            node = node.children.get(part)
        return node

    def find_reference(self, reference: ast.Ref) -> RuleTree | None:
        """Return the node of a constant reference below `data`."""
        path = constant_path(reference)
        return None if path is None else self.find(path)

    def all_rules(self) -> Iterator[PlacedRule]:
        """Iterate over the rules here and below."""
        yield from self.rules
        for child in self.children.values():
            yield from child.all_rules()


def constant_path(reference: ast.Ref) -> tuple[Frozen, ...] | None:
    """Return the path of a reference to `data` whose parts are all constants."""
    if not isinstance(reference.head, ast.Var) or reference.head.name != DATA:
        return None
    if not all(isinstance(part, ast.Scalar) for part in reference.path):
        return None
    return tuple(freeze(part.value) for part in reference.path if isinstance(part, ast.Scalar))


def build_tree(modules: Sequence[ast.Module]) -> RuleTree:
    """Return the tree of the rules of modules; packages without rules are in it, too."""
    root = RuleTree()
    for module in modules:
        root.insert(module.package)
        for rule in module.rules:
            placed = PlacedRule(module, rule)
            root.insert(placed.ground_path).rules.append(placed)
    return root


def defines_always(node: RuleTree) -> bool:
    """Return whether the rules of a path always give a value."""
    if not node.rules or node.rules[0].arity:
        return False
    if node.rules[0].is_set or any(placed.rule.default for placed in node.rules):
        return True
    return len(node.rules) == 1 and _is_constant(node.rules[0].rule)


def _is_constant(rule: ast.Rule) -> bool:
    written = rule.body[0].statement
    always = len(rule.body) == 1 and isinstance(written, ast.Scalar) and written.value is True
    return always and rule.head.value is not None and _is_value(rule.head.value)


def _is_value(term: ast.Term) -> bool:
    match term:
        case ast.Scalar() | ast.Var():
            return True
        case ast.ArrayTerm() | ast.SetTerm():
            return all(map(_is_constant_value, term.items))
        case ast.ObjectTerm():
            return all(_is_constant_value(part) for pair in term.pairs for part in pair)
    return False


def _is_constant_value(term: ast.Term) -> bool:
    return not isinstance(term, ast.Var) and _is_value(term)
