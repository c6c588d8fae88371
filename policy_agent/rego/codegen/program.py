"""A plan as Python functions, each compiled when it is first called."""

from __future__ import annotations

import linecache
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from types import TracebackType
from typing import Any, Final, TypeVar

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego import plan
from policy_agent.rego.builtins import catalog
from policy_agent.rego.builtins.registry import Builtin
from policy_agent.rego.codegen.documents import Reads, document_reads
from policy_agent.rego.codegen.function import (
    Source,
    alternative_source,
    function_source,
    plan_source,
    returns_boolean,
)
from policy_agent.rego.codegen.index import Index, find_index, is_alone
from policy_agent.rego.codegen.names import INPUT_AND_DATA, Callee, Symbols
from policy_agent.rego.plan import Block, Local
from policy_agent.rego.plan_number import number_of
from policy_agent.rego.runtime import operations, scope
from policy_agent.rego.runtime.calls import NEVER_FAIL, guarded
from policy_agent.rego.values import RegoSet, Value, equal, freeze

Resolve = Callable[[str], Builtin | None]
Prepare = Callable[[Reads], None]
K = TypeVar("K")
V = TypeVar("V")

_OPERATIONS: Final[Mapping[str, Any]] = {
    "U": UNDEFINED,
    "RegoSet": RegoSet,
    "dot": operations.dot,
    "elements": scope.elements,
    "equal": equal,
    "freeze": freeze,
    "insert_once": operations.insert_once,
    "items": scope.items,
    "merge": operations.merge,
    "once": operations.once,
    "set_add": operations.set_add,
    "size": operations.size,
    "upsert": operations.upsert,
}
_numbers_of_programs = count(1)
# Reading documents for less need not be taken off an evaluation's time.
_NOTICED_SECONDS: Final = 0.005


class _Late(dict[K, V]):
    """Values that are made when they are first asked for."""

    def __init__(self, known: Mapping[K, V], make: Callable[[K], V]) -> None:
        super().__init__(known)
        self._make = make

    def __missing__(self, key: K) -> V:
        value = self[key] = self._make(key)
        return value


class StartAgain(Exception):  # noqa: N818 - nothing is wrong
    """A function turned out to be other than it was taken for; the next try knows.

    Attributes:
        seconds: what was spent on reading documents, which is not the evaluation's.
    """

    def __init__(self, seconds: float = 0) -> None:
        super().__init__()
        self.seconds = seconds


class Program:
    """The functions and entry points of one plan.

    Args:
        policy: the plan.
        resolve: finds the built-in functions.
        prepare: is told what a function reads of the base documents before it first runs.

    Raises:
        PolicyError: the plan calls functions or built-ins that do not exist.
    """

    def __init__(
        self,
        policy: plan.Policy,
        resolve: Resolve = catalog.resolve,
        prepare: Prepare | None = None,
    ) -> None:
        self.policy = policy
        self._resolve = resolve
        self._prepare = prepare
        self._prepared: set[str] = set()
        self._number = next(_numbers_of_programs)
        self._sources: dict[str, Source] = {}
        self._not_indexed: set[int] = set()
        self._by_path = {func.path: n for n, func in enumerate(policy.funcs) if func.path}
        self._namespace: dict[str, Any] = dict(_OPERATIONS)
        self._namespace["call"] = self._call_dynamic
        self._functions = {func.name: number for number, func in enumerate(policy.funcs)}
        self._add_constants()
        self._rules: dict[int, str] = {}
        self._numbers_of_rules = count()
        self._symbols = Symbols(
            _Late(self._add_builtins(), self._callee),
            _Late({}, self._number_constant),
            _Late({}, self._rule),
        )
        self._plans = {entry.name: n for n, entry in enumerate(policy.plans)}
        for number in range(len(policy.funcs)):
            self._namespace[f"f{number}"] = self._stub(number)
        weakref.finalize(self, _forget, self._sources)

    @property
    def entrypoints(self) -> list[str]:
        """Return the names of the plan's entry points."""
        return list(self._plans)

    def source(self, name: str) -> str:
        """Return the Python source of a function or entry point by its name in the plan.

        Raises:
            KeyError: the plan has none of that name.
        """
        if name in self._plans:
            return self._plan_source(self._plans[name]).text
        return self._function_source(self._functions[name]).text

    def entrypoint(self, name: str) -> Callable[..., None]:
        """Return an entry point as `function(scope, input, data, results)`.

        Raises:
            PolicyError: the plan has no such entry point, or it cannot be compiled.
        """
        number = self._plans.get(name)
        if number is None:
            raise PolicyError([PolicyProblem("plan_error", f"no entry point {name}")])
        found = self._namespace.get(f"p{number}")
        if found is None:
            self._read_documents(f"p{number}", self.policy.plans[number].blocks, plan.DATA)
            found = self._compile(lambda: self._plan_source(number), f"p{number}", name)
        return found

    def rules(self, numbers: Iterable[int]) -> list[str]:
        """Return the rules behind numbers that were noted in `Scope.held`."""
        return [self._rules[number] for number in numbers]

    def location_of(self, traceback: TracebackType | None) -> plan.Location | None:
        """Return the plan location of the innermost generated line in a traceback."""
        found = None
        while traceback is not None:
            source = self._sources.get(traceback.tb_frame.f_code.co_filename)
            if source is not None:
                found = source.locations[traceback.tb_lineno - 1]
            traceback = traceback.tb_next
        return found

    def _add_builtins(self) -> dict[str, Callee]:
        callees = {}
        problems = []
        for number, builtin in enumerate(self.policy.static.builtin_funcs):
            found = self._resolve(builtin.name)
            if found is None:
                message = f"undefined function {builtin.name}"
                problems.append(PolicyProblem("rego_type_error", message))
                continue
            direct = builtin.name in NEVER_FAIL
            self._namespace[f"b{number}"] = found.function if direct else guarded(found)
            boolean = _is_boolean(builtin.decl.get("result"))
            callees[builtin.name] = Callee(f"b{number}", boolean=boolean, takes_scope=not direct)
        if problems:
            raise PolicyError(problems)
        for name in self._functions:
            callees.pop(name, None)
        return callees

    def _callee(self, name: str) -> Callee:
        number = self._functions[name]
        func = self.policy.funcs[number]
        memo = number if len(func.params) == INPUT_AND_DATA else None
        return Callee(f"f{number}", memo=memo, boolean=returns_boolean(func))

    def _add_constants(self) -> None:
        """Put the plan's strings in the namespace, and what each function is called."""
        for index, text in enumerate(self.policy.static.strings):
            self._namespace[f"s{index}"] = text
        for number, func in enumerate(self.policy.funcs):
            word = "rule" if len(func.params) == INPUT_AND_DATA else "function"
            path = func.name.partition(".")[2] or func.name
            self._namespace[f"c{number}"] = f"{word} {path}"

    def _number_constant(self, index: int) -> int | Number:
        value = number_of(self.policy.static.strings[index])
        self._namespace[f"n{index}"] = value
        return value

    def _rule(self, key: tuple[int, plan.Location]) -> int:
        function, location = key
        number = next(self._numbers_of_rules)
        name = self.policy.funcs[function].name.partition(".")[2]
        at = self.policy.source_location(location)
        self._rules[number] = f"{name} {at.file}:{at.row}" if at is not None else name
        return number

    def _stub(self, number: int) -> Callable[..., Value]:
        def compile_and_call(*args: Value) -> Value:
            return self._function(number)(*args)

        return compile_and_call

    def _function(self, number: int) -> Callable[..., Value]:
        func, index = self.policy.funcs[number], self._index(number)
        if index is not None:
            self._namespace[f"i{number}"] = index
            self._namespace[f"a{number}"] = _Late(
                {}, lambda position: self._alternative(number, position, index)
            )
        blocks = func.blocks if index is None else (*index.head, *index.tail)
        self._read_documents(f"f{number}", blocks, _data_of(func), index)
        return self._compile(
            lambda: function_source(func, number, self._symbols, index), f"f{number}", func.name
        )

    def _alternative(self, number: int, position: int, index: Index) -> Callable[..., Value]:
        func, blocks = self.policy.funcs[number], index.alternative(position)
        if not is_alone(func, blocks):
            self._not_indexed.add(number)
            self._namespace[f"f{number}"] = self._stub(number)
            raise StartAgain
        self._read_documents(f"f{number}[{position}]", blocks, _data_of(func))
        return self._compile(
            lambda: alternative_source(func, number, self._symbols, blocks),
            "alternative",
            f"{func.name}[{position}]",
        )

    def _index(self, number: int) -> Index | None:
        if number in self._not_indexed:
            return None
        return find_index(
            self.policy.funcs[number], self.policy.static.strings, self._symbols.numbers
        )

    def _function_source(self, number: int) -> Source:
        func = self.policy.funcs[number]
        return function_source(func, number, self._symbols, self._index(number))

    def _plan_source(self, number: int) -> Source:
        return plan_source(self.policy.plans[number], number, self._symbols)

    def _compile(
        self, write: Callable[[], Source], name: str, described: str
    ) -> Callable[..., Any]:
        filename = f"<rego plan {self._number}.{len(self._sources)} {name}>"
        try:
            source = write()
            code = compile(source.text, filename, "exec", dont_inherit=True)
        except (SyntaxError, RecursionError, MemoryError) as exc:
            message = f"{described} is too large or too deeply nested to compile"
            raise PolicyError([PolicyProblem("plan_error", message)]) from exc
        self._sources[filename] = source
        lines = source.text.splitlines(keepends=True)
        linecache.cache[filename] = (len(source.text), None, lines, filename)
        exec(code, self._namespace)  # noqa: S102 - the source holds only our names and integers
        function: Callable[..., Any] = self._namespace[name]
        function.__qualname__ = described
        return function

    def _read_documents(
        self, name: str, blocks: Sequence[Block], data: Local, index: Index | None = None
    ) -> None:
        """Make ready what blocks read of the base documents.

        Raises:
            StartAgain: that has been done now, and took long.
        """
        if self._prepare is None or name in self._prepared:
            return
        started = time.monotonic()
        wanted = document_reads(
            blocks, data, self.policy.static.strings, self._functions.__contains__
        )
        if index is not None and index.position == INPUT_AND_DATA - 1:
            wanted.whole.add(index.keys)
        self._prepare(wanted)
        self._prepared.add(name)
        seconds = time.monotonic() - started
        if seconds > _NOTICED_SECONDS:
            raise StartAgain(seconds)

    def _call_dynamic(self, scope: scope.Scope, path: tuple[Value, ...], *args: Value) -> Value:
        if not all(type(part) is str for part in path):
            return UNDEFINED
        number = self._by_path.get(path)
        if number is None or len(self.policy.funcs[number].params) != len(args):
            return UNDEFINED
        if len(args) == INPUT_AND_DATA and number in scope:
            return scope[number]
        return self._namespace[f"f{number}"](scope, *args)


def _is_boolean(result: Any) -> bool:
    return type(result) is dict and result.get("type") == "boolean"


def _data_of(func: plan.Func) -> Local:
    """Return the local that is `data` in a function, one that there is not where it has none."""
    return func.params[1] if len(func.params) >= INPUT_AND_DATA else -1


def _forget(sources: dict[str, Source]) -> None:
    for filename in sources:
        linecache.cache.pop(filename, None)
