"""Remove and replace what the mask policy names in an event (OPA v1.22 v1/plugins/logs/mask.go).

Pure. As in OPA: rules are strings (`"/input/password"`, meaning remove) or objects with `op`
(`remove`, `upsert`), `path` and `value`; paths begin with `/input`, `/result` or
`/nd_builtin_cache`; a path that does not exist is ignored; `erased` and `masked` list what was
done, with segments percent-escaped.

Beyond OPA, `pseudonym` replaces a value by a keyed token: the same for the same value, so that
entries can still be joined by it, and telling nothing of it to whoever lacks the key.

Deliberately unlike OPA:

* OPA escapes each segment before it looks it up, so a key with a space, `%` or a letter outside
  ASCII is never found and leaks. Here a segment finds the key spelled as it is, percent-escaped
  or percent-unescaped (`/input/a%2Fb` reaches the key `a/b`).
* OPA loses the whole event when one rule is bad or the policy fails. Here the caller logs it
  `withheld`: without input, result and built-in cache, each of them listed in `erased`, and with
  the reason under `custom.withheld`. Reasons never quote a rule: its text may come from the input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct

from policy_agent.audit_chain import ChainKey
from policy_agent.codec import encode_json
from policy_agent.errors import DecisionLogError
from policy_agent.model import UNDEFINED, JsonObject

MASKABLE = ("input", "result", "nd_builtin_cache")
_OPS = ("remove", "upsert", "pseudonym")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_INDEX = re.compile("[+-]?[0-9]{1,18}")  # what Go's strconv.Atoi reads
_MOST_SEGMENTS = 128  # two Python frames each; a rule's path can come from the input
_PATH_SEGMENT_SAFE = "$&+:=@"  # what Go's url.PathEscape leaves as it is, beside letters and digits

Spellings = tuple[str, ...]


class MaskPath(Struct, frozen=True):
    """Where a rule points.

    Attributes:
        part: `input`, `result` or `nd_builtin_cache`.
        keys: below the part, for each step the spellings a key may have; empty for the whole part.
        label: how `erased` and `masked` name it.
    """

    part: str
    keys: tuple[Spellings, ...]
    label: str


class Pseudonyms:
    """Makes the token of a value."""

    def __init__(self, secret: bytes) -> None:
        self._key = ChainKey(secret)

    def of(self, value: Any) -> str:
        """Return the token: HMAC-SHA256 over the value as JSON, so 1 and "1" have different ones.

        Raises:
            DecisionLogError: the value is not JSON.
        """
        try:
            return f"pseudonym-{self._key.tag(encode_json(value))}"
        except (TypeError, ValueError, RecursionError) as exc:
            raise DecisionLogError("a value to be replaced by its pseudonym is not JSON") from exc


class MaskRule(Struct, frozen=True):
    """One thing to do; `new_value` makes what replaces the old one, UNDEFINED to remove it."""

    op: str
    path: MaskPath
    new_value: Callable[[Any], Any]


def parse_rules(value: Any, pseudonyms: Pseudonyms | None = None) -> list[MaskRule]:
    """Read the value of the mask decision, in its order.

    Args:
        pseudonyms: None makes a rule that asks for one bad.

    Raises:
        DecisionLogError: not an array or set of rules, or one of them is bad.
    """
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if not isinstance(value, list | tuple):
        msg = "the mask decision is not an array or set"
        raise DecisionLogError(msg)
    return [_parse_rule(rule, number, pseudonyms) for number, rule in enumerate(value, start=1)]


def masked(event: JsonObject, rules: Sequence[MaskRule]) -> JsonObject:
    """Return the event with every rule applied; what it shares with the decision is not changed."""
    event = dict(event)
    for rule in rules:
        part = rule.path.part
        if part not in event:
            continue
        value = _edited(event[part], rule.path.keys, rule)
        if value is _NO_SUCH_PATH:
            continue
        if value is UNDEFINED:
            del event[part]
        else:
            event[part] = value
        done = "erased" if rule.op == "remove" else "masked"
        event[done] = [*event.get(done, ()), rule.path.label]
    return event


def withheld(event: JsonObject, reason: str, *, parts: Sequence[str] = MASKABLE) -> JsonObject:
    """Return the event without the parts that might hold secrets, and say so in it."""
    kept = {name: value for name, value in event.items() if name not in parts}
    if erased := [f"/{part}" for part in parts if part in event]:
        kept["erased"] = erased
    kept["custom"] = {**event.get("custom", {}), "withheld": reason}
    return kept


def _parse_rule(rule: Any, number: int, pseudonyms: Pseudonyms | None) -> MaskRule:
    if isinstance(rule, str):
        rule = {"op": "remove", "path": rule}
    if not isinstance(rule, dict):
        raise _bad_rule(number, "is neither a string nor an object")
    op, path = rule.get("op"), rule.get("path")
    if op not in _OPS:
        raise _bad_rule(number, f"has an op other than {', '.join(_OPS)}")
    if op == "pseudonym" and pseudonyms is None:
        raise _bad_rule(number, "asks for a pseudonym, and decision_logs.pseudonym_key is not set")
    if not isinstance(path, str) or not path.startswith("/"):
        raise _bad_rule(number, "has no path with a leading slash")
    parsed = _parse_path(path)
    if isinstance(parsed, str):
        raise _bad_rule(number, parsed)
    return MaskRule(op, parsed, _new_value(op, rule, pseudonyms))


def _new_value(op: str, rule: JsonObject, pseudonyms: Pseudonyms | None) -> Callable[[Any], Any]:
    if op == "pseudonym" and pseudonyms is not None:
        return pseudonyms.of
    value = UNDEFINED if op == "remove" else rule.get("value")
    return lambda _: value


def _bad_rule(number: int, fault: str) -> DecisionLogError:
    return DecisionLogError(f"mask rule {number} {fault}")


# Policies name the same few paths for every decision, and escaping costs 3 us a segment.
@lru_cache(maxsize=1024)
def _parse_path(path: str) -> MaskPath | str:
    part, *segments = path[1:].split("/")
    if part not in MASKABLE:
        return f"has a path that is not under {', '.join(f'/{part}' for part in MASKABLE)}"
    if _BAD_ESCAPE.search(path):
        return "has a path with a bad percent escape"
    if len(segments) > _MOST_SEGMENTS:
        return f"has a path of more than {_MOST_SEGMENTS} segments"
    escaped = [quote(segment, safe=_PATH_SEGMENT_SAFE) for segment in segments]
    keys = tuple(
        tuple(dict.fromkeys((segment, escape, unquote(segment))))
        for segment, escape in zip(segments, escaped, strict=True)
    )
    return MaskPath(part, keys, "/" + "/".join([part, *escaped]))


_NO_SUCH_PATH = object()


def _edited(node: Any, keys: Sequence[Spellings], rule: MaskRule) -> Any:
    """Return a copy of `node` with the rule applied, UNDEFINED when `node` itself is removed."""
    if not keys:
        return rule.new_value(node)
    if isinstance(node, dict):
        return _edited_object(node, keys, rule)
    if isinstance(node, list | tuple):
        return _edited_array(node, keys, rule)
    return _NO_SUCH_PATH


def _edited_object(node: JsonObject, keys: Sequence[Spellings], rule: MaskRule) -> Any:
    spellings, rest = keys[0], keys[1:]
    names = [name for name in spellings if name in node]
    if not names and rule.op == "upsert":
        names = [spellings[0]]
    copy = dict(node)
    found = False
    for name in names:
        value = _edited(node.get(name, {}), rest, rule)
        if value is _NO_SUCH_PATH:
            continue
        found = True
        if value is UNDEFINED:
            del copy[name]
        else:
            copy[name] = value
    return copy if found else _NO_SUCH_PATH


def _edited_array(node: Sequence[Any], keys: Sequence[Spellings], rule: MaskRule) -> Any:
    text = keys[0][0]
    if not _INDEX.fullmatch(text) or not 0 <= (index := int(text)) < len(node):
        return _NO_SUCH_PATH
    value = _edited(node[index], keys[1:], rule)
    if value is _NO_SUCH_PATH:
        return value
    replacement = [] if value is UNDEFINED else [value]
    return [*node[:index], *replacement, *node[index + 1 :]]
