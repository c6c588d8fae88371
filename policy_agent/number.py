"""Numbers that are not integers: exact, and written back as they were read.

Pure. JSON integers are `int`; every other number is a `Number`, which keeps the digits of its text,
as OPA does (`1.0`, `1e3` and `1.10` are echoed unchanged).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Self

_MAX_BINARY_EXPONENT: Final = 100_000  # OPA v1.22 v1/ast/term.go
_LOG2_OF_10: Final = 3.3219280948873626


class Number(Decimal):
    """An exact decimal with the text it was read from; equal to an `int` of the same value."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> Self:
        """Read a JSON number.

        Raises:
            decimal.InvalidOperation: the text is not a number.
        """
        self = super().__new__(cls, text)
        self.text = text
        return self


def is_too_big(number: Decimal) -> bool:
    """Return whether OPA's numbers cannot hold one, for its exponent."""
    return bool(number) and abs(number.adjusted() * _LOG2_OF_10) > _MAX_BINARY_EXPONENT
