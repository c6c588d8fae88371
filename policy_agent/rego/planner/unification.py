"""Plan equalities, which give variables their values.

Pure. Follows OPA v1.22 internal/planner/planner.go (planUnify and what it calls).
"""

from __future__ import annotations

from collections.abc import Sequence

from policy_agent.rego import ast, plan
from policy_agent.rego.planner.terms import Terms


class Unification(Terms):
    """The part of the planner for equalities."""

    def unify(self, left: ast.Term, right: ast.Term) -> None:
        """Go on only where two terms are equal, with their variables bound."""
        match left, right:
            case ast.ArrayTerm(), ast.ArrayTerm():
                if len(left.items) != len(right.items):
                    self.fail()
                else:
                    self._pairs(list(zip(left.items, right.items, strict=True)))
            case ast.ObjectTerm(), ast.ObjectTerm():
                self._objects(left, right)
            case _ if self._is_pattern(left) and not self._is_pattern(right):
                self.match(self.term(right), left)
            case ast.Var(), _ if self.variables.get(left.name) is None:
                self.match(self.term(right), left)
            case _:
                self.match(self.term(left), right)

    def _is_pattern(self, term: ast.Term) -> bool:
        """Return whether a term gives values to variables when it is matched."""
        if isinstance(term, ast.Var):
            return self.variables.get(term.name) is None
        return isinstance(term, ast.ArrayTerm | ast.ObjectTerm) and not self.is_known(term)

    def _pairs(self, pairs: list[tuple[ast.Term, ast.Term]]) -> None:
        """Unify pairs; those first in which a side has its value already."""
        while pairs:
            ready = next(
                (
                    pair
                    for pair in pairs
                    if not (self._is_pattern(pair[0]) and self._is_pattern(pair[1]))
                ),
                pairs[0],
            )
            pairs.remove(ready)
            self.unify(*ready)

    def match(self, value: plan.Operand, term: ast.Term) -> None:
        """Go on only where a value equals a term, with the term's variables bound."""
        match term:
            case ast.Scalar() if self._is_decided(value, term.value):
                if self.term(term) != value:
                    self.fail()
            case ast.Var():
                known = self.variables.get(term.name)
                if known is not None:
                    self.emit(plan.EqualStmt, value, plan.LocalOperand(known))
                else:
                    target = self.local()
                    self.emit(plan.AssignVarStmt, value, target)
                    self.variables.put(term.name, target)
            case ast.ArrayTerm() if not self.is_known(term):
                self._match_array(value, term)
            case ast.ObjectTerm() if not self.is_known(term):
                self._match_object(value, term)
            case _:
                self.emit(plan.EqualStmt, value, self.term(term))

    def _is_decided(self, value: plan.Operand, constant: object) -> bool:
        if isinstance(value, plan.StringOperand):
            return isinstance(constant, str)
        return isinstance(value, plan.BoolOperand) and isinstance(constant, bool)

    def _match_array(self, value: plan.Operand, term: ast.ArrayTerm) -> None:
        self.emit(plan.IsArrayStmt, value)
        self._check_length(value, len(term.items))
        for index, item in enumerate(term.items):
            key, element = self.local(), self.local()
            self.emit(plan.MakeNumberIntStmt, index, key)
            self.emit(plan.DotStmt, value, plan.LocalOperand(key), element)
            self.match(plan.LocalOperand(element), item)

    def _match_object(self, value: plan.Operand, term: ast.ObjectTerm) -> None:
        self.emit(plan.IsObjectStmt, value)
        self._check_length(value, len(term.pairs))
        for key, item in term.pairs:
            element = self.local()
            self.emit(plan.DotStmt, value, self.term(key), element)
            self.match(plan.LocalOperand(element), item)

    def _check_length(self, value: plan.Operand, length: int) -> None:
        actual, wanted = self.local(), self.local()
        self.emit(plan.LenStmt, value, actual)
        self.emit(plan.MakeNumberIntStmt, length, wanted)
        self.emit(plan.EqualStmt, plan.LocalOperand(actual), plan.LocalOperand(wanted))

    def _objects(self, left: ast.ObjectTerm, right: ast.ObjectTerm) -> None:
        if len(left.pairs) != len(right.pairs):
            self.fail()
            return
        others = list(right.pairs)
        common: list[tuple[ast.Term, ast.Term]] = []
        unmatched: list[ast.Term] = []
        for key, value in left.pairs:
            partner = next((other for name, other in others if name == key), None)
            if partner is None:
                unmatched.append(key)
            else:
                common.append((value, partner))
        self._pairs(common)
        if unmatched:
            self._compare(self.term(left), self.term(right), unmatched)

    def _compare(self, left: plan.Operand, right: plan.Operand, keys: Sequence[ast.Term]) -> None:
        for key in keys:
            operand = self.term(key)
            one, two = self.local(), self.local()
            self.emit(plan.DotStmt, left, operand, one)
            self.emit(plan.DotStmt, right, operand, two)
            self.emit(plan.EqualStmt, plan.LocalOperand(one), plan.LocalOperand(two))
