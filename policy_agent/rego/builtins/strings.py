"""String functions; characters are code points.

Pure. Semantics of OPA v1.22 v1/topdown/strings.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from policy_agent.rego.builtins import go_text, operands
from policy_agent.rego.builtins.big_float import from_number
from policy_agent.rego.builtins.registry import (
    MAX_SIZE,
    Builtin,
    BuiltinError,
    check_size,
    element_type_error,
    operand_error,
    operand_type_error,
)
from policy_agent.rego.builtins.replacer import replace_pairs
from policy_agent.rego.values import RegoSet, Value, ordered_keys

_FORMATS: Final = {2: "b", 8: "o", 10: "d", 16: "x"}


def _two(left: Value, right: Value) -> tuple[str, str]:
    if type(left) is str and type(right) is str:
        return left, right
    return operands.need_string(left, 1), operands.need_string(right, 2)


def concat(separator: Value, whole: Value) -> str:
    """Return an array's or set's strings joined."""
    joint = operands.need_string(separator, 1)
    if type(whole) is not list and type(whole) is not RegoSet:
        raise operand_type_error(2, whole, "set", "array")
    try:
        check_size(len(joint) * len(whole) + sum(map(len, whole)))
        return joint.join(whole)
    except TypeError:
        wrong = next(member for member in whole if type(member) is not str)
        raise element_type_error(2, whole, wrong, "string") from None


def contains(text: Value, part: Value) -> bool:
    """Return whether `part` is in `text`."""
    whole, search = _two(text, part)
    return search in whole


def startswith(text: Value, prefix: Value) -> bool:
    """Return whether a string begins with another."""
    whole, search = _two(text, prefix)
    return whole.startswith(search)


def endswith(text: Value, suffix: Value) -> bool:
    """Return whether a string ends with another."""
    whole, search = _two(text, suffix)
    return whole.endswith(search)


def count(text: Value, part: Value) -> int:
    """Return how often `part` is in `text` without overlap; the empty string, around each."""
    whole, search = _two(text, part)
    return whole.count(search)


def _searched(text: Value, part: Value) -> tuple[str, str]:
    whole, search = _two(text, part)
    if not search:
        raise BuiltinError("empty search character")
    return whole, search


def indexof(text: Value, part: Value) -> int:
    """Return where `part` first begins in `text`, -1 for nowhere."""
    whole, search = _searched(text, part)
    return whole.find(search)


def indexof_n(text: Value, part: Value) -> list[int]:
    """Return every place at which `part` begins in `text`."""
    whole, search = _searched(text, part)
    found: list[int] = []
    at = whole.find(search)
    while at >= 0:
        found.append(at)
        at = whole.find(search, at + 1)
    return found


def substring(text: Value, start: Value, length: Value) -> str:
    """Return `length` characters from `start`, all that follow if `length` is negative.

    Raises:
        BuiltinError: `start` is negative.
    """
    whole = operands.need_string(text, 1)
    first, wanted = operands.need_int(start, 2), operands.need_int(length, 3)
    if first < 0:
        raise BuiltinError("negative offset")
    return whole[first:] if wanted < 0 else whole[first : first + wanted]


def split(text: Value, separator: Value) -> list[str]:
    """Return the parts of a string; with an empty separator, its characters."""
    whole, joint = _two(text, separator)
    return whole.split(joint) if joint else list(whole)


def split_n(text: Value, separator: Value, limit: Value) -> list[str]:
    """Return the first parts of a string, or the last ones if `limit` is negative."""
    whole, joint = _two(text, separator)
    wanted = operands.need_int(limit, 3)
    parts = whole.split(joint) if joint else list(whole)
    return parts[:wanted] if wanted >= 0 else parts[wanted:]


def replace(text: Value, old: Value, new: Value) -> str:
    """Return a string with every `old` in it replaced."""
    whole, search = _two(text, old)
    substitute = operands.need_string(new, 3)
    if not search:
        return replace_pairs(whole, [(search, substitute)])
    if len(whole) * len(substitute) > MAX_SIZE:
        check_size(whole.count(search) * len(substitute))
    return whole.replace(search, substitute)


def replace_n(patterns: Value, text: Value) -> str:
    """Return a string with an object's keys in it replaced by their values, in one pass."""
    pairs = operands.need_object(patterns, 1)
    whole = operands.need_string(text, 2)
    for key in ordered_keys(pairs):
        if type(key) is not str:
            raise operand_error(1, "non-string key found in pattern object")
        if type(pairs[key]) is not str:
            raise operand_error(1, "non-string value found in pattern object")
    return replace_pairs(whole, [(key, pairs[key]) for key in ordered_keys(pairs)])


def trim(text: Value, characters: Value) -> str:
    """Return a string without some characters at both ends."""
    whole, unwanted = _two(text, characters)
    return whole.strip(unwanted)


def trim_left(text: Value, characters: Value) -> str:
    """Return a string without some characters at its beginning."""
    whole, unwanted = _two(text, characters)
    return whole.lstrip(unwanted)


def trim_right(text: Value, characters: Value) -> str:
    """Return a string without some characters at its end."""
    whole, unwanted = _two(text, characters)
    return whole.rstrip(unwanted)


def trim_prefix(text: Value, prefix: Value) -> str:
    """Return a string without a prefix."""
    whole, unwanted = _two(text, prefix)
    return whole.removeprefix(unwanted)


def trim_suffix(text: Value, suffix: Value) -> str:
    """Return a string without a suffix."""
    whole, unwanted = _two(text, suffix)
    return whole.removesuffix(unwanted)


def trim_space(text: Value) -> str:
    """Return a string without the white space around it."""
    return go_text.trim_space(operands.need_string(text, 1))


def lower(text: Value) -> str:
    """Return a string in lower case."""
    return go_text.lower(operands.need_string(text, 1))


def upper(text: Value) -> str:
    """Return a string in upper case."""
    return go_text.upper(operands.need_string(text, 1))


def reverse(text: Value) -> str:
    """Return a string's characters from last to first."""
    return operands.need_string(text, 1)[::-1]


def format_int(value: Value, base: Value) -> str:
    """Return a number, cut to an integer, in base 2, 8, 10 or 16."""
    given, radix = operands.need_number(value, 1), operands.need_number(base, 2)
    if type(radix) is not int or radix not in _FORMATS:
        raise operand_error(2, "must be one of {2, 8, 10, 16}")
    if type(given) is int:
        return format(given, _FORMATS[radix])
    return format(from_number(given).truncated(), _FORMATS[radix])


def _any_match(text: Value, affixes: Value, match: Callable[[str, tuple[str, ...]], bool]) -> bool:
    if type(text) is str:
        texts = [text]
    elif type(text) is list or type(text) is RegoSet:
        texts = operands.need_strings(text, 1)
    else:
        raise operand_type_error(1, text, "string", "set", "array")
    if type(affixes) is str:
        wanted: tuple[str, ...] = (affixes,)
    elif type(affixes) is list or type(affixes) is RegoSet:
        wanted = tuple(operands.need_strings(affixes, 2))
    else:
        raise operand_type_error(2, affixes, "string", "set", "array")
    return any(match(candidate, wanted) for candidate in texts)


def any_prefix_match(text: Value, prefixes: Value) -> bool:
    """Return whether a string, or one of several, begins with one of some prefixes."""
    return _any_match(text, prefixes, str.startswith)


def any_suffix_match(text: Value, suffixes: Value) -> bool:
    """Return whether a string, or one of several, ends with one of some suffixes."""
    return _any_match(text, suffixes, str.endswith)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("concat", concat),
        Builtin("contains", contains),
        Builtin("startswith", startswith),
        Builtin("endswith", endswith),
        Builtin("strings.count", count),
        Builtin("indexof", indexof),
        Builtin("indexof_n", indexof_n),
        Builtin("substring", substring),
        Builtin("split", split),
        Builtin("strings.split_n", split_n),
        Builtin("replace", replace),
        Builtin("strings.replace_n", replace_n),
        Builtin("trim", trim),
        Builtin("trim_left", trim_left),
        Builtin("trim_right", trim_right),
        Builtin("trim_prefix", trim_prefix),
        Builtin("trim_suffix", trim_suffix),
        Builtin("trim_space", trim_space),
        Builtin("lower", lower),
        Builtin("upper", upper),
        Builtin("strings.reverse", reverse),
        Builtin("format_int", format_int),
        Builtin("strings.any_prefix_match", any_prefix_match),
        Builtin("strings.any_suffix_match", any_suffix_match),
    )
}
