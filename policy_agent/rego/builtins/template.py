"""`strings.render_template`: a subset of Go's text/template.

Pure. Semantics of OPA v1.22 v1/topdown/template.go: numbers of the variables are texts (Go's
json.Number), and what a template cannot find is shown as `<undefined>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import quote_plus

from policy_agent.codec import encode_json
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.go_format import sprintf
from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.operands import is_number
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, check_size
from policy_agent.rego.builtins.template_syntax import (
    Block,
    Call,
    Jump,
    Path,
    Pipeline,
    parse_template,
)
from policy_agent.rego.values import RegoSet, Value
from policy_agent.rego.work import spend

_HTML: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "\0": "\ufffd"}
)
_MISSING: Final = "<undefined>"


class _BreakError(Exception):
    """`break` inside a range."""


class _ContinueError(Exception):
    """`continue` inside a range."""


def _go_value(value: Value) -> Any:
    """Return a value with its numbers as texts; OPA reads its Rego text as JSON, so sets fail."""
    if type(value) is dict:
        if any(type(key) is not str for key in value):
            raise BuiltinError("invalid character: object key is no string")
        return {key: _go_value(item) for key, item in value.items()}
    if type(value) is list:
        return [_go_value(item) for item in value]
    if type(value) is RegoSet:
        raise BuiltinError("invalid character ',' after object key")
    return encode_json(value).decode() if is_number(value) else value


def _show(value: Any) -> str:
    if value is None:
        return _MISSING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_inner(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_inner, value))}]"
    return value if isinstance(value, str) else sprintf("%v", [value])


def _inner(value: Any) -> str:
    return "<nil>" if value is None else _show(value)


def _error(problem: str) -> BuiltinError:
    return BuiltinError(f"template: template:1: {problem}")


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(to_bytes(value))
    if isinstance(value, dict | list):
        return len(value)
    raise _error("error calling len: len of unusable type")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and type(key) is int and 0 <= key < len(value):
            value = value[key]
        else:
            raise _error("error calling index: cannot index")
    return value


def _same(left: Any, *others: Any) -> bool:
    if any(type(left) is not type(other) for other in others if other is not None):
        raise _error("error calling eq: incompatible types for comparison")
    return left in others


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if type(left) is not type(right) or not isinstance(left, str | int | float):
            raise _error("error calling lt: incompatible types for comparison")
        return test(left, right)

    return compare


def _all(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _any(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


def _print(*values: Any) -> str:
    shown = ""
    for at, value in enumerate(values):
        texts = at and (isinstance(value, str) or isinstance(values[at - 1], str))
        shown += ("" if texts or not at else " ") + _inner(value)
    return shown


def _printf(text: str, *values: Any) -> str:
    plain = [value if isinstance(value, str | float | int) else _inner(value) for value in values]
    return sprintf(text, [_inner(value) if isinstance(value, bool) else value for value in plain])


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "and": _all,
    "or": _any,
    "not": lambda value: not value,
    "len": _length,
    "index": _index,
    "eq": _same,
    "ne": lambda left, right: not _same(left, right),
    "lt": _ordered(lambda left, right: left < right),
    "le": _ordered(lambda left, right: left <= right),
    "gt": _ordered(lambda left, right: left > right),
    "ge": _ordered(lambda left, right: left >= right),
    "print": _print,
    "println": lambda *values: f"{' '.join(map(_inner, values))}\n",
    "printf": _printf,
    "html": lambda *values: _print(*values).translate(_HTML),
    "urlquery": lambda *values: quote_plus(_print(*values)),
}


class _Renderer:
    """One run of a template."""

    def __init__(self, root: Any) -> None:
        self.variables: list[tuple[str, Any]] = [("$", root)]
        self.out: list[str] = []
        self.size = 0

    def run(self, nodes: list[Any], dot: Any) -> None:
        depth = len(self.variables)
        for node in nodes:
            spend(1)
            if isinstance(node, str):
                self._write(node)
            elif isinstance(node, Jump):
                raise _BreakError if node.kind == "break" else _ContinueError
            elif isinstance(node, Block):
                self._block(node, dot)
            else:
                value = self._assigned(node, dot)
                if not node.variables:
                    self._write(_show(value))
        del self.variables[depth:]

    def _write(self, text: str) -> None:
        self.out.append(text)
        self.size += len(text)
        check_size(self.size)

    def _block(self, block: Block, dot: Any) -> None:
        depth = len(self.variables)
        if block.kind == "range":
            self._range(block, dot)
        else:
            value = self._assigned(block.pipeline, dot)
            inner = value if block.kind == "with" and value else dot
            self.run(block.body if value else block.otherwise, inner)
        del self.variables[depth:]

    def _range(self, block: Block, dot: Any) -> None:
        whole = self._value(block.pipeline, dot)
        depth = len(self.variables)
        names = block.pipeline.variables
        pairs = list(_pairs(whole))
        for key, item in pairs:
            bound = (item,) if len(names) == 1 else (key, item)
            self.variables += zip(names, bound, strict=False)
            try:
                self.run(block.body, item)
            except _ContinueError:
                pass
            except _BreakError:
                break
            finally:
                del self.variables[depth:]
        if not pairs:
            self.run(block.otherwise, dot)

    def _assigned(self, pipeline: Pipeline, dot: Any) -> Any:
        value = self._value(pipeline, dot)
        for name in pipeline.variables:
            if pipeline.declares:
                self.variables.append((name, value))
            else:
                self.variables[self._place(name)] = (name, value)
        return value

    def _place(self, name: str) -> int:
        for place in range(len(self.variables) - 1, -1, -1):
            if self.variables[place][0] == name:
                return place
        raise _error(f'undefined variable "{name}"')

    def _value(self, pipeline: Pipeline, dot: Any) -> Any:
        piped: tuple[Any, ...] = ()
        for first, *rest in pipeline.commands:
            given = [self._operand(item, dot) for item in rest]
            if isinstance(first, Call):
                piped = (_call(first.name, [*given, *piped]),)
            elif given or piped:
                raise _error("can't give argument to non-function")
            else:
                piped = (self._operand(first, dot),)
        return piped[0]

    def _operand(self, item: Any, dot: Any) -> Any:
        if isinstance(item, Pipeline):
            return self._value(item, dot)
        if isinstance(item, Call):
            return _call(item.name, [])
        if not isinstance(item, Path):
            return item
        value = self.variables[self._place(item.variable)][1] if item.variable else dot
        for name in item.fields:
            if value is None:
                return None
            if not isinstance(value, dict):
                raise _error(f"can't evaluate field {name}")
            value = value.get(name)
        return value


def _pairs(whole: Any) -> Iterator[tuple[Any, Any]]:
    if whole is None:
        return iter(())
    if isinstance(whole, dict):
        return ((key, whole[key]) for key in sorted(whole))
    if isinstance(whole, list):
        return iter(enumerate(whole))
    if type(whole) is int:
        return ((number, number) for number in range(whole))
    raise _error(f"range can't iterate over {_show(whole)}")


def _call(name: str, given: list[Any]) -> Any:
    if name not in _FUNCTIONS:
        raise _error(f'function "{name}" not defined')
    try:
        return _FUNCTIONS[name](*given)
    except (TypeError, IndexError):
        raise _error(f"wrong number of args for {name}") from None


def render(text: Value, variables: Value) -> str:
    """Return a template filled in with an object's values.

    Raises:
        BuiltinError: the template is malformed, fails, or uses what is not supported.
    """
    nodes = parse_template(operands.need_string(text, 1))
    root = _go_value(operands.need_object(variables, 2))
    renderer = _Renderer(root)
    try:
        renderer.run(nodes, root)
    except (_BreakError, _ContinueError):
        raise _error("break or continue outside range") from None
    return "".join(renderer.out)


BUILTINS: Final = {"strings.render_template": Builtin("strings.render_template", render)}
