"""Rules: heads, bodies and `else`.

Pure. Follows OPA v1.22 v1/ast/parser.go, the forms of Rego v0 included.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.logic import LogicParser
from policy_agent.rego.parse.names import is_ground, kind_of, text_of
from policy_agent.rego.parse.rewrite import not_constant, relocated

_BINARY = frozenset({*"+-*/%&|", "==", "!=", ">", ">=", "<", "<="})
_NAMED = (":=", "=", "if", "contains")
# What behind a keyword makes it the name of a rule, which it may not be (OPA v1.22 parser.go).
_BEHIND_RULE_NAME = {
    **dict.fromkeys(("every", "if", "in", "some", "as"), (*_NAMED, "(")),
    **dict.fromkeys(("package", "import"), (":=", "=", "(")),
    **dict.fromkeys(("not", "and", "or"), _NAMED),
    "contains": ("if", "contains"),
}


class Draft(Struct):
    """A rule while it is read, with what only the checks of its syntax need.

    Attributes:
        has_if: written with `if`.
        has_contains: written with `contains`.
        made_body: no body is written.
        made_value: no value is written.
    """

    head: ast.Head
    location: Location
    body: ast.Body = ()
    orelse: Draft | None = None
    default: bool = False
    has_if: bool = False
    has_contains: bool = False
    made_body: bool = False
    made_value: bool = False

    def rule(self) -> ast.Rule:
        """Return the rule with its `else` branches."""
        chain = [self]
        while (branch := chain[-1].orelse) is not None:
            chain.append(branch)
        rule: ast.Rule | None = None
        for draft in reversed(chain):
            rule = ast.Rule(draft.head, draft.body, rule, draft.default, draft.location)
        assert rule is not None
        return rule


def true_body(location: Location) -> ast.Body:
    """Return the body of a rule that is written without one."""
    return (ast.Expr(ast.Scalar(True, location), generated=True, location=location),)


class RuleParser(LogicParser):
    """Reads rules."""

    def refuse_keyword_as_rule_name(self, *, default: bool = False) -> bool:
        """Record a keyword in the place of a rule's name; return whether there is one."""
        behind = _BEHIND_RULE_NAME.get(self.kind)
        if behind is None:
            return False
        keyword, location = self.kind, self.here()
        if not default:
            before = self.save()
            self.scan()
            following = self.kind
            self.restore(before)
            if following not in behind:
                return False
        self.error(location, f"{keyword} keyword cannot be used for rule name")
        return True

    def rules(self) -> list[Draft] | None:
        """Read one rule, or in v0 the several with one head and their own braces."""
        location = self.here()
        self.read_keyword_of_reference()
        default = self.kind == "default"
        if default:
            self.scan()
            self.read_keyword_of_reference()
        if self.kind != k.IDENT:
            if default:
                self.refuse_keyword_as_rule_name(default=True)
            return None
        draft = self._head(location, default=default)
        if draft is None:
            return None
        if default:
            draft.body = true_body(location)
            return [draft] if self._check_default(draft) else None
        _complete_head(draft, has_if=self.kind == "if")
        if self.kind not in ("if", "{"):
            if not draft.has_contains:
                return None
            draft.made_body = True
            draft.body = true_body(location)
            draft.location = draft.head.location
            return [draft]
        if not self._rule_body(draft) or not self._else(draft):
            return None
        return self._more_bodies(draft)

    def _rule_body(self, draft: Draft) -> bool:
        if self.kind == "if":
            draft.has_if = True
            self.scan()
            before = self.save()
            braced = self.kind == "{"
            expression = self.literal()
            if expression is not None and not (
                braced and isinstance(expression.statement, ast.SetTerm)
            ):
                draft.body = (expression,)
                return True
            if not braced:
                return False
            self.restore(before)
        body = self._braces()
        draft.body = body or ()
        return body is not None

    def _braces(self) -> ast.Body | None:
        self.scan()
        body = self.body("}")
        if body is not None:
            self.scan()
        return body

    def _else(self, draft: Draft) -> bool:
        """Read the `else` branches; False where a problem was found."""
        if self.kind != "else" or self.read_keyword_of_reference():
            return True
        head = draft.head
        if not all(map(is_ground, head.reference.path)):
            self.error(self.here(), "else keyword cannot be used on rules with variables in head")
            return False
        if head.shown_key is not None:
            self.error(self.here(), "else keyword cannot be used on multi-value rules")
            return False
        last = draft
        while self.kind == "else":
            branch = self._branch(draft)
            if branch is None:
                return False
            last.orelse = last = branch
        return True

    def _branch(self, first: Draft) -> Draft | None:
        """Read one `else`."""
        location = self.here()
        head = replace(first.head, args=self._args_again(first.head.args), location=location)
        branch = Draft(head, location)
        self.scan()
        if self.kind in ("{", "if"):
            branch.made_value = True
            branch.head = replace(head, value=ast.Scalar(True))
        elif self.kind in (":=", "="):
            assign = self.kind == ":="
            self.scan()
            value = self.infix()
            if value is None:
                return None
            branch.head = replace(head, value=value, assign=assign)
        else:
            self.illegal("expected else value term or rule body")
            return None
        if self.kind not in ("if", "{"):
            branch.made_body = True
            branch.body = true_body(location)
            return branch
        if self.kind == "if":
            branch.has_if = True
            self.scan()
        return branch if self._branch_body(branch, location) else None

    def _branch_body(self, branch: Draft, location: Location) -> bool:
        if self.kind == "{":
            body = self._braces()
            branch.body = body or ()
            return body is not None
        if self.kind == k.EOF:
            self.illegal("rule body expected")
            return False
        expression = self.literal()
        if expression is None:
            return False
        branch.body = (relocated(expression, location),)
        return True

    def _args_again(self, args: tuple[ast.Term, ...] | None) -> tuple[ast.Term, ...] | None:
        """Return arguments for another rule with the same head: each `_` is a new variable."""
        if args is None:
            return None
        return tuple(
            ast.Var(self.fresh_wildcard(), arg.location)
            if isinstance(arg, ast.Var) and arg.name.startswith("$")
            else arg
            for arg in args
        )

    def _more_bodies(self, first: Draft) -> list[Draft] | None:
        drafts = [first]
        while self.kind == "{":
            if first.orelse is not None:
                self.error(self.here(), "expected else keyword")
                return None
            location = self.here()
            body = self._braces()
            if body is None:
                return None
            head = replace(first.head, args=self._args_again(first.head.args))
            draft = Draft(relocated(head, location), location, body, has_if=first.has_if)
            draft.has_contains = first.has_contains
            drafts.append(draft)
        return drafts

    def _head(self, location: Location, *, default: bool) -> Draft | None:
        start = self.here()
        term = self._head_name(self.variable())
        if term is None:
            self.illegal("expected rule head name")
            return None
        args: tuple[ast.Term, ...] | None = None
        if isinstance(term, ast.Call):
            args = term.args
            term = term.operator
            if not isinstance(term.head, ast.Var):
                self.illegal(f"rule head ref {text_of(term)} invalid")
                return None
        if isinstance(term, ast.Var):
            term = ast.Ref(term, (), term.location)
        if not isinstance(term, ast.Ref) or not isinstance(term.head, ast.Var):
            return None
        shown_name = "" if term.path else term.head.name
        draft = Draft(
            ast.Head(term, args, shown_name=shown_name, location=start), location, default=default
        )
        self._head_value(draft)
        head = draft.head
        if head.value is None and head.key is None and (len(term.path) != 1 or args):
            draft.made_value = True
            draft.head = replace(head, value=ast.Scalar(True, start))
        return draft

    def _head_name(self, name: ast.Var) -> ast.Term | None:
        self.scan_space()
        if self.kind in _BINARY:
            self.illegal()
        else:
            self.skip_space()
        if self.kind in ("(", ".", "["):
            return self.reference(name)
        if name.name in ("input", "data"):
            return ast.Ref(name, (), name.location)
        return name

    def _head_value(self, draft: Draft) -> None:
        """Read `contains key`, `= value` or `:= value`; a missing term is only recorded."""
        head = draft.head
        name = text_of(head.reference)
        kind = self.kind
        if kind == "contains":
            if head.args is not None:
                self.illegal(
                    "the contains keyword can only be used with multi-value rule definitions "
                    f"(e.g., {name} contains <VALUE> {{ ... }})"
                )
            self.scan()
            draft.has_contains = True
            key = self.infix()
            draft.head = replace(head, key=key, shown_key=key)
            if key is None:
                self.illegal(f"expected rule key term (e.g., {name} contains <VALUE> {{ ... }})")
        elif kind in ("=", ":="):
            self.scan()
            value = self.infix()
            draft.head = replace(head, value=value, assign=kind == ":=")
            if value is None:
                self.illegal(_missing_value(kind, name, head, default=draft.default))

    def _check_default(self, draft: Draft) -> bool:
        value = draft.head.value
        before = self.problems
        if value is None:
            self.error(draft.location, "illegal default rule (must have a value)")
            return False
        for refused in not_constant(value):
            what = f"illegal default rule (value cannot contain {refused})"
            self.error(draft.location, what)
        if self.problems is before:
            self._check_default_args(draft)
        return self.problems is before

    def _check_default_args(self, draft: Draft) -> None:
        seen = set()
        for arg in draft.head.args or ():
            if not isinstance(arg, ast.Var):
                what = f"arguments cannot contain {kind_of(arg)}"
            elif arg.name in seen:
                what = f"arguments cannot be repeated {text_of(arg)}"
            else:
                seen.add(arg.name)
                continue
            self.error(draft.location, f"illegal default rule ({what})")


def _missing_value(kind: str, name: str, head: ast.Head, *, default: bool) -> str:
    if kind == "=":
        return f"expected rule value term (e.g., {name}[<nil>] = <VALUE> {{ ... }})"
    if head.args:
        return f"expected function value term (e.g., {name}(...) := <VALUE> {{ ... }})"
    if default:
        return f"expected default rule value term (e.g., default {name} := <VALUE>)"
    return f"expected rule value term (e.g., {name} := <VALUE> {{ ... }})"


def _complete_head(draft: Draft, *, has_if: bool) -> None:
    """Settle what `p[x]` means: with `if` one value, in braces without it a set or an object."""
    head = draft.head
    reference = head.reference
    if draft.has_contains or len(reference.path) != 1:
        return
    part = reference.path[0]
    name = text_of(reference.head)
    if has_if:
        if not is_ground(part) or isinstance(part, ast.Ref):
            head = replace(head, shown_key=None if head.args else part)
        if head.value is None:
            draft.made_value = True
            draft.head = replace(head, value=ast.Scalar(True, head.location))
        else:
            draft.head = replace(head, shown_name=name)
    elif not head.args:
        draft.head = replace(head, shown_name=name, shown_key=part)
        if head.value is None:
            set_name = ast.Ref(reference.head, (), reference.location)
            draft.head = replace(draft.head, reference=set_name, key=part)
