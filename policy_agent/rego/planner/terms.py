"""Plan the values of terms.

Pure. Follows OPA v1.22 internal/planner/planner.go (planTerm and what it calls).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from policy_agent.number import Number
from policy_agent.rego import ast, plan
from policy_agent.rego.compile.variables import variables
from policy_agent.rego.planner.emitter import Emitter


class Terms(Emitter):
    """The part of the planner for terms."""

    @abstractmethod
    def reference(self, reference: ast.Ref) -> plan.Operand:
        """Plan the value of a reference."""

    @abstractmethod
    def body(self, body: ast.Body) -> None:
        """Plan the expressions of a body."""

    def is_known(self, term: ast.Term) -> bool:
        """Return whether every variable of a term has a value."""
        if isinstance(term, ast.Scalar):
            return True
        return all(self.variables.get(name) is not None for name in variables(term))

    def term(self, term: ast.Term) -> plan.Operand:
        """Plan the value of a term whose variables have values."""
        match term:
            case ast.Scalar():
                return self._scalar(term.value)
            case ast.Var():
                known = self.variables.get(term.name)
                if known is None:
                    known = self.local()
                    self.variables.put(term.name, known)
                return plan.LocalOperand(known)
            case ast.Ref():
                return self.reference(term)
        return self._collection(term)

    def _collection(self, term: ast.Term) -> plan.Operand:
        match term:
            case ast.ArrayTerm():
                return self._array(term.items)
            case ast.SetTerm():
                return self._set(term.items)
            case ast.ObjectTerm():
                return self._object(term)
            case ast.ArrayComprehension():
                return self._array_comprehension(term)
            case ast.SetComprehension():
                return self._set_comprehension(term)
            case ast.ObjectComprehension():
                return self._object_comprehension(term)
        raise self.refuse("term is not supported here", term.location)

    def _scalar(self, value: object) -> plan.Operand:
        if isinstance(value, bool):
            return plan.BoolOperand(value)
        if isinstance(value, str):
            return self.string(value)
        target = self.local()
        if value is None:
            self.emit(plan.MakeNullStmt, target)
        else:
            text = value.text if isinstance(value, Number) else str(value)
            self.emit(plan.MakeNumberRefStmt, self.strings.index(text), target)
        return plan.LocalOperand(target)

    def _array(self, items: tuple[ast.Term, ...]) -> plan.Operand:
        target = self.local()
        self.emit(plan.MakeArrayStmt, len(items), target)
        for item in items:
            self.emit(plan.ArrayAppendStmt, self.term(item), target)
        return plan.LocalOperand(target)

    def _set(self, items: tuple[ast.Term, ...]) -> plan.Operand:
        target = self.local()
        self.emit(plan.MakeSetStmt, target)
        for item in items:
            self.emit(plan.SetAddStmt, self.term(item), target)
        return plan.LocalOperand(target)

    def _object(self, term: ast.ObjectTerm) -> plan.Operand:
        target = self.local()
        self.emit(plan.MakeObjectStmt, target)
        for key, value in term.pairs:
            operand = self.term(key)
            self.emit(plan.ObjectInsertStmt, operand, self.term(value), target)
        return plan.LocalOperand(target)

    def _array_comprehension(self, term: ast.ArrayComprehension) -> plan.Operand:
        target = self.local()
        self.emit(plan.MakeArrayStmt, 0, target)
        return self._collected(
            term, target, lambda: self.emit(plan.ArrayAppendStmt, self.term(term.term), target)
        )

    def _set_comprehension(self, term: ast.SetComprehension) -> plan.Operand:
        target = self.local()
        self.emit(plan.MakeSetStmt, target)
        return self._collected(
            term, target, lambda: self.emit(plan.SetAddStmt, self.term(term.term), target)
        )

    def _object_comprehension(self, term: ast.ObjectComprehension) -> plan.Operand:
        def insert() -> None:
            key = self.term(term.key)
            self.emit(plan.ObjectInsertOnceStmt, key, self.term(term.value), target)

        target = self.local()
        self.emit(plan.MakeObjectStmt, target)
        return self._collected(term, target, insert)

    def _collected(
        self,
        term: ast.ArrayComprehension | ast.SetComprehension | ast.ObjectComprehension,
        target: plan.Local,
        add: Callable[[], None],
    ) -> plan.Operand:
        def write() -> None:
            self.at(term.location)
            self.body(term.body)
            add()

        self.block(self.closed(write).block)
        return plan.LocalOperand(target)
