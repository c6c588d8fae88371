"""What must hold for any bytes at all; each target raises when it does not.

A policy or plan is untrusted. Whatever it holds, reading and running it ends in a value or in one
of our own errors, within the time allowed, and the Python made of it can name nothing but what the
engine gave it.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy, plan
from policy_agent.rego.codegen.program import Program
from policy_agent.rego.context import Context
from policy_agent.rego.parse import parse_module, parse_query
from policy_agent.rego.plan_file import open_plan
from policy_agent.rego.plan_json import read_plan
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import to_json
from tests.fuzz import seeds
from tests.fuzz.choices import Choices, edited_document, edited_text

DEADLINE_SECONDS: Final = 0.2
# A loaded machine may take its time; what never ends is found all the same.
PATIENCE_SECONDS: Final = 10
INPUT: Final = {
    "roles": ["admin", "x"],
    "tags": {"a": ["b"]},
    "x": {"y": 1, "z": [True, None]},
    "n": 3,
    "s": "aaa",
    "route": "r3",
}
_NAME = re.compile(
    r"(?:[abcfilnpsw]|none|done|leave|scope|part|left)\d+|scope|results|number|answer"
)
_OPERATIONS = re.compile(
    "U|RegoSet|dot|elements|equal|freeze|insert_once|items|merge|once|set_add|size|upsert|call"
    "|alternative|type|list|dict"
)
_ATTRIBUTES = frozenset({"append", "fork", "get", "held", "matching", "members", "spend"})
_ODD: Final[Sequence[Any]] = (
    0,
    1,
    2,
    -1,
    2**31,
    2**63,
    None,
    True,
    "",
    "__class__",
    "__import__('os').system('x')",
    '"\n',
    [],
    {},
    {"type": "local", "value": 3},
    {"type": "string_index", "value": 0},
    {"type": "bool", "value": False},
    {"type": "BreakStmt", "stmt": {"index": 1}},
    {"type": "ReturnLocalStmt", "stmt": {"source": 3}},
    {"type": "NopStmt", "stmt": {}},
)


def parser(raw: bytes) -> None:
    """Any text is a module, a query, or refused with an error of ours."""
    text = raw.decode("utf-8", "replace")
    for v0 in (False, True):
        _refusable(partial(parse_module, "fuzz.rego", text, v0=v0))
    _refusable(lambda: parse_query(text))


def edited_policy(raw: bytes) -> None:
    """Almost a policy: it is parsed, compiled, planned and run, or refused."""
    choices = Choices(raw)
    text = edited_text(choices, seeds.policies())
    versions = {"p.rego": 0} if choices.number(4) == 0 else {}

    def run() -> None:
        with Policy.from_modules(
            {"p.rego": text}, rego_versions=versions, deadline_seconds=DEADLINE_SECONDS
        ) as policy:
            _evaluable(lambda: policy.evaluate("", INPUT))
            again = Policy.from_modules({}, plan=policy.plan(), deadline_seconds=DEADLINE_SECONDS)
            _evaluable(lambda: again.evaluate("", INPUT))

    _refusable(run)


def plan_reader(raw: bytes) -> None:
    """Any bytes are a plan or refused; what is read at once can be read late, and the reverse."""
    whole = _refusable(lambda: read_plan(raw))
    late = _refusable(lambda: _read_late(raw))
    assert whole == late


def edited_plan(raw: bytes) -> None:
    """Almost a plan: each function of it that can be read is harmless Python, and ends."""
    choices = Choices(raw)
    document = edited_document(choices, decode_json(choices.pick(seeds.plans())), _ODD)
    try:
        encoded = encode_json(document)
    except RecursionError:
        return
    plan_reader(encoded)
    policy = _refusable(lambda: read_plan(encoded))
    if policy is not None:
        _refusable(lambda: _run(policy))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__.replace("_", "-"): target
    for target in (parser, edited_policy, plan_reader, edited_plan)
}


def _refusable(run: Callable[[], Any]) -> Any:
    """Return what a function returns, None where it refuses its bytes."""
    started = time.process_time()
    try:
        return run()
    except PolicyError as exc:
        if not all(problem.message for problem in exc.problems):
            raise AssertionError("an error without a message") from exc
        return None
    finally:
        assert time.process_time() - started < PATIENCE_SECONDS


def _evaluable(run: Callable[[], Any]) -> Any:
    """Return what an evaluation returns, None where it ends in an error that a policy may cause."""
    started = time.process_time()
    try:
        return run()
    except EvaluationError as exc:
        message = str(exc)
        if "eval_internal_error" in message and "too deeply" not in message:
            raise AssertionError(message) from exc
        return None
    finally:
        assert time.process_time() - started < PATIENCE_SECONDS


def _read_late(raw: bytes) -> plan.Policy:
    """Return a plan opened for running, with everything in it read."""
    opened = open_plan(raw)
    return plan.Policy(
        opened.static,
        tuple(plan.Plan(entry.name, tuple(entry.blocks)) for entry in opened.plans),
        tuple(
            plan.Func(func.name, func.params, func.result, tuple(func.blocks), func.path)
            for func in opened.funcs
        ),
        opened.unplanned_rules,
    )


def _run(policy: plan.Policy) -> None:
    program = Program(policy)
    names = [func.name for func in policy.funcs] + program.entrypoints
    for name in names:
        assert_harmless(program.source(name))
    runner = PlanRunner(policy, {"a": {"b": [1, "x", None]}})
    for entry in runner.entrypoints:
        for document in (INPUT, UNDEFINED):
            started = time.process_time()
            deadline = time.monotonic() + DEADLINE_SECONDS
            try:
                to_json(runner.evaluate(entry, document, Context(deadline=deadline)))
            except EvaluationError:
                pass
            finally:
                assert time.process_time() - started < PATIENCE_SECONDS


def assert_harmless(source: str) -> None:
    """Fail where source names anything but the engine's own names, or holds any text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
                assert _OPERATIONS.fullmatch(name) or _NAME.fullmatch(name), name
            case ast.Attribute(attr=name):
                assert name in _ATTRIBUTES, name
            case ast.Constant(value=value):
                assert value is None or type(value) in (bool, int), value
            case ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Lambda():
                raise AssertionError(type(node).__name__)
