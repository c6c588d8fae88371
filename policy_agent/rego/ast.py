"""The syntax tree of Rego: what the parser makes and the compiler rewrites.

Pure. Names follow OPA v1.22 v1/ast (term.go, policy.go). Nodes are immutable; a pass that changes
one makes a new one (`msgspec.structs.replace`). Equality ignores locations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

from policy_agent.errors import Location
from policy_agent.rego.node import Node

NOWHERE = Location("", 1, 1)


class Scalar(Node, frozen=True):
    """`null`, a boolean, a number (int or Number) or a string."""

    value: Any
    location: Location = NOWHERE


class Var(Node, frozen=True):
    """A variable; `_` is read as a fresh name beginning with `$`, as wildcards are in OPA."""

    name: str
    location: Location = NOWHERE


class Ref(Node, frozen=True):
    """`head[path…]`: `input.user.name` is Ref(Var("input"), (Scalar("user"), Scalar("name"))).

    The head is a Var, or another term in parentheses-free forms such as `f(x).y` and `[1, 2][i]`.
    A Ref with an empty path is only the operator of a Call (`count`) or a rule's name.
    """

    head: Term
    path: tuple[Term, ...]
    location: Location = NOWHERE


class ArrayTerm(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Term, ...]
    location: Location = NOWHERE


class SetTerm(Node, frozen=True):
    """`{a, b}`; `set()` is one without items."""

    items: tuple[Term, ...]
    location: Location = NOWHERE


class ObjectTerm(Node, frozen=True):
    """`{k: v}`."""

    pairs: tuple[tuple[Term, Term], ...]
    location: Location = NOWHERE


class ArrayComprehension(Node, frozen=True):
    """`[term | body]`."""

    term: Term
    body: Body
    location: Location = NOWHERE


class SetComprehension(Node, frozen=True):
    """`{term | body}`."""

    term: Term
    body: Body
    location: Location = NOWHERE


class ObjectComprehension(Node, frozen=True):
    """`{key: value | body}`."""

    key: Term
    value: Term
    body: Body
    location: Location = NOWHERE


class Call(Node, frozen=True):
    """A call as a term: `f(x)`, and every infix operator by its built-in's name (`plus(a, b)`).

    Infix: `=` eq, `:=` assign, `==` equal, `!=` neq, `<` lt, `<=` lte, `>` gt, `>=` gte, `+` plus,
    `-` minus, `*` mul, `/` div, `%` rem, `&` and, `|` or, `in` internal.member_2 / member_3.
    """

    operator: Ref
    args: tuple[Term, ...]
    location: Location = NOWHERE


class TemplateString(Node, frozen=True):
    """`$"text {expression}"`: parts are Scalar strings and Expr."""

    parts: tuple[Scalar | Expr, ...]
    multi_line: bool = False
    location: Location = NOWHERE


Term: TypeAlias = (
    Scalar
    | Var
    | Ref
    | ArrayTerm
    | SetTerm
    | ObjectTerm
    | ArrayComprehension
    | SetComprehension
    | ObjectComprehension
    | Call
    | TemplateString
)


class With(Node, frozen=True):
    """`with target as value`; the target is a Ref (or Var `input`, as a Ref without path)."""

    target: Ref
    value: Term
    location: Location = NOWHERE


class SomeDecl(Node, frozen=True):
    """`some x, y` (Vars), or `some k, v in xs` (one Call of internal.member_2 or _3)."""

    symbols: tuple[Term, ...]
    location: Location = NOWHERE


class Every(Node, frozen=True):
    """`every k, v in domain { body }`; `key` is None without one."""

    key: Var | None
    value: Var
    domain: Term
    body: Body
    location: Location = NOWHERE


class LogicalNot(Node, frozen=True):
    """`not` of the `not` future keyword; without that import `not expr` is Expr.negated.

    Attributes:
        explicit: written with braces; only such a body may declare variables.
    """

    body: Body
    explicit: bool = True
    location: Location = NOWHERE


class LogicalAnd(Node, frozen=True):
    """`left and right`; operands are bodies, explicit where written with braces."""

    left: Body
    right: Body
    explicit_left: bool = False
    explicit_right: bool = False
    location: Location = NOWHERE


class LogicalOr(Node, frozen=True):
    """`left or right`; operands are bodies, explicit where written with braces."""

    left: Body
    right: Body
    explicit_left: bool = False
    explicit_right: bool = False
    location: Location = NOWHERE


Statement: TypeAlias = Term | SomeDecl | Every | LogicalNot | LogicalAnd | LogicalOr


class Expr(Node, frozen=True):
    """One line of a body.

    Attributes:
        statement: a Call for built-in, function and infix expressions, another term for a bare one.
        generated: made by the compiler, not written by the author.
        assignment: an `eq` that the compiler made of `:=`.
    """

    uncompared: ClassVar[frozenset[str]] = frozenset({"assignment", "location"})

    statement: Statement
    negated: bool = False
    withs: tuple[With, ...] = ()
    generated: bool = False
    assignment: bool = False
    location: Location = NOWHERE


Body: TypeAlias = tuple[Expr, ...]


class Head(Node, frozen=True):
    """A rule's head: `reference(args)[key] := value`.

    Attributes:
        reference: from the rule's name: `p`, `p.q[x].r`; for `p contains x` it is `p` alone.
        args: None for a rule that is no function.
        key: x in `p contains x`.
        value: None for a partial set; Scalar(True) where none is written.
        assign: written with `:=`.
        shown_name: `name` in OPA's JSON, "" where it has none; the reference tells the same.
        shown_key: `key` in OPA's JSON: `key`, or the last part of a reference such as `p[x]`.
    """

    uncompared: ClassVar[frozenset[str]] = frozenset({"shown_name", "shown_key", "location"})

    reference: Ref
    args: tuple[Term, ...] | None = None
    key: Term | None = None
    value: Term | None = None
    assign: bool = False
    shown_name: str = ""
    shown_key: Term | None = None
    location: Location = NOWHERE

    @property
    def name(self) -> str:
        """Return the first part of the reference."""
        assert isinstance(self.reference.head, Var)
        return self.reference.head.name


class Rule(Node, frozen=True):
    """One rule; several with one reference are alternatives.

    Attributes:
        body: (Expr(Scalar(True)),) where none is written.
        orelse: the rule after `else`.
    """

    head: Head
    body: Body
    orelse: Rule | None = None
    default: bool = False
    location: Location = NOWHERE


class Import(Node, frozen=True):
    """`import path as alias`; `alias` is "" when not written."""

    uncompared: ClassVar[frozenset[str]] = frozenset({"alias_location", "location"})

    path: Ref
    alias: str = ""
    location: Location = NOWHERE
    alias_location: Location = NOWHERE


class Annotations(Node, frozen=True):
    """One `# METADATA` block.

    Attributes:
        scope: rule, document, package or subpackages.
        fields: the block as JSON: title, description, entrypoint, custom, labels, ...; authors and
            related_resources as OPA's objects, schemas and compile as written.
        target: what it stands before: the data path of the package, rule or document.
    """

    scope: str
    fields: Mapping[str, Any]
    target: tuple[str, ...] = ()
    location: Location = NOWHERE


class Comment(Node, frozen=True):
    """One comment, without its `#`."""

    text: str
    location: Location = NOWHERE


class Module(Node, frozen=True):
    """One file.

    Attributes:
        package: the path below data: ("orders", "authz").
        rego_version: 0, 1 or 2: which parser read it, raised by `import rego.v1` and `rego.v2`.
        comments: those of METADATA blocks included.
    """

    uncompared: ClassVar[frozenset[str]] = frozenset({"comments", "location"})

    file: str
    package: tuple[str, ...]
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]
    annotations: tuple[Annotations, ...] = ()
    rego_version: int = 1
    comments: tuple[Comment, ...] = ()
    location: Location = NOWHERE
