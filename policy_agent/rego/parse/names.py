"""Terms as OPA writes and calls them in messages.

Pure. Names follow ValueName and TypeName, texts String() of OPA v1.22 v1/ast.
"""

from __future__ import annotations

import re
from typing import Final

from policy_agent.codec import encode_json
from policy_agent.rego import ast
from policy_agent.rego.parse import kinds as k

_INFIX: Final = {
    "plus": "+",
    "minus": "-",
    "mul": "*",
    "div": "/",
    "rem": "%",
    "and": "&",
    "or": "|",
    "eq": "=",
    "assign": ":=",
    "equal": "==",
    "neq": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
}
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_KINDS: Final = {
    ast.Var: "var",
    ast.Ref: "ref",
    ast.ArrayTerm: "array",
    ast.SetTerm: "set",
    ast.ObjectTerm: "object",
    ast.ArrayComprehension: "arraycomprehension",
    ast.SetComprehension: "setcomprehension",
    ast.ObjectComprehension: "objectcomprehension",
    ast.Call: "call",
    ast.TemplateString: "templatestring",
}


def kind_of(term: ast.Term) -> str:
    """Return OPA's name for the type of a term."""
    if not isinstance(term, ast.Scalar):
        return _KINDS[type(term)]
    value = term.value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def text_of(term: ast.Term) -> str:
    """Return a term as OPA writes it."""
    match term:
        case ast.Scalar():
            return encode_json(term.value).decode()
        case ast.Var():
            return "_" if term.name.startswith("$") else term.name
        case ast.Ref():
            return text_of(term.head) + "".join(map(_part_text, term.path))
        case ast.ArrayTerm():
            return f"[{', '.join(map(text_of, term.items))}]"
        case ast.SetTerm():
            return f"{{{', '.join(map(text_of, term.items))}}}" if term.items else "set()"
        case ast.ObjectTerm():
            pairs = (f"{text_of(key)}: {text_of(value)}" for key, value in term.pairs)
            return f"{{{', '.join(pairs)}}}"
        case ast.Call():
            return _call_text(term)
        case _:
            return kind_of(term)


def _part_text(part: ast.Term) -> str:
    name = part.value if isinstance(part, ast.Scalar) else None
    if isinstance(name, str) and _WORD.fullmatch(name) and name not in k.V1_KEYWORDS:
        return f".{name}"
    return f"[{text_of(part)}]"


def _call_text(call: ast.Call) -> str:
    operator = text_of(call.operator)
    arguments = [text_of(argument) for argument in call.args]
    if operator in _INFIX and len(arguments) == 2:
        return f"{arguments[0]} {_INFIX[operator]} {arguments[1]}"
    return f"{operator}({', '.join(arguments)})"


def is_ground(term: ast.Term) -> bool:
    """Return whether a term holds no variable; the head of a reference does not count."""
    match term:
        case ast.Scalar():
            return True
        case ast.Ref():
            return all(map(is_ground, term.path))
        case ast.ArrayTerm() | ast.SetTerm():
            return all(map(is_ground, term.items))
        case ast.ObjectTerm():
            return all(is_ground(key) and is_ground(value) for key, value in term.pairs)
        case ast.Call():
            return all(map(is_ground, term.args))
        case _:
            return False
