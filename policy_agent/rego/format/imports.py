"""Write imports: in groups, each in order, with those that the written Rego needs.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cmp_to_key

from policy_agent.errors import Location
from policy_agent.rego import ast
from policy_agent.rego.ast_order import compare_terms
from policy_agent.rego.format.layout import Layout, comment_text
from policy_agent.rego.format.terms import TermWriter

ADDED = "<added>"


def is_rego_v1(imported: ast.Import) -> bool:
    """Return whether an import is `rego.v1`."""
    return _words(imported) == ("rego", "v1")


def is_future(imported: ast.Import) -> bool:
    """Return whether an import is `future.keywords` or one of them."""
    return _words(imported)[:1] == ("future",)


def future_keyword(imported: ast.Import) -> str:
    """Return the keyword that an import brings, "" for all of them and for other imports."""
    words = _words(imported)
    is_one = words[:2] == ("future", "keywords") and len(words) > len(("future", "keywords"))
    return words[2] if is_one else ""


def is_rego_v2(imported: ast.Import) -> bool:
    """Return whether an import is `rego.v2`."""
    return _words(imported) == ("rego", "v2")


def with_rego_v1(imports: Sequence[ast.Import]) -> list[ast.Import]:
    """Return imports with `rego.v1`, which takes the place of those of future keywords."""
    kept = [each for each in imports if not is_future(each)]
    return kept if any(map(is_rego_v1, kept)) else [*kept, _added("rego.v1", imports)]


def with_keywords(imports: Sequence[ast.Import], words: Sequence[str]) -> list[ast.Import]:
    """Return imports with those of the future keywords that are used and not there."""
    done = list(imports)
    for word in words:
        # `every` brings `in` with it.
        enough = ("", word, "every") if word == "in" else ("", word)
        if not any(is_future(each) and future_keyword(each) in enough for each in done):
            done.append(_added(f"future.keywords.{word}", done))
    return done


def _added(path: str, imports: Sequence[ast.Import]) -> ast.Import:
    """Return an import that is written after the others that say how to read a module."""
    directives = (each for each in imports if is_future(each) or is_rego_v1(each))
    row = max((each.location.row for each in directives), default=0)
    place = Location(ADDED, row + 1 if row else 1)
    first, *rest = path.split(".")
    reference = ast.Ref(ast.Var(first, place), tuple(ast.Scalar(w, place) for w in rest), place)
    return ast.Import(reference, location=place)


class ImportWriter:
    """Writes imports."""

    def __init__(self, out: Layout, terms: TermWriter) -> None:
        self._out = out
        self._terms = terms

    def imports(self, imports: Sequence[ast.Import]) -> None:
        """Write imports; a comment on the line of one stays there."""
        rows = {each.location.row for each in imports if each.location.file != ADDED}
        beside = {c.location.row: c for c in self._out.pending if c.location.row in rows}
        self._out.pending = [c for c in self._out.pending if c.location.row not in rows]
        for group in _groups(imports):
            self._out.insert_comments(group[0].location.row)
            for each in sorted(group, key=_order):
                self._out.start_line()
                self._import(each)
                if each.location.file != ADDED and each.location.row in beside:
                    self._out.write(f" {comment_text(beside[each.location.row])}")
                self._out.end_line()
            self._out.blank_line()

    def _import(self, each: ast.Import) -> None:
        self._out.write("import ")
        if each.location.file == ADDED or is_future(each):
            self._out.write(".".join(_words(each)))
        else:
            pending, self._out.pending = self._out.pending, []
            self._terms.reference(each.path)
            self._out.pending = pending
        if each.alias:
            self._out.write(f" as {each.alias}")


def _words(imported: ast.Import) -> tuple[str, ...]:
    head = imported.path.head
    assert isinstance(head, ast.Var)
    parts = (part.value for part in imported.path.path if isinstance(part, ast.Scalar))
    return (head.name, *map(str, parts))


def _groups(imports: Sequence[ast.Import]) -> Iterator[list[ast.Import]]:
    """Yield the imports that stand on adjacent lines, together."""
    group: list[ast.Import] = []
    for each in imports:
        if group and each.location.row - group[-1].location.row > 1:
            yield group
            group = []
        group.append(each)
    if group:
        yield group


def _compare(one: ast.Import, other: ast.Import) -> int:
    by_path = compare_terms(one.path, other.path)
    return by_path or (one.alias > other.alias) - (one.alias < other.alias)


_order = cmp_to_key(_compare)
