"""Give references back the names that their author used.

Pure. Follows OPA v1.22 v1/ast/compile.go (rewriteRefErrVars).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import Node, call_name, descend, is_generated, rebuild

_SUBJECTS = (
    *(ast.Ref, ast.ArrayTerm, ast.SetTerm, ast.ObjectTerm, ast.Var),
    *(ast.ArrayComprehension, ast.SetComprehension, ast.ObjectComprehension),
)


class Written:
    """Undoes the compiler's renaming in references.

    Args:
        rewritten: the compiler's name -> the author's.
        node: where the compiler has put terms into variables of their own; None to leave these.
    """

    def __init__(self, rewritten: Mapping[str, str], node: Node = None) -> None:
        self._rewritten = rewritten
        self._node = node
        self._subjects: dict[str, ast.Term] | None = None

    def ref(self, ref: ast.Ref) -> ast.Ref:
        """Return a reference as it was written; what calls stand for is shown at its head only."""
        path = tuple(map(self._term, ref.path))
        return ast.Ref(self.whole(ref.head), path, ref.location)

    def whole(self, term: ast.Term) -> ast.Term:
        """Return a term with the calls that the compiler has moved out of it."""
        done = self._term(term, calls=True)
        return rebuild(done, self.whole, lambda body: body) if done is term else self.whole(done)

    def _term(self, term: ast.Term, *, calls: bool = False) -> ast.Term:
        if not isinstance(term, ast.Var):
            return rebuild(term, self._term, lambda body: body) if not calls else term
        if term.name in self._rewritten:
            return ast.Var(self._rewritten[term.name], term.location)
        if is_generated(term.name) and self._node is not None:
            if self._subjects is None:
                self._subjects = dict(_subjects(self._node))
            subject = self._subjects.get(term.name, term)
            return term if isinstance(subject, ast.Call) and not calls else subject
        return term


def _subjects(node: Node) -> dict[str, ast.Term]:
    found: dict[str, ast.Term] = {}
    for each in descend(node):
        if isinstance(each, ast.Expr) and each.generated and isinstance(each.statement, ast.Call):
            *args, last = each.statement.args
            if call_name(each) != "eq":
                term: ast.Term = replace(each.statement, args=tuple(args))
            elif isinstance(last, _SUBJECTS):
                (last, term) = (args[0], last)
            else:
                continue
            if isinstance(last, ast.Var):
                found[last.name] = term
    return found
