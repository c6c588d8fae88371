"""What a compilation gives, and where further checks take part in it.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import operator_name
from policy_agent.rego.compile.problems import COMPILE_ERROR
from policy_agent.rego.compile.signatures import Signature
from policy_agent.rego.compile.tree import RuleTree, constant_path, defines_always


class Compiled(Struct, frozen=True):
    """Modules that are ready to plan.

    Attributes:
        modules: every reference resolved, every local variable with a name of its own, every body
            in an order in which it can run.
        tree: the rules by path.
        builtins: the functions that may be called.
        rewritten: local name -> name as written.
        prints: whether `print` calls are kept.
    """

    modules: tuple[ast.Module, ...]
    tree: RuleTree
    builtins: Mapping[str, Signature]
    rewritten: Mapping[str, str]
    prints: bool = False

    def is_defined(self, reference: ast.Ref) -> bool:
        """Return whether a reference names a rule that always has a value."""
        return is_always_defined(self.tree, reference)

    def arity(self, operator: ast.Ref) -> int | None:
        """Return how many arguments a function takes, None when there is no such function."""
        return find_arity(self.tree, self.builtins, operator)


class CompiledQuery(Struct, frozen=True):
    """A query that is ready to plan.

    Attributes:
        rewritten: local name -> name as written.
    """

    body: ast.Body
    rewritten: Mapping[str, str]


class Checks:
    """What else is checked between the passes; this one checks nothing.

    Each method returns the problems it finds; any ends the compilation, but for those of `sources`.
    """

    def sources(self, modules: Sequence[ast.Module]) -> Iterable[PolicyProblem]:
        """Check modules as parsed, once every name in them is known."""
        return ()

    def calls(self, compiled: Compiled) -> Iterable[PolicyProblem]:
        """Check rules against each other, and calls for functions that exist, before safety."""
        return ()

    def rules(self, compiled: Compiled) -> Iterable[PolicyProblem]:
        """Check recursion and types, when everything else is in order."""
        return ()

    def query_calls(self, body: ast.Body, compiled: Compiled) -> Iterable[PolicyProblem]:
        """Check a query's calls, before safety."""
        return ()

    def query(self, body: ast.Body, compiled: Compiled) -> Iterable[PolicyProblem]:
        """Check a query's types."""
        return ()


NO_CHECKS = Checks()


def find_arity(tree: RuleTree, builtins: Mapping[str, Signature], called: ast.Ref) -> int | None:
    """Return how many arguments a function takes, None when there is no such function."""
    name = operator_name(called)
    if name in builtins:
        return builtins[name].arity
    path = constant_path(called)
    node = None if path is None else tree.find(path)
    return node.rules[0].arity if node is not None and node.rules else None


def is_always_defined(tree: RuleTree, reference: ast.Ref) -> bool:
    """Return whether a reference names a rule that always has a value."""
    node = tree.find_reference(reference)
    return node is not None and defines_always(node)


def require(problems: Iterable[PolicyProblem]) -> None:
    """End the compilation when there are problems.

    Raises:
        PolicyError: the problems.
    """
    found = list(problems)
    if found:
        raise PolicyError(found)


@contextmanager
def bounded() -> Iterator[None]:
    """Refuse what is nested so deeply that no pass could walk it.

    Raises:
        PolicyError: inside the block, Python's stack ended.
    """
    try:
        yield
    except RecursionError:
        raise PolicyError([PolicyProblem(COMPILE_ERROR, "policy is nested too deeply")]) from None
