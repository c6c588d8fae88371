"""The statements of a text in order: package, imports, rules and bare expressions.

Pure. Follows OPA v1.22 v1/ast/parser.go.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k
from policy_agent.rego.parse.names import kind_of, text_of
from policy_agent.rego.parse.rules import Draft, RuleParser

_REGO_V1 = ("v1",)
_REGO_V2 = ("v2",)


class Package(Struct, frozen=True):
    """`package a.b`."""

    path: tuple[str, ...]
    location: Location


Statement: TypeAlias = Package | ast.Import | Draft | ast.Body


def location_of(statement: Statement) -> Location:
    """Return where a statement begins."""
    return statement[0].location if isinstance(statement, tuple) else statement.location


class StatementParser(RuleParser):
    """Reads whole texts."""

    def statements(self, *, with_rules: bool = True) -> list[Statement]:
        """Read statements up to the end, or to a problem that hides what follows."""
        statements: list[Statement] = []
        while self.kind != k.EOF:
            self.forget_trials()
            if with_rules and self.refuse_keyword_as_rule_name():
                break
            read = self._statement(with_rules=with_rules)
            if not read:
                break
            statements += read
        return statements

    def _statement(self, *, with_rules: bool) -> list[Statement]:
        before = self.save()
        if self.kind in ("package", "import"):
            declaration = self._package() if self.kind == "package" else self._import()
            if declaration is not None:
                if self.kind == "-":
                    self.illegal()
                    return []
                if isinstance(declaration, ast.Import):
                    self._apply(declaration)
                return [declaration]
            if self.problems:
                return []
            self.restore(before)
        if with_rules:
            rules = self.rules()
            if rules is not None:
                return list(rules)
            if self.problems:
                return []
            self.restore(before)
        body = self.query(k.EOF, one_line=True)
        return [] if body is None else [body]

    def _begins_path(self) -> bool:
        """Step to the path behind a keyword; False where the keyword is no keyword after all."""
        self.scan_space()
        if self.kind in (".", "["):
            return False
        self.skip_space()
        if self.kind != k.IDENT:
            if not self.may_be_name(self.kind):
                self.illegal()
                return False
            self.kind = k.IDENT
        return True

    def _package(self) -> Package | None:
        location = self.here()
        if not self._begins_path():
            return None
        term = self.term()
        if isinstance(term, ast.Var):
            return Package((term.name,), location)
        if isinstance(term, ast.Ref):
            if not isinstance(term.head, ast.Var):
                kind = kind_of(term.head)
                self.error(term.head.location, f"unexpected {kind} token: expecting var")
                return None
            path = self._strings(term)
            return None if path is None else Package((term.head.name, *path), location)
        if term is not None:
            self.illegal()
        elif not self.problems:
            self.error(self.here(), "expected path")
        return None

    def _strings(self, reference: ast.Ref) -> list[str] | None:
        path = []
        for part in reference.path:
            if not isinstance(part, ast.Scalar) or not isinstance(part.value, str):
                kind = kind_of(part)
                self.error(part.location, f"unexpected {kind} token: expecting string")
                return None
            path.append(part.value)
        return path

    def _import(self) -> ast.Import | None:
        location = self.here()
        if not self._begins_path():
            return None
        keywords = self.keywords
        self.keywords = keywords - k.FUTURE_KEYWORDS
        self.forget_trials()
        term = self.term()
        path = term if isinstance(term, ast.Ref) else None
        if isinstance(term, ast.Var):
            path = ast.Ref(term, (), term.location)
        self.keywords = keywords
        if path is not None and self._strings(path) is None:
            return None
        if path is None:
            self.error(self.here(), "expected path")
            return None
        head = path.head
        if not isinstance(head, ast.Var) or head.name not in ("data", "future", "input", "rego"):
            self.hint("if this is unexpected, try updating OPA")
            self.error(
                path.location,
                "unexpected import path, must begin with one of: {data, future, input, rego}, "
                f"got: {text_of(head)}",
            )
            return None
        if self.kind == "as":
            return self._alias(path, location)
        last = path.path[-1] if path.path else head
        name = last.value if isinstance(last, ast.Scalar) else head.name
        if name in self._version_keywords and not (path.path and head.name == "future"):
            self.hint("import a different path or use an alias")
            what = "unexpected import path, must not end with a keyword"
            self.error(last.location, f"{what}, got: {name}")
        return ast.Import(path, location=location)

    def _alias(self, path: ast.Ref, location: Location) -> ast.Import | None:
        self.scan()
        if self.kind == k.IDENT:
            at = self.here()
            alias = self.term()
            if isinstance(alias, ast.Var):
                return ast.Import(path, alias.name, location, at)
            if isinstance(alias, ast.Ref) and not alias.path:
                self.error(
                    at,
                    f"unexpected import alias, must not be a reserved name, got: {text_of(alias)}",
                )
                return None
        self.illegal("expected var")
        return None

    def _apply(self, declaration: ast.Import) -> None:
        """Let an import of `future` or `rego` take effect from the token at hand on."""
        head = declaration.path.head
        assert isinstance(head, ast.Var)
        if head.name == "rego":
            self._apply_rego(declaration)
        elif head.name == "future":
            self._apply_future(declaration)
        else:
            return
        if self.kind == k.IDENT and self.text in self.keywords & k.FUTURE_KEYWORDS:
            self.kind = self.text

    def _apply_rego(self, declaration: ast.Import) -> None:
        version = path_of(declaration)
        if version not in (_REGO_V1, _REGO_V2):
            self.error(
                declaration.path.location,
                f"invalid import `{text_of(declaration.path)}`, "
                "must be one of: `rego.v1`, `rego.v2`",
            )
        elif declaration.alias:
            self.error(declaration.alias_location, "`rego` imports cannot be aliased")
        elif version == _REGO_V2:
            self.add_keywords(k.FUTURE_KEYWORDS)
            self.not_bodies = True
        elif self.v0:
            self.add_keywords(k.V0_FUTURE_KEYWORDS)

    def _apply_future(self, declaration: ast.Import) -> None:
        at = declaration.path.location
        path = path_of(declaration)
        if path[:1] != ("keywords",):
            self.error(at, "invalid import, must be `future.keywords`")
            return
        if declaration.alias:
            self.error(declaration.alias_location, "`future` imports cannot be aliased")
            return
        words = k.FUTURE_KEYWORDS
        if len(path) == 2:
            if path[1] not in words:
                allowed = " ".join(sorted(words))
                self.error(at, f"unexpected keyword, must be one of [{allowed}]")
                return
            words = frozenset(path[1:])
        self.not_bodies = self.not_bodies or "not" in words
        self.add_keywords(words)


def path_of(declaration: ast.Import) -> tuple[str, ...]:
    """Return the names of an import's path behind the first."""
    return tuple(str(p.value) for p in declaration.path.path if isinstance(p, ast.Scalar))
