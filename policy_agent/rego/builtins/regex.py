"""Regular expression functions.

Pure. Semantics of OPA v1.22 v1/topdown/regex.go and regex_template.go.
"""

from __future__ import annotations

from typing import Final

from policy_agent.glob_pattern import quote_meta
from policy_agent.rego.builtins import operands
from policy_agent.rego.builtins.glob_intersection import intersect
from policy_agent.rego.builtins.go_regexp import compile_pattern, expand
from policy_agent.rego.builtins.go_text import from_bytes, quote, to_bytes
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, check_size
from policy_agent.rego.values import Value


def is_valid(pattern: Value) -> bool:
    """Return whether a value is a pattern."""
    if type(pattern) is not str:
        return False
    try:
        compile_pattern(pattern)
    except BuiltinError:
        return False
    return True


def match(pattern: Value, text: Value) -> bool:
    """Return whether a pattern matches somewhere in a string."""
    wanted, given = operands.need_string(pattern, 1), operands.need_string(text, 2)
    return compile_pattern(wanted).search(to_bytes(given))


def split(pattern: Value, text: Value) -> list[str]:
    """Return the parts of a string between the matches."""
    wanted, given = operands.need_string(pattern, 1), operands.need_string(text, 2)
    raw = to_bytes(given)
    compiled = compile_pattern(wanted)
    if wanted and not raw:
        return [""]
    parts: list[bytes] = []
    begin = end = 0
    for spans in compiled.find_all(raw):
        end, after = spans[0]
        if after:
            parts.append(raw[begin:end])
        begin = after
    if end != len(raw):
        parts.append(raw[begin:])
    return list(map(from_bytes, parts))


def find_n(pattern: Value, text: Value, limit: Value) -> list[str]:
    """Return the first matches, all if `limit` is negative."""
    return [row[0] for row in find_all_string_submatch_n(pattern, text, limit)]


def find_all_string_submatch_n(pattern: Value, text: Value, limit: Value) -> list[list[str]]:
    """Return the first matches with their groups, all if `limit` is negative."""
    wanted, given = operands.need_string(pattern, 1), operands.need_string(text, 2)
    count = operands.need_int(limit, 3)
    raw = to_bytes(given)
    return [
        [from_bytes(raw[start:end]) if start >= 0 else "" for start, end in spans]
        for spans in compile_pattern(wanted).find_all(raw, count)
    ]


def replace(text: Value, pattern: Value, new: Value) -> str:
    """Return a string with all matches replaced; `$1` and `${name}` stand for groups."""
    given, wanted = operands.need_string(text, 1), operands.need_string(pattern, 2)
    template = to_bytes(operands.need_string(new, 3))
    raw = to_bytes(given)
    compiled = compile_pattern(wanted)
    out: list[bytes] = []
    at = size = 0
    for spans in compiled.find_all(raw):
        start, end = spans[0]
        new = expand(template, raw, spans, compiled.names)
        size += len(new)
        check_size(size)
        out += raw[at:start], new
        at = end
    return from_bytes(b"".join([*out, raw[at:]])) if out else given


def template_match(pattern: Value, text: Value, start: Value, end: Value) -> bool:
    """Return whether a string is like a template: literal but for patterns between delimiters."""
    template, given = operands.need_string(pattern, 1), operands.need_string(text, 2)
    opening, closing = operands.need_string(start, 3), operands.need_string(end, 4)
    for name, delimiter in (("start", opening), ("end", closing)):
        if len(to_bytes(delimiter)) != 1:
            # OPA tells the length of the first delimiter in both messages.
            length = len(to_bytes(opening))
            problem = f"has to be exactly one character long but is {length} long"
            raise BuiltinError(f"{name} delimiter {problem}")
    return compile_pattern(_templated(template, opening, closing)).search(to_bytes(given))


def _templated(template: str, opening: str, closing: str) -> str:
    parts = ["^"]
    depth = after = begin = 0
    for at, char in enumerate(template):
        if char == opening:
            depth += 1
            begin = at if depth == 1 else begin
        elif char == closing:
            depth -= 1
            if depth < 0:
                break
            if not depth:
                inner = template[begin + 1 : at]
                compile_pattern(f"^{inner}$")
                parts += quote_meta(template[after:begin]), f"({inner})"
                after = at + 1
    if depth:
        raise BuiltinError(f"unbalanced braces in {quote(template)}")
    return "".join([*parts, quote_meta(template[after:]), "$"])


def globs_match(left: Value, right: Value) -> bool:
    """Return whether a string exists that two regular-expression-like globs both match."""
    return intersect(operands.need_string(left, 1), operands.need_string(right, 2))


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("regex.is_valid", is_valid),
        Builtin("regex.match", match),
        Builtin("re_match", match),
        Builtin("regex.split", split),
        Builtin("regex.find_n", find_n),
        Builtin("regex.find_all_string_submatch_n", find_all_string_submatch_n),
        Builtin("regex.replace", replace),
        Builtin("regex.template_match", template_match),
        Builtin("regex.globs_match", globs_match),
    )
}
