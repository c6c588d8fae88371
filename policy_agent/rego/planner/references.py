"""Plan references: into values, and into `data`, where rules and base documents are one document.

Pure. Follows OPA v1.22 internal/planner/planner.go (planRef, planRefData, planRefDataExtent). One
thing differs: where a variable ranges over rules, what follows is planned once and not once for
each. Rules are called by the name whose turn it is; where packages are among them, all values are
collected in an array first.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial

from policy_agent.rego import ast, plan
from policy_agent.rego.compile.nodes import DATA, INPUT
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.planner.trie import RuleTrie
from policy_agent.rego.planner.unification import Unification

_HIDDEN = "system"
# Packages that are told apart one after the other.
_FEW = 20


class References(Unification):
    """The part of the planner for references."""

    trie: RuleTrie
    by_key: bool

    @abstractmethod
    def call_rules(self, node: RuleTrie, key: plan.Operand | None = None) -> plan.Local:
        """Plan the value of the rules of a node; undefined where they have none.

        Args:
            node: of rules that are no functions.
            key: plan no more of a set or object than what lies at this key.
        """

    @abstractmethod
    def function(self, node: RuleTrie, *, by_key: bool = False) -> str:
        """Plan the function of a node's rules and return its name."""

    @abstractmethod
    def call_any_rule(self, node: RuleTrie, key: plan.Operand, target: plan.Local) -> None:
        """Plan the value of the rules below a node that have a name known only then."""

    def reference(self, reference: ast.Ref) -> plan.Operand:
        """Plan the value of a reference; its variables without value range over what is there."""
        head = reference.head
        assert isinstance(head, ast.Var)
        if head.name == DATA:
            return self._data(self.trie, [], reference.path)
        local = self.variables.get(head.name)
        if local is None:
            raise self.refuse("reference to a variable without value", reference.location)
        if head.name == INPUT and not reference.path:
            self.emit(plan.IsDefinedStmt, local)
        return self._path(plan.LocalOperand(local), reference.path)

    def _path(self, value: plan.Operand, path: Sequence[ast.Term]) -> plan.Operand:
        for part in path:
            value = self._step(value, part)
        return value

    def _step(self, value: plan.Operand, part: ast.Term) -> plan.Operand:
        if not self.is_known(part):
            key, item = self.scan(value)
            self.match(plan.LocalOperand(key), part)
            return plan.LocalOperand(item)
        operand = self.term(part)
        target = self.local()
        self.emit(plan.DotStmt, value, operand, target)
        return plan.LocalOperand(target)

    def scan(self, value: plan.Operand) -> tuple[plan.Local, plan.Local]:
        """Plan what follows for every key and value of a collection."""
        source, key, item = self.copied(value), self.local(), self.local()
        self.open(lambda block, place: plan.ScanStmt(source, key, item, block, place))
        return key, item

    def _base(self, path: Sequence[ast.Term]) -> plan.Operand:
        """Plan a base document."""
        local = self.variables.get(DATA)
        assert local is not None
        return self._documents(plan.LocalOperand(local), path)

    def _documents(self, value: plan.Operand, path: Sequence[ast.Term]) -> plan.Operand:
        """Plan a path into base documents."""
        for part in path:
            if isinstance(part, ast.Scalar) and type(part.value) is int:
                value = self._numbered(value, part)
            else:
                value = self._step(value, part)
        return value

    def _numbered(self, value: plan.Operand, part: ast.Scalar) -> plan.Operand:
        """Plan a step by a number, which in base documents stands for its text, too."""
        target = self.local()

        def as_number() -> None:
            self.emit(plan.DotStmt, value, self.term(part), target)
            self.emit(plan.BreakStmt, 1)

        def choose() -> None:
            self.block(self.closed(as_number).block)
            self.emit(plan.DotStmt, value, self.string(str(part.value)), target)

        self.emit(plan.ResetLocalStmt, target)
        self.block(self.closed(choose).block)
        self.emit(plan.IsDefinedStmt, target)
        return plan.LocalOperand(target)

    def _data(self, node: RuleTrie, base: list[ast.Term], path: Sequence[ast.Term]) -> plan.Operand:
        """Plan `data.<base>.<path>` where `node` holds the rules below `data.<base>`."""
        for index, part in enumerate(path):
            rest = path[index + 1 :]
            if not isinstance(part, ast.Scalar) and node.children():
                return self._choose(node, base, path[index:])
            child = node.get(part.value) if isinstance(part, ast.Scalar) else None
            base = [*base, part]
            if child is None:
                return self._base([*base, *rest])
            if child.rules:
                return self._below(child, base, rest)
            node = child
        return self._extent(node, base)

    def _choose(
        self, node: RuleTrie, base: list[ast.Term], path: Sequence[ast.Term]
    ) -> plan.Operand:
        """Plan `data.<base>.<path>` where the path begins with a variable and rules are below."""
        children = node.children()
        packages = [key for key, child in children if not child.rules]
        may_be_asked_one_by_one = not packages or (len(path) == 1 and len(packages) <= _FEW)
        if may_be_asked_one_by_one and not any(map(_is_number, path)):
            return self._choose_one(node, base, path)
        rows = _Rows(self, path)
        names = self.local()
        self.emit(plan.MakeSetStmt, names)
        for key, _ in children:
            self.emit(plan.SetAddStmt, self.string(key), names)

        def documents() -> None:
            key, item = self.scan(self._base(base))
            other = plan.DotStmt(plan.LocalOperand(names), plan.LocalOperand(key), self.local())
            self.emit(plan.NotStmt, plan.Block((other,)))
            self.match(plan.LocalOperand(key), path[0])
            rows.add(self._documents(plan.LocalOperand(item), path[1:]))

        self.block(self.closed(documents).block)
        for key, child in children:

            def rules(key: str = key, child: RuleTrie = child) -> None:
                self.match(self.string(key), path[0])
                rows.add(self._below(child, [*base, ast.Scalar(key)], path[1:]))

            self.block(self.closed(rules).block)
        return rows.each()

    def _choose_one(
        self, node: RuleTrie, base: list[ast.Term], path: Sequence[ast.Term]
    ) -> plan.Operand:
        """Plan the same so that each of rules and a few packages is evaluated in its turn.

        What follows may be content before that. OPA goes through base documents first, too.
        """
        names, candidates = self.local(), self.local()
        self.emit(plan.MakeSetStmt, names)
        self.emit(plan.MakeArrayStmt, 0, candidates)
        children = [(key, child) for key, child in node.children() if not child.arity]
        for key, _ in node.children():
            self.emit(plan.SetAddStmt, self.string(key), names)

        def documents() -> None:
            key, item = self.scan(self._base(base))
            other = plan.DotStmt(plan.LocalOperand(names), plan.LocalOperand(key), self.local())
            self.emit(plan.NotStmt, plan.Block((other,)))
            self._add_array(candidates, plan.LocalOperand(key), plan.LocalOperand(item))

        self.block(self.closed(documents).block)
        for key, child in children:
            if child.rules:
                self.function(child)
            self._add_array(candidates, self.string(key))
        _, candidate = self.scan(plan.LocalOperand(candidates))
        key_at = self.item(candidate, 0)
        self.match(plan.LocalOperand(key_at), path[0])
        value = self.local()

        def given() -> None:
            document = plan.LocalOperand(self.item(candidate, 1))
            self.emit(plan.AssignVarStmt, document, value)
            self.emit(plan.BreakStmt, 1)

        def choose() -> None:
            self.block(self.closed(given).block)
            for key, child in children:
                if not child.rules:
                    package = partial(self._package, key, key_at, child, base, value)
                    self.block(self.closed(package).block)
            self.call_any_rule(node, plan.LocalOperand(key_at), value)

        self.emit(plan.ResetLocalStmt, value)
        self.block(self.closed(choose).block)
        self.emit(plan.IsDefinedStmt, value)
        return self._path(plan.LocalOperand(value), path[1:])

    def _package(
        self,
        name: str,
        key: plan.Local,
        node: RuleTrie,
        base: list[ast.Term],
        target: plan.Local,
    ) -> None:
        self.emit(plan.EqualStmt, plan.LocalOperand(key), self.string(name))
        self.emit(plan.AssignVarStmt, self._extent(node, [*base, ast.Scalar(name)]), target)
        self.emit(plan.BreakStmt, 1)

    def _add_array(self, target: plan.Local, *values: plan.Operand) -> None:
        made = self.local()
        self.emit(plan.MakeArrayStmt, len(values), made)
        for value in values:
            self.emit(plan.ArrayAppendStmt, value, made)
        self.emit(plan.ArrayAppendStmt, plan.LocalOperand(made), target)

    def item(self, array: plan.Local, index: int) -> plan.Local:
        """Plan one element of an array."""
        key, item = self.local(), self.local()
        self.emit(plan.MakeNumberIntStmt, index, key)
        self.emit(plan.DotStmt, plan.LocalOperand(array), plan.LocalOperand(key), item)
        return item

    def _below(
        self, node: RuleTrie, base: list[ast.Term], path: Sequence[ast.Term]
    ) -> plan.Operand:
        if node.arity:
            return self.undefined()
        if node.rules:
            one = self.by_key and bool(path) and node.is_partial and self.is_known(path[0])
            value = self.call_rules(node, self.term(path[0]) if one else None)
            return self._path(plan.LocalOperand(value), path)
        return self._data(node, base, path)

    def _extent(self, node: RuleTrie, base: list[ast.Term]) -> plan.Operand:
        """Plan the whole document: what rules define, merged over base documents."""
        virtual = self._virtual(node)
        target = self.local()

        def merge() -> None:
            documents = self.copied(self._base(base))
            self.emit(plan.ObjectMergeStmt, documents, virtual, target)
            self.emit(plan.BreakStmt, 1)

        def choose() -> None:
            self.block(self.closed(merge).block)
            self.emit(plan.AssignVarStmt, plan.LocalOperand(virtual), target)

        self.block(self.closed(choose).block)
        return plan.LocalOperand(target)

    def _virtual(self, node: RuleTrie) -> plan.Local:
        """Plan the object of everything that rules define below a node."""
        target = self.local()
        self.emit(plan.MakeObjectStmt, target)
        for key, child in node.children():
            if child.arity or (not node.path and key == _HIDDEN):
                continue
            if not child.rules:
                value = self._virtual(child)
                self.emit(plan.ObjectInsertStmt, self.string(key), plan.LocalOperand(value), target)
                continue

            def insert(key: str = key, child: RuleTrie = child) -> None:
                value = self.call_rules(child)
                self.emit(plan.ObjectInsertStmt, self.string(key), plan.LocalOperand(value), target)

            self.block(self.closed(insert).block)
        return target


class _Rows:
    """The values of a reference that has several, each with the variables that it binds.

    Where it binds none there is one value at most, and no need for an array.
    """

    def __init__(self, planner: References, path: Sequence[ast.Term]) -> None:
        self._planner = planner
        self._bound = [
            name for name in variables(tuple(path)) if planner.variables.get(name) is None
        ]
        self._target = planner.local()
        if self._bound:
            planner.emit(plan.MakeArrayStmt, 0, self._target)
        else:
            planner.emit(plan.ResetLocalStmt, self._target)

    def add(self, value: plan.Operand) -> None:
        """Plan to keep a value, in the place where the variables are bound."""
        planner = self._planner
        if not self._bound:
            planner.emit(plan.AssignVarStmt, value, self._target)
            return
        row = planner.local()
        planner.emit(plan.MakeArrayStmt, len(self._bound) + 1, row)
        for name in self._bound:
            planner.emit(plan.ArrayAppendStmt, planner.term(ast.Var(name)), row)
        planner.emit(plan.ArrayAppendStmt, value, row)
        planner.emit(plan.ArrayAppendStmt, plan.LocalOperand(row), self._target)

    def each(self) -> plan.Operand:
        """Plan what follows for every value that was kept."""
        planner = self._planner
        target = plan.LocalOperand(self._target)
        if not self._bound:
            planner.emit(plan.IsDefinedStmt, self._target)
            return target
        _, row = planner.scan(target)
        for index, name in enumerate(self._bound):
            planner.variables.put(name, planner.item(row, index))
        return plan.LocalOperand(planner.item(row, len(self._bound)))


def _is_number(part: ast.Term) -> bool:
    return isinstance(part, ast.Scalar) and type(part.value) is int
