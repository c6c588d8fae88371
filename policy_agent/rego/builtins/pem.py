"""PEM blocks as Go finds them in a text.

Pure. Source: Go encoding/pem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from policy_agent.rego.builtins.go_base64 import Base64Error, decode_standard

_BLOCK: Final = re.compile(
    r"(?:^|(?<=\n))-----BEGIN ([^\n]*?)-----[ \t\r]*\n"
    r"((?:[^\n:]+:[^\n]*\n)*)\n?([^-:]*?)-----END \1-----[ \t\r]*(?:\n|$)"
)


class Block(Struct, frozen=True):
    """One block.

    Attributes:
        kind: what its first line calls it, such as `CERTIFICATE`.
        end: where the text after it begins.
    """

    kind: str
    der: bytes
    end: int


def blocks(text: str) -> Iterator[Block]:
    """Yield a text's PEM blocks; what is no block is passed over."""
    for match in _BLOCK.finditer(text):
        try:
            der = decode_standard(re.sub(r"[ \t\r\n]", "", match.group(3)))
        except Base64Error:
            continue
        yield Block(match.group(1), der, match.end())
