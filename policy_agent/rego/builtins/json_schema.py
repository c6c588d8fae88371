"""OPA's JSON Schema built-ins.

A `$ref` reaches only into the schema itself: nothing is fetched.

Source: OPA v1.22 v1/topdown/jsonschema.go.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import DocumentError
from policy_agent.rego.builtins.go_text import to_bytes
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.builtins.schema_compile import Compiler, Node, SchemaError
from policy_agent.rego.builtins.schema_validate import validate
from policy_agent.rego.values import Value, to_json


def _load(operand: Value) -> bytes:
    """Return an operand as JSON text.

    Raises:
        SchemaError: it is neither JSON text nor an object or array.
    """
    if type(operand) is str:
        raw = to_bytes(operand)
        _parse(raw)
        return raw
    if type(operand) is dict or type(operand) is list:
        return encode_json(to_json(operand))
    raise SchemaError("wrong type, expected string or object")


def _parse(raw: bytes) -> Any:
    try:
        return decode_json(raw)
    except DocumentError as exc:
        raise SchemaError("invalid JSON string") from exc


@lru_cache(maxsize=100)
def _compiled(raw: bytes) -> Node:
    return Compiler(_parse(raw)).compile()


def _match_schema(document: Value, schema: Value) -> Value:
    try:
        parsed = _parse(_load(document))
        problems = validate(_compiled(_load(schema)), parsed)
    except SchemaError as exc:
        raise BuiltinError(str(exc)) from exc
    except RecursionError as exc:
        raise BuiltinError("document is nested too deeply for the schema") from exc
    return [not problems, [problem.to_json() for problem in problems]]


def _verify_schema(schema: Value) -> Value:
    try:
        _compiled(_load(schema))
    except SchemaError as exc:
        return [False, f"jsonschema: {exc}"]
    return [True, None]


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("json.match_schema", _match_schema),
        Builtin("json.verify_schema", _verify_schema),
    )
}
