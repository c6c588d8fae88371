"""Plan the expressions of bodies: negation, `every`, `and`, `or` and `with`.

Pure. Follows OPA v1.22 internal/planner/planner.go (planExpr).
"""

from __future__ import annotations

from msgspec.structs import replace

from policy_agent.rego import ast, plan
from policy_agent.rego.compile.nodes import DATA, INPUT, operator_name
from policy_agent.rego.planner.calls import Calls

_TRUE = plan.BoolOperand(True)


class Expressions(Calls):
    """The part of the planner for expressions."""

    def body(self, body: ast.Body) -> None:
        """Plan the expressions of a body."""
        for expr in body:
            self.at(expr.location)
            self.expr(expr)

    def expr(self, expr: ast.Expr) -> None:
        """Plan one expression: go on for each way in which it holds."""
        if expr.withs:
            self._with(expr)
            return
        if expr.negated:
            self._negation((replace(expr, negated=False),))
            return
        match expr.statement:
            case ast.Call() as call:
                self.call(call)
            case ast.Every() as every:
                self._every(every)
            case ast.LogicalNot() as negation:
                self._negation(negation.body)
            case ast.LogicalAnd() as both:
                for operand in (both.left, both.right):
                    self.emit(plan.IsDefinedStmt, self._holds(operand))
            case ast.LogicalOr() as either:
                self._or(either)
            case ast.SomeDecl():
                pass
            case term:
                self._term_holds(term)

    def _term_holds(self, term: ast.Term) -> None:
        if isinstance(term, ast.Scalar):
            if term.value is False:
                self.fail()
        elif isinstance(term, ast.Var | ast.Ref):
            self.emit(plan.NotEqualStmt, self.term(term), plan.BoolOperand(False))
        else:
            self.term(term)

    def _holds(self, body: ast.Body) -> plan.Local:
        """Plan a body apart and return the local that has a value where the body held."""
        held = self.local()

        def write() -> None:
            self.body(body)
            self.emit(plan.AssignVarStmt, _TRUE, held)

        self.emit(plan.ResetLocalStmt, held)
        self.block(self.closed(write).block)
        return held

    def _negation(self, body: ast.Body) -> None:
        held = self.local()

        def write() -> None:
            self.body(body)
            if self.is_branched():
                self.emit(plan.AssignVarStmt, _TRUE, held)

        apart = self.closed(write)
        if not apart.branched:
            self.emit(plan.NotStmt, apart.block)
            return
        self.emit(plan.ResetLocalStmt, held)
        self.block(apart.block)
        self.emit(plan.IsUndefinedStmt, held)

    def _or(self, either: ast.LogicalOr) -> None:
        held = self.local()

        def attempt(body: ast.Body) -> plan.Block:
            def write() -> None:
                self.body(body)
                self.emit(plan.AssignVarStmt, _TRUE, held)

            return self.closed(write).block

        def otherwise() -> None:
            self.emit(plan.IsUndefinedStmt, held)
            self.block(right)

        self.emit(plan.ResetLocalStmt, held)
        self.block(attempt(either.left))
        right = attempt(either.right)
        self.block(self.closed(otherwise).block)
        self.emit(plan.IsDefinedStmt, held)

    def _every(self, every: ast.Every) -> None:
        failed, held = self.local(), self.local()
        self.emit(plan.ResetLocalStmt, failed)
        domain = self.term(every.domain)
        self._require_collection(domain)

        def attempt() -> None:
            self.match(plan.LocalOperand(item), every.value)
            self.body(every.body)
            self.emit(plan.AssignVarStmt, _TRUE, held)

        with self.written() as loop, self.variables.frame():
            key, item = self.scan(domain)
            if every.key is not None:
                self.match(plan.LocalOperand(key), every.key)
            self.emit(plan.ResetLocalStmt, held)
            self.block(self.closed(attempt).block)
            self.emit(plan.IsUndefinedStmt, held)
            self.emit(plan.AssignVarStmt, _TRUE, failed)
        self.block(loop.block)
        self.emit(plan.IsUndefinedStmt, failed)

    def _require_collection(self, value: plan.Operand) -> None:
        kinds = (plan.IsArrayStmt, plan.IsObjectStmt, plan.IsSetStmt)
        leave = plan.BreakStmt(1)
        tries = tuple(plan.Block((kind(value), leave)) for kind in kinds)
        self.block(plan.Block((plan.BlockStmt(tries), leave)))

    def _with(self, expr: ast.Expr) -> None:
        mocks: dict[str, ast.Term] = {}
        outer = {passed: self.variables.get(passed) for passed in self.generations.current.passed}
        documents: list[tuple[ast.Ref, plan.Operand]] = []
        for each in expr.withs:
            if self._is_function(each.target):
                name = operator_name(each.target)
                mocks[name] = self._mock(name, each.value)
            else:
                documents.append((each.target, self.term(each.value)))
        saved = self._save({_root(target) for target, _ in documents})
        paths = [_keys(target) for target, _ in documents if _root(target) == DATA]
        hidden = frozenset(path for path in paths if self.trie.lookup(path) is not None)
        for target, value in documents:
            self._replace(target, value)
        plain = replace(expr, withs=())
        if mocks or hidden:
            with self.generations.replacing(mocks, hidden), self.trie.hiding(paths):
                self.expr(plain)
        else:
            self.expr(plain)
        for name, passed in outer.items():
            if passed is not None:
                self.variables.put(name, passed)
        for local, copy in saved:
            self._replace_local(local, (), plan.LocalOperand(copy))

    def _mock(self, name: str, value: ast.Term) -> ast.Term:
        """Return what replaces a function; a variable under a name that no rule can use."""
        if not isinstance(value, ast.Var):
            return value
        alias = ast.Var(f"with {name}")
        self.variables.put(alias.name, self.copied(self.term(value)))
        return alias

    def _is_function(self, target: ast.Ref) -> bool:
        assert isinstance(target.head, ast.Var)
        if target.head.name == INPUT:
            return False
        node = self.find(target)
        if node is not None:
            return node.arity > 0
        return target.head.name != DATA and operator_name(target) in self.builtins

    def _save(self, roots: set[str]) -> list[tuple[plan.Local, plan.Local]]:
        """Copy the documents that are about to be replaced."""
        saved = []
        for name in sorted(roots):
            local = self.variables.get(name)
            assert local is not None
            copy = self.local()
            self.emit(plan.AssignVarStmt, plan.LocalOperand(local), copy)
            saved.append((local, copy))
        return saved

    def _replace(self, target: ast.Ref, value: plan.Operand) -> None:
        local = self.variables.get(_root(target))
        assert local is not None
        self._replace_local(local, tuple(map(self._string_index, target.path)), value)

    def _string_index(self, part: ast.Term) -> int:
        if not isinstance(part, ast.Scalar) or not isinstance(part.value, str):
            raise self.refuse("invalid with target", part.location)
        return self.strings.index(part.value)

    def _replace_local(self, local: plan.Local, path: tuple[int, ...], value: plan.Operand) -> None:
        self.open(lambda block, place: plan.WithStmt(local, path, value, block, place))


def _root(target: ast.Ref) -> str:
    assert isinstance(target.head, ast.Var)
    return target.head.name


def _keys(target: ast.Ref) -> tuple[object, ...]:
    return tuple(part.value for part in target.path if isinstance(part, ast.Scalar))
