"""JSON and YAML texts.

Pure. Semantics of OPA v1.22 v1/topdown/encoding.go.
"""

from __future__ import annotations

import re
from typing import Any, Final

from policy_agent.codec import decode_json, decode_yaml, encode_json
from policy_agent.errors import DocumentError
from policy_agent.number import Number, is_too_big
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.big_float import double_text
from policy_agent.rego.builtins.go_text import printable, to_bytes
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, operand_error
from policy_agent.rego.builtins.value_text import value_text
from policy_agent.rego.values import Value, ordered_keys, thaw, to_json, type_name

_LARGE_EXPONENT: Final = re.compile(r"[eE][-+]?0*\d{5}")


def _compact(document: Any) -> str:
    try:
        return encode_json(document).decode()
    except UnicodeEncodeError:
        return encode_json(printable(document)).decode()


def json_marshal(value: Value) -> str:
    """Return a value as JSON on one line."""
    return _compact(to_json(value))


def json_marshal_with_options(value: Value, options: Value) -> str:
    """Return a value as JSON, on many lines if `pretty`, `indent` or `prefix` asks for it.

    Raises:
        BuiltinError: an option is unknown or of the wrong type.
    """
    texts = {"indent": "\t", "prefix": ""}
    given = operands.need_object(options, 2)
    pretty = bool(given)
    for index, key in enumerate(ordered_keys(given)):
        name, wanted = value_text(thaw(key)), type_name(given[key])
        if type(key) is not str:
            kind = type_name(thaw(key))
            problem = f"operand {index} must be string but got {kind}"
            raise operand_error(2, f"failed to stringify key {name} at index {index}: {problem}")
        if key == "pretty":
            if type(given[key]) is not bool:
                raise operand_error(2, f"key {name} failed cast to bool")
        elif key not in texts:
            raise operand_error(2, f"object contained unknown key {name}")
        elif type(given[key]) is not str:
            problem = f"operand {index} must be string but got {wanted}"
            raise operand_error(2, f"key {name} failed cast to string: {problem}")
        else:
            texts[key] = given[key]
    if not given.get("pretty", pretty):
        return json_marshal(value)
    prefix = texts["prefix"]
    return prefix + _indented(to_json(value), f"\n{prefix}", texts["indent"])


def _indented(document: Any, line: str, indent: str) -> str:
    if not document or type(document) not in (dict, list):
        return _compact(document)
    inner = line + indent
    if type(document) is dict:
        items = [
            f"{_compact(key)}: {_indented(document[key], inner, indent)}"
            for key in sorted(document)
        ]
        return f"{{{inner}{f',{inner}'.join(items)}{line}}}"
    items = [_indented(item, inner, indent) for item in document]
    return f"[{inner}{f',{inner}'.join(items)}{line}]"


def json_unmarshal(text: Value) -> Value:
    """Return the value that JSON stands for.

    Raises:
        BuiltinError: the string is not JSON, or has a number that is too big.
    """
    written = operands.need_string(text, 1)
    try:
        value = decode_json(to_bytes(written))
    except DocumentError as exc:
        raise BuiltinError(str(exc)) from exc
    if _LARGE_EXPONENT.search(written) and _has_too_big(value):
        raise BuiltinError("invalid number: number too big")
    return value


def _has_too_big(document: Any) -> bool:
    if isinstance(document, list):
        return any(map(_has_too_big, document))
    if isinstance(document, dict):
        return any(map(_has_too_big, document.values()))
    return isinstance(document, Number) and is_too_big(document)


def json_is_valid(text: Value) -> bool:
    """Return whether a value is a string of JSON."""
    if type(text) is not str:
        return False
    try:
        decode_json(to_bytes(text))
    except DocumentError:
        return False
    return True


def yaml_marshal(value: Value) -> str:
    """Return a value as YAML in block style."""
    # The YAML library is slow to load and few policies write YAML.
    from policy_agent.rego.builtins.yaml_writer import write_yaml

    return write_yaml(printable(to_json(value)))


def yaml_unmarshal(text: Value) -> Value:
    """Return the value that YAML stands for.

    Raises:
        BuiltinError: the string is not YAML.
    """
    try:
        return _doubles(decode_yaml(to_bytes(operands.need_string(text, 1))))
    except DocumentError as exc:
        raise BuiltinError(f"yaml: {exc}") from exc


def _doubles(document: Any) -> Any:
    """Return a document with its numbers as they are after being doubles, as YAML has them."""
    if isinstance(document, dict):
        return {key: _doubles(item) for key, item in document.items()}
    if isinstance(document, list):
        return [_doubles(item) for item in document]
    if isinstance(document, Number | float):
        text = double_text(float(document))
        return int(text) if text.lstrip("-").isdigit() else Number(text)
    return document


def yaml_is_valid(text: Value) -> bool:
    """Return whether a value is a string of YAML."""
    if type(text) is not str:
        return False
    try:
        decode_yaml(to_bytes(text))
    except DocumentError:
        return False
    return True


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("json.marshal", json_marshal),
        Builtin("json.marshal_with_options", json_marshal_with_options),
        Builtin("json.unmarshal", json_unmarshal),
        Builtin("json.is_valid", json_is_valid),
        Builtin("yaml.marshal", yaml_marshal),
        Builtin("yaml.unmarshal", yaml_unmarshal),
        Builtin("yaml.is_valid", yaml_is_valid),
    )
}
