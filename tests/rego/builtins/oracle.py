"""Calls of built-in functions, evaluated by us and by the real OPA in one process each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from policy_agent.codec import encode_json
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego.builtins.catalog import resolve
from policy_agent.rego.builtins.go_text import printable
from policy_agent.rego.builtins.registry import BuiltinError
from policy_agent.rego.context import Context
from policy_agent.rego.values import RegoSet, thaw, to_json

OPA = os.environ.get("OPA_BIN") or shutil.which("opa")


class Call(NamedTuple):
    """One call; the arguments are Rego values."""

    name: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(literal, self.arguments))})"


def calls(name: str, *rows: Any) -> list[Call]:
    """Return one call per row; a row is a tuple of arguments, or the only argument."""
    return [Call(name, row if isinstance(row, tuple) else (row,)) for row in rows]


def literal(value: Any) -> str:
    """Return a value as Rego text."""
    if isinstance(value, RegoSet):
        return "{" + ", ".join(map(literal, value)) + "}" if len(value) else "set()"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{literal(thaw(key))}: {literal(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, str):
        return json.dumps(value)
    return encode_json(value).decode()


def outcome(call: Call) -> str:
    """Return what our function answers: JSON text, `undefined` or the error."""
    builtin = resolve(call.name)
    assert builtin is not None
    context = (Context(),) if builtin.needs_context else ()
    try:
        value = builtin.function(*context, *call.arguments)
    except BuiltinError as exc:
        return f"{exc.code}: {exc.describe(call.name)}"
    return "undefined" if value is UNDEFINED else encode_json(printable(to_json(value))).decode()


def _integer(text: str) -> int | Number:
    return Number(text) if text == "-0" else int(text)


def opa_outcomes(wanted: list[Call], directory: Path) -> list[str]:
    """Return what OPA answers to each call, in the form of `outcome`."""
    assert OPA is not None
    # `id` hides the arguments' types from OPA's type checker, which would refuse wrong ones; its
    # first argument keeps OPA from answering with an equal argument of an earlier call.
    module = "package calls\n\nid(_, x) := x\n"
    first_row = module.count("\n") + 1
    for number, call in enumerate(wanted):
        arguments = ", ".join(f"id({number}, {literal(item)})" for item in call.arguments)
        module += f"r{number} := {call.name}({arguments})\n"
    file = directory / "calls.rego"
    file.write_text(module)
    command = [OPA, "eval", "--v0-compatible", "--show-builtin-errors", "-f", "json"]
    done = subprocess.run(
        [*command, "-d", file.name, "data.calls"], cwd=directory, capture_output=True, check=False
    )
    assert done.stdout, done.stderr[-2000:]
    answer = json.loads(done.stdout, parse_float=Number, parse_int=_integer)
    assert "result" in answer, answer
    values = answer["result"][0]["expressions"][0]["value"]
    results = [
        encode_json(values[f"r{number}"]).decode() if f"r{number}" in values else "undefined"
        for number in range(len(wanted))
    ]
    for error in answer.get("errors", ()):
        results[error["location"]["row"] - first_row] = f"{error['code']}: {error['message']}"
    return results
