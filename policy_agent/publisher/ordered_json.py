"""Print JSON objects with their members in OPA's order, which is not that of the alphabet.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from policy_agent import codec


def in_order(members: Mapping[str, Any]) -> msgspec.Raw:
    """Return an object whose own members keep their order; those of its values are sorted."""
    parts = [
        codec.encode_json(name) + b":" + codec.encode_json(value) for name, value in members.items()
    ]
    return msgspec.Raw(b"{" + b",".join(parts) + b"}")


def indented(document: Any) -> str:
    """Return a JSON document as OPA's commands print it."""
    return codec.indent_json(codec.encode_json(document)).decode() + "\n"
