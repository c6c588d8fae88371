"""Read and write plans as OPA's `plan.json`.

Pure. A plan is untrusted: whatever is wrong with it ends in PolicyError. Source of the format:
OPA v1.22 v1/ir/ir.go, marshal.go and plan.schema.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn, get_args

from msgspec import Struct

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import DocumentError, PolicyError, PolicyProblem
from policy_agent.rego import plan
from policy_agent.rego.codegen.usage import statements, writes
from policy_agent.rego.plan import Block, Local, Location, Operand, Stmt
from policy_agent.rego.plan_number import number_of

MAX_NESTING: Final = 100
_TOO_DEEP: Final = f"blocks are nested more than {MAX_NESTING} deep"
MAX_LOCAL: Final = 2**31

_STATEMENTS: Final[Mapping[str, type[Stmt]]] = {kind.__name__: kind for kind in get_args(plan.Stmt)}
_OPERAND_NAMES: Final[Mapping[type, str]] = {
    plan.LocalOperand: "local",
    plan.StringOperand: "string_index",
    plan.BoolOperand: "bool",
}
_PLACE: Final = ("file", "row", "col", "end_row", "end_col")


def read_plan(raw: bytes) -> plan.Policy:
    """Read a `plan.json`.

    Raises:
        PolicyError: it is no plan, or one that cannot be run.
    """
    try:
        document = decode_json(raw)
    except DocumentError as exc:
        _refuse(f"the plan is not JSON: {exc}")
    try:
        return PlanReader().policy(document)
    except RecursionError:
        _refuse(_TOO_DEEP)


def write_plan(policy: plan.Policy) -> bytes:
    """Return a plan as OPA's JSON.

    Raises:
        PolicyError: its blocks are nested more deeply than the interpreter can follow.
    """
    try:
        return encode_json(plan_to_json(policy))
    except RecursionError:
        _refuse(_TOO_DEEP)


def plan_to_json(policy: plan.Policy) -> dict[str, Any]:
    """Return a plan as the document of OPA's `plan.json`."""
    static = policy.static
    document: dict[str, Any] = {
        "static": {
            "strings": [{"value": text} for text in static.strings],
            "builtin_funcs": [{"name": b.name, "decl": b.decl} for b in static.builtin_funcs],
            "files": [{"value": text} for text in static.files],
        },
        "plans": {
            "plans": [
                {"name": entry.name, "blocks": list(map(_block_json, entry.blocks))}
                for entry in policy.plans
            ]
        },
        "funcs": {"funcs": list(map(_func_json, policy.funcs))},
    }
    if policy.unplanned_rules:
        document["unplanned_rules"] = [
            {"path": rule.path, "location": _place_json(rule.location)}
            for rule in policy.unplanned_rules
        ]
    return document


def _func_json(func: plan.Func) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": func.name,
        "params": list(func.params),
        "return": func.result,
        "blocks": list(map(_block_json, func.blocks)),
    }
    if func.path:
        document["path"] = list(func.path)
    return document


def _block_json(block: Block) -> dict[str, Any]:
    return {
        "stmts": [{"type": type(stmt).__name__, "stmt": _stmt_json(stmt)} for stmt in block.stmts]
    }


def _stmt_json(stmt: Stmt) -> dict[str, Any]:
    document: dict[str, Any] = _place_json(stmt.location)
    for name in stmt.__struct_fields__:
        if name != "location":
            document[name] = _field_json(getattr(stmt, name))
    if isinstance(stmt, plan.MakeNumberRefStmt):
        document["Index"] = stmt.index
    return document


def _field_json(value: Any) -> Any:
    if isinstance(value, Block):
        return _block_json(value)
    if isinstance(value, tuple):
        return [_field_json(item) for item in value]
    kind = _OPERAND_NAMES.get(type(value))
    return value if kind is None else {"type": kind, "value": value.value}


def _place_json(location: Location) -> dict[str, Any]:
    return {name: getattr(location, name) for name in _PLACE}


def _refuse(message: str) -> NoReturn:
    raise PolicyError([PolicyProblem("plan_error", message)])


def _object(value: Any, what: str) -> dict[str, Any]:
    return value if type(value) is dict else _refuse(f"{what} must be an object")


def _list(value: Any, what: str) -> list[Any]:
    """Return an array; Go writes an empty one as null."""
    if value is None:
        return []
    return value if type(value) is list else _refuse(f"{what} must be an array")


def _text(value: Any, what: str) -> str:
    return value if type(value) is str else _refuse(f"{what} must be a string")


def _integer(value: Any, what: str, limit: int = MAX_LOCAL) -> int:
    if type(value) is int and -limit <= value < limit:
        return value
    _refuse(f"{what} must be an integer")


class PlanReader(Struct):
    """Reads one plan, checking what its running relies on.

    Attributes:
        strings: the string constants.
        nesting: of the block being read.
        params: of the function being read.
    """

    strings: Sequence[str] = ()
    nesting: int = 0
    params: frozenset[Local] = frozenset()

    def policy(self, value: Any) -> plan.Policy:
        """Return the whole plan."""
        document = _object(value, "the plan")
        static = self.static(document.get("static"))
        plans = _object(document.get("plans") or {}, "plans").get("plans")
        funcs = _object(document.get("funcs") or {}, "funcs").get("funcs")
        policy = plan.Policy(
            static,
            tuple(self._plan(item) for item in _list(plans, "plans.plans")),
            tuple(self._func(item) for item in _list(funcs, "funcs.funcs")),
            tuple(
                self._unplanned(item)
                for item in _list(document.get("unplanned_rules"), "unplanned_rules")
            ),
        )
        _check_names(policy)
        return policy

    def static(self, value: Any) -> plan.Static:
        """Return the constants, which the rest of the plan is read against."""
        document = _object(value or {}, "static")
        static = plan.Static(
            strings=self._values(document, "strings"),
            builtin_funcs=tuple(
                self._builtin(item) for item in _list(document.get("builtin_funcs"), "builtins")
            ),
            files=self._values(document, "files"),
        )
        self.strings = static.strings
        return static

    def _values(self, document: dict[str, Any], key: str) -> tuple[str, ...]:
        items = _list(document.get(key), key)
        return tuple(_text(_object(item, key).get("value"), key) for item in items)

    def _builtin(self, value: Any) -> plan.BuiltinFunc:
        document = _object(value, "builtin_funcs")
        decl = _object(document.get("decl") or {}, "decl")
        return plan.BuiltinFunc(_text(document.get("name"), "a built-in's name"), decl)

    def _unplanned(self, value: Any) -> plan.UnplannedRule:
        document = _object(value, "unplanned_rules")
        place = self._place(_object(document.get("location") or {}, "location"))
        return plan.UnplannedRule(_text(document.get("path"), "path"), place)

    def _plan(self, value: Any) -> plan.Plan:
        document = _object(value, "a plan")
        return plan.Plan(
            _text(document.get("name"), "a plan's name"),
            self.blocks(document.get("blocks"), (plan.INPUT, plan.DATA)),
        )

    def _func(self, value: Any) -> plan.Func:
        document = _object(value, "a function")
        name = _text(document.get("name"), "a function's name")
        params = tuple(self._local(item) for item in _list(document.get("params"), "params"))
        check_params(params)
        path = tuple(_text(item, "path") for item in _list(document.get("path"), "path"))
        result = self._local(document.get("return"))
        return plan.Func(name, params, result, self.blocks(document.get("blocks"), params), path)

    def blocks(self, value: Any, params: tuple[Local, ...]) -> tuple[Block, ...]:
        """Return the blocks of a function or entry point."""
        self.params = frozenset(params)
        return self._blocks(value)

    def _blocks(self, value: Any) -> tuple[Block, ...]:
        return tuple(self._block(item) for item in _list(value, "blocks"))

    def _block(self, value: Any) -> Block:
        document = _object(value, "a block")
        if self.nesting >= MAX_NESTING:
            _refuse(_TOO_DEEP)
        self.nesting += 1
        stmts = tuple(self._stmt(item) for item in _list(document.get("stmts"), "stmts"))
        self.nesting -= 1
        return Block(stmts)

    def _stmt(self, value: Any) -> Stmt:
        document = _object(value, "a statement")
        name = _text(document.get("type"), "a statement's type")
        kind = _STATEMENTS.get(name)
        if kind is None:
            _refuse(f"unrecognized statement type {name[:40]!r}")
        body = _object(document.get("stmt"), "stmt")
        make: Callable[..., Stmt] = kind
        stmt = make(*[read(self, body) for read in _READERS[kind]], self._place(body))
        self._check(stmt)
        return stmt

    def _check(self, stmt: Stmt) -> None:
        """Refuse what would break the invariants of generated code."""
        if isinstance(stmt, plan.BreakStmt):
            if not 0 <= stmt.index < self.nesting:
                _refuse("a break leads out of its function")
        elif isinstance(stmt, plan.WithStmt):
            if any(not 0 <= index < len(self.strings) for index in stmt.path):
                _refuse("a path refers to a string that is not there")
        elif not self.params.isdisjoint(writes(stmt)):
            _refuse(f"{type(stmt).__name__} sets a parameter")
        if isinstance(stmt, plan.MakeNumberRefStmt):
            if not 0 <= stmt.index < len(self.strings):
                _refuse("a number refers to a string that is not there")
            number_of(self.strings[stmt.index])

    def _place(self, document: dict[str, Any]) -> Location:
        file, row, col, end_row, end_col = map(document.get, _PLACE)
        values = (file or 0, row or 0, col or 0, end_row or 0, end_col or 0)
        return Location(*[_integer(value, "a place") for value in values])

    def _local(self, value: Any) -> Local:
        local = _integer(value, "a local")
        return local if local >= 0 else _refuse("a local must not be negative")

    def _operand(self, value: Any) -> Operand:
        document = _object(value, "an operand")
        name = document.get("type")
        found = document.get("value")
        if name == "local":
            return plan.LocalOperand(self._local(found))
        if name == "string_index":
            index = _integer(found, "a string's index")
            if not 0 <= index < len(self.strings):
                _refuse("an operand refers to a string that is not there")
            return plan.StringOperand(index)
        if name == "bool" and type(found) is bool:
            return plan.BoolOperand(found)
        _refuse("an operand must be a local, string_index or bool")


def check_params(params: tuple[Local, ...]) -> None:
    """Refuse parameters that a function cannot have.

    Raises:
        PolicyError: they are not input, data and then distinct others.
    """
    if params[:2] != (plan.INPUT, plan.DATA) or len(set(params)) != len(params):
        _refuse("a function's first parameters must be the locals 0 and 1, the others distinct")


def _check_names(policy: plan.Policy) -> None:
    check_calls(policy.blocks, callables(policy))


def callables(policy: plan.Policy) -> dict[str, int | None]:
    """Return what a plan can call: function -> number of arguments, None for built-ins.

    Raises:
        PolicyError: two functions or two entry points have one name.
    """
    functions = {func.name: len(func.params) for func in policy.funcs}
    if len(functions) != len(policy.funcs):
        _refuse("two functions have one name")
    if len({entry.name for entry in policy.plans}) != len(policy.plans):
        _refuse("two entry points have one name")
    return {builtin.name: None for builtin in policy.static.builtin_funcs} | functions


def check_calls(blocks: Iterable[Block], known: Mapping[str, int | None]) -> None:
    """Refuse calls of functions that are not there, or with too few or too many arguments.

    Raises:
        PolicyError: there is one.
    """
    for stmt in statements(blocks):
        if not isinstance(stmt, plan.CallStmt):
            continue
        if stmt.func not in known:
            message = f"undefined function {stmt.func[:200]}"
            raise PolicyError([PolicyProblem("rego_type_error", message)])
        arity = known[stmt.func]
        if arity is not None and arity != len(stmt.args):
            _refuse(f"a call of {stmt.func[:200]} has {len(stmt.args)} arguments, not {arity}")


def _reader_of(name: str, annotation: str) -> Callable[[PlanReader, dict[str, Any]], Any]:
    """Return what reads one field of a statement, by its declared type."""
    simple: dict[str, Callable[[PlanReader, Any], Any]] = {
        "Local": PlanReader._local,
        "Operand": PlanReader._operand,
        "Block": PlanReader._block,
        "tuple[Block, ...]": PlanReader._blocks,
        "int": lambda _, value: _integer(value, name, 2**63),
        "str": lambda _, value: _text(value, name),
    }
    if annotation in simple:
        read = simple[annotation]
        return lambda reader, body: read(reader, body.get(name))
    item = simple[annotation.removeprefix("tuple[").removesuffix(", ...]")]
    return lambda reader, body: tuple(item(reader, v) for v in _list(body.get(name), name))


def _number_index(_: PlanReader, body: dict[str, Any]) -> int:
    """Read the one field that OPA also writes with a capital letter."""
    return _integer(body.get("index", body.get("Index")), "index")


_READERS: Final = {
    kind: [
        _number_index
        if kind is plan.MakeNumberRefStmt and name == "index"
        else _reader_of(name, kind.__annotations__[name])
        for name in kind.__struct_fields__
        if name != "location"
    ]
    for kind in _STATEMENTS.values()
}
