"""Replacing several strings at once, as Go's strings.Replacer does.

Pure. At each place the first pair that matches wins. The empty string matches between all *bytes*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policy_agent.rego.builtins.go_text import from_bytes, to_bytes
from policy_agent.rego.builtins.registry import check_size


def replace_pairs(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return a text with the first string of each pair replaced by the second."""
    if not pairs:
        return text
    if any(not old for old, _ in pairs):
        return _replace_bytes(text, pairs)
    substitutes = dict(reversed(pairs))
    pattern = "|".join(re.escape(old) for old, _ in pairs)
    size = 0

    def substitute(found: re.Match[str]) -> str:
        nonlocal size
        new = substitutes[found[0]]
        size += len(new)
        check_size(size)
        return new

    return re.sub(pattern, substitute, text)


def _replace_bytes(text: str, pairs: Sequence[tuple[str, str]]) -> str:
    raw = to_bytes(text)
    encoded = [(to_bytes(old), to_bytes(new)) for old, new in pairs]
    out = bytearray()
    at = 0
    after_empty = False
    while at <= len(raw):
        found = next(
            (
                pair
                for pair in encoded
                if (pair[0] or not after_empty) and raw.startswith(pair[0], at)
            ),
            None,
        )
        after_empty = found is not None and not found[0]
        if found is None:
            out += raw[at : at + 1]
            at += 1
        else:
            out += found[1]
            check_size(len(out))
            at += len(found[0])
    return from_bytes(bytes(out))
