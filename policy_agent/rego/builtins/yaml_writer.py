"""JSON documents as YAML text, as go.yaml.in/yaml/v3 writes them with two spaces of indentation.

Pure. PyYAML and the Go library descend from the same emitter; what differs is which style a string
gets and how keys are ordered.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from functools import cmp_to_key
from typing import Any, Final

import yaml

from policy_agent.rego.builtins.big_float import double_text

_UNLIMITED_WIDTH: Final = 1 << 30
# All scalars have this tag: which style keeps a string a string is decided here.
_TAG: Final = "tag:yaml.org,2002:str"
_BEYOND_BMP: Final = re.compile("[\U00010000-\U0010ffff]")
_DIGITS: Final = re.compile(r"\d*", re.ASCII)
_INT64: Final = 1 << 63
# Plain words that YAML 1.2 or 1.1 reads as something else than a string.
_NOT_A_STRING: Final = re.compile(
    r"""(?x)
      | ~ | null | Null | NULL
      | true | True | TRUE | false | False | FALSE
      | y | Y | yes | Yes | YES | n | N | no | No | NO | on | On | ON | off | Off | OFF
      | [-+]? \.(?:inf | Inf | INF) | \.(?:nan | NaN | NAN)
      | [-+]? (?: \.[\d_]+ | \d[\d_]* (?:\.[\d_]*)? ) (?:[eE][-+]?\d+)?
      | [-+]? 0 (?: [xX][\da-fA-F_]+ | [oO][0-7_]+ | [bB][01_]+ )
      | [-+]? \d[\d_]* (?: :[0-5]?\d )+ (?:\.[\d_]*)?
      | \d{4}-\d{1,2}-\d{1,2} (?: (?:[tT]|\s) \s* \d{1,2}:\d{1,2}:\d{1,2} (?:\.\d+)?
          (?:Z | [-+]\d{2}:\d{2})? )?
    """,
    re.ASCII,
)


class _Dumper(yaml.SafeDumper):
    """The emitter with go-yaml's choices."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as the base class has it

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def check_simple_key(self) -> bool:
        if isinstance(self.event, yaml.ScalarEvent) and not self.event.value:
            return True
        return bool(super().check_simple_key())

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: _Dumper, text: str) -> yaml.Node:
    style = None
    if _BEYOND_BMP.search(text):
        style = '"'
    elif "\n" in text:
        style = "|"
    elif _NOT_A_STRING.fullmatch(text):
        style = '"'
    return dumper.represent_scalar(_TAG, text, style=style)


def _mapping(dumper: _Dumper, document: dict[str, Any]) -> yaml.Node:
    pairs = [(key, document[key]) for key in sorted(document, key=cmp_to_key(_natural_order))]
    return dumper.represent_mapping("tag:yaml.org,2002:map", pairs)


def _plain(dumper: _Dumper, text: str) -> yaml.Node:
    return dumper.represent_scalar(_TAG, text)


def _number(dumper: _Dumper, number: Decimal | int) -> yaml.Node:
    if isinstance(number, int) and -_INT64 <= number < 2 * _INT64:
        return _plain(dumper, str(number))
    double = float(number)
    return _plain(dumper, str(number).lower() if math.isinf(double) else double_text(double))


def _boolean(dumper: _Dumper, value: bool) -> yaml.Node:
    return _plain(dumper, "true" if value else "false")


def _null(dumper: _Dumper, _: None) -> yaml.Node:
    return _plain(dumper, "null")


def _natural_order(left: str, right: str) -> int:
    """Order keys as go-yaml does: runs of digits by number, letters after other characters."""
    for at, (one, two) in enumerate(zip(left, right, strict=False)):
        if one == two:
            continue
        if one.isalpha() and two.isalpha():
            return -1 if one < two else 1
        if one.isalpha() or two.isalpha():
            after_digit = at > 0 and left[at - 1].isdigit()
            return -1 if one.isalpha() == after_digit else 1
        return _digits_order(left, right, at)
    return len(left) - len(right)


def _digits_order(left: str, right: str, at: int) -> int:
    one, two = (_DIGITS.match(text, at)[0] for text in (left, right))  # type: ignore[index]
    before = left[:at][len(left[:at].rstrip("0123456789")) :]
    # A zero inside a number counts as a digit of it; in front of one it does not.
    leading = "1" if before.strip("0") and "0" in (left[at], right[at]) else "0"
    if difference := int(leading + one) - int(leading + two):
        return difference
    return len(one) - len(two) or (-1 if left[at] < right[at] else 1)


_Dumper.add_representer(str, _string)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(int, _number)
_Dumper.add_representer(bool, _boolean)
_Dumper.add_representer(type(None), _null)
_Dumper.add_multi_representer(Decimal, _number)


def write_yaml(document: Any) -> str:
    """Return a JSON document as YAML."""
    text: str = yaml.dump(
        document,
        Dumper=_Dumper,
        default_flow_style=False,
        allow_unicode=True,
        width=_UNLIMITED_WIDTH,
        sort_keys=False,
    )
    return text.removesuffix("...\n")
