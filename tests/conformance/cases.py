"""OPA's own conformance cases, read from the Go module cache; they are not copied here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from policy_agent.codec import decode_yaml
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego.values import Value, equal, ordered

OPA_VERSION = "v1.22.0"
OPA_MODULE = f"github.com/open-policy-agent/opa@{OPA_VERSION}"
_MODULE = f"{OPA_MODULE}/v1/test/cases/testdata"
_DOCUMENT_QUERY = re.compile(r'data((?:\.\w+|\["[^"\\]+"\])+) = ([a-zA-Z_]\w*)')
_STEP = re.compile(r'\.(\w+)|\["([^"]+)"\]')


@dataclass(frozen=True, slots=True)
class Case:
    """One case: a query over modules, data and input, and what must come of it.

    Attributes:
        syntax: "v0" or "v1", the Rego version of the modules.
        data: {} where the case has none.
        input: UNDEFINED where the case has none.
        input_term: the input as a Rego term, which replaces `input`.
        want_result: the bindings of each solution, None where the case does not say.
    """

    syntax: str
    note: str
    query: str
    modules: tuple[str, ...]
    data: Any
    input: Any
    input_term: str | None
    want_result: list[dict[str, Any]] | None
    want_defined: bool | None
    want_error_code: str | None
    want_error: str | None
    sort_bindings: bool
    strict: bool
    env: dict[str, str]

    @property
    def name(self) -> str:
        """Return what the case is called here; notes are unique within a syntax only."""
        return f"{self.syntax}/{self.note}"

    @property
    def document(self) -> tuple[tuple[str, ...], str] | None:
        """Return path and variable of a query `data.path = x`, None for other queries."""
        found = _DOCUMENT_QUERY.fullmatch(self.query.strip())
        if found is None or found[2] in ("input", "data"):
            return None
        path = tuple(dotted or quoted for dotted, quoted in _STEP.findall(found[1]))
        return path, found[2]


@cache
def directory() -> Path | None:
    """Return the folder of OPA's cases, None where this machine does not have it.

    In CI it is fetched with Go, so that the cases are never skipped there.
    """
    roots = [os.environ.get("GOMODCACHE", ""), str(Path.home() / "go/pkg/mod")]
    go = shutil.which("go")
    if go is not None:
        if os.environ.get("CI") == "true":
            subprocess.run(
                [go, "mod", "download", OPA_MODULE], check=True, cwd=tempfile.gettempdir()
            )
        found = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, check=False)
        roots.insert(0, found.stdout.decode().strip())
    paths = [Path(root) / _MODULE for root in roots if root]
    return next((path for path in paths if path.is_dir()), None)


def load(syntax: str, folder: str = "*") -> Iterator[Case]:
    """Yield the cases of one syntax, of one of its folders or of all."""
    root = directory()
    assert root is not None
    for file in sorted((root / syntax).glob(f"{folder}/*.yaml")):
        for case in _exact(decode_yaml(file.read_bytes()))["cases"]:
            yield Case(
                syntax=syntax,
                note=case["note"],
                query=case["query"],
                modules=tuple(case.get("modules") or ()),
                data=case.get("data") or {},
                input=case.get("input", UNDEFINED),
                input_term=case.get("input_term"),
                want_result=case.get("want_result"),
                want_defined=case.get("want_defined"),
                want_error_code=case.get("want_error_code"),
                want_error=case.get("want_error"),
                sort_bindings=bool(case.get("sort_bindings")),
                strict=bool(case.get("strict_error")),
                env=case.get("env") or {},
            )


def _exact(value: Any) -> Any:
    """Replace YAML's floating-point numbers by exact ones, and other keys by text, as OPA does."""
    if isinstance(value, float):
        return Number(repr(value))
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _exact(item) for key, item in value.items()}
    return value


def same_results(
    got: list[dict[str, Any]], want: list[dict[str, Any]], *, sort_bindings: bool
) -> bool:
    """Return whether two result sets, as JSON, hold the same solutions in any order."""
    if sort_bindings:
        got, want = [_sorted_arrays(row) for row in got], [_sorted_arrays(row) for row in want]
    return equal(ordered(got), ordered(want))


def _sorted_arrays(row: dict[str, Value]) -> dict[str, Value]:
    return {
        name: ordered(value) if isinstance(value, list) else value for name, value in row.items()
    }
