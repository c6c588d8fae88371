"""Show the line where a test failed, with arrows to the values in it.

Pure. Follows OPA v1.22 v1/topdown/trace.go (PrettyEvent).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy_agent.model import UNDEFINED
from policy_agent.rego import ast
from policy_agent.rego.builtins.value_text import value_text
from policy_agent.rego.compile.nodes import Node, children, is_equality
from policy_agent.rego.runtime.operations import dot
from policy_agent.rego.tracing.history import Event, Op
from policy_agent.rego.tracing.places import Places

_VALUE_WIDTH: Final = 64


@dataclass(frozen=True, slots=True)
class FailingLines:
    """Shows failing lines of one policy.

    Attributes:
        places: where the nodes of its modules are written, by file.
        rewritten: the compiler's names of variables -> the author's.
    """

    places: Mapping[str, Places]
    rewritten: Mapping[str, str]

    def of(self, trace: Sequence[Event]) -> tuple[str, str] | None:
        """Return `file:row:` and the text of the last expression that failed, None without one."""
        for event in reversed(trace):
            node = event.node
            if (
                event.op is Op.FAIL
                and event.location.file in self.places
                and isinstance(node, ast.Expr)
                and not isinstance(node.statement, ast.Every)
            ):
                at = event.location
                return f"{at.file}:{at.row}:", self._text(event, node)
        return None

    def _text(self, event: Event, expr: ast.Expr) -> str:
        places = self.places[event.location.file]
        whole = places.expression_around(event.location)
        found: dict[str, _Shown] = {}
        for each in event.beside:
            if each is not expr and each.generated and is_equality(each):
                continue
            if whole[0] <= (each.location.row, each.location.col) < whole[1]:
                may_lack = each is expr and not expr.negated
                for shown in self._values(each, event.values, places, may_lack=may_lack):
                    if shown.title not in found or found[shown.title].value is UNDEFINED:
                        found[shown.title] = shown
        text = places.padded_text(whole)
        arrows = sorted(found.values(), key=lambda each: (each.col, -each.row, each.title))
        if not arrows:
            return text
        if len({each.row for each in arrows}) > 1 and any("\t" in each.margin for each in arrows):
            listed = sorted(found.values(), key=lambda each: each.title)
            return text + "\n\nWhere:\n" + "".join(f"\n{e.title}: {e.text}" for e in listed)
        rows = [_arrows(arrows, None)]
        rows += (_arrows(arrows, index) for index in reversed(range(len(arrows))))
        return "\n".join([text, *rows])

    def _values(
        self, node: Node, values: Mapping[str, Any], places: Places, *, may_lack: bool
    ) -> Iterator[_Shown]:
        match node:
            case ast.ArrayComprehension() | ast.SetComprehension() | ast.ObjectComprehension():
                return
            case ast.Call():
                below: Iterator[Node] = iter(node.args)
            case ast.With():
                below = iter((node.value,))
            case ast.Var(name, at):
                written = self.rewritten.get(name, name)
                is_known = name in values or written != name or name.startswith("__local")
                if at.row > 0 and (may_lack or name in values) and is_known:
                    title = written if written != name else places.text_at(at)
                    value = values.get(name, UNDEFINED)
                    yield _Shown(title, value, at.row, at.col, places.margin(at))
                return
            case _:
                if isinstance(node, ast.Ref):
                    value = _selected(node, values)
                    if value is not UNDEFINED:
                        at = node.location
                        title = places.text_of_reference(at)
                        yield _Shown(title, value, at.row, at.col, places.margin(at))
                below = iter(children(node))
        for each in below:
            yield from self._values(each, values, places, may_lack=may_lack)


@dataclass(frozen=True, slots=True)
class _Shown:
    """A value under an expression; `margin` is what stands before it, as blank space."""

    title: str
    value: Any
    row: int
    col: int
    margin: str

    @property
    def text(self) -> str:
        text = "undefined" if self.value is UNDEFINED else value_text(self.value)
        return text if len(text) <= _VALUE_WIDTH else text[: _VALUE_WIDTH - 3] + "..."


def _selected(ref: ast.Ref, values: Mapping[str, Any]) -> Any:
    """Return what a reference into a local variable selects."""
    if not isinstance(ref.head, ast.Var) or not ref.path:
        return UNDEFINED
    value = values.get(ref.head.name, UNDEFINED)
    for part in ref.path:
        match part:
            case ast.Scalar(key):
                pass
            case ast.Var(name):
                key = values.get(name, UNDEFINED)
            case _:
                return UNDEFINED
        value = dot(value, key)
    return value


def _arrows(shown: Sequence[_Shown], last: int | None) -> str:
    """Return a row of arrows, up to the one whose value ends it."""
    row = ""
    chosen = shown if last is None else shown[: last + 1]
    for index, each in enumerate(chosen):
        is_last = index == len(chosen) - 1
        if not is_last and each.col == chosen[index + 1].col:
            continue
        row += each.margin[len(row) :]
        if last is None or not is_last:
            row += "|"
            continue
        around = (*shown[max(index - 1, 0) : index], *shown[index + 1 : index + 2])
        shares = any(other.col == each.col for other in around)
        row += f"{each.title}: {each.text}" if shares else each.text
    return row
