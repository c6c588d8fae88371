"""Go's fmt.Sprintf for the operands that Rego can give it: strings, integers and doubles.

Pure. An operand that does not suit its verb is told in the text, as in Go: `%!d(string=x)`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from policy_agent.rego.builtins.big_float import double_text
from policy_agent.rego.builtins.go_text import quote, to_bytes
from policy_agent.rego.builtins.registry import check_size

Operand = str | int | float

_INT64: Final = 1 << 63
_MAX_SIZE: Final = 1_000_000
_BASES: Final = {"b": "b", "d": "d", "o": "o", "O": "o", "x": "x", "X": "X", "v": "d", "s": "d"}
_PREFIXES: Final = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}
_SPECIFIER: Final = re.compile(r"([#0+\- ]*)", re.DOTALL)
_INDEX: Final = re.compile(r"\[(\d+)\]", re.ASCII)
_DOUBLE_BITS: Final = 1 << 53
_DIGITS: Final = re.compile(r"\d*", re.ASCII)


class _Directive(Struct):
    """What stands between `%` and the verb.

    Attributes:
        flags: of `#0+- `.
        width: None when absent.
        precision: None when absent.
        go_syntax: whether the verb is `%#v`.
    """

    flags: str = ""
    width: int | None = None
    precision: int | None = None
    go_syntax: bool = False

    def has(self, flag: str) -> bool:
        return flag in self.flags

    def pad(self, text: str) -> str:
        width = self.width or 0
        if self.has("-"):
            return text.ljust(width)
        return text.rjust(width, "0" if self.has("0") else " ")

    def pad_with_spaces(self, text: str) -> str:
        width = self.width or 0
        return text.ljust(width) if self.has("-") else text.rjust(width)


def go_type(operand: Operand) -> str:
    """Return the Go type that OPA gives an operand."""
    if isinstance(operand, str):
        return "string"
    if isinstance(operand, float):
        return "float64"
    return "int64" if -_INT64 <= operand < _INT64 else "*big.Int"


def _wrong(directive: _Directive, verb: str, operand: Operand) -> str:
    kind = go_type(operand)
    if kind == "*big.Int":
        return f"%!{verb}(big.Int={operand})"
    return f"%!{verb}({kind}={_format(directive, 'v', operand)})"


def _format(directive: _Directive, verb: str, operand: Operand) -> str:
    if verb == "T":
        return _string(directive, "s", go_type(operand))
    if verb == "p":
        return f"%!p({go_type(operand)}={_format(directive, 'v', operand)})"
    if isinstance(operand, str):
        return _string(directive, verb, operand)
    if isinstance(operand, float):
        return _float(directive, verb, operand)
    if go_type(operand) == "int64":
        return _int64(directive, verb, operand)
    return (
        _integer(directive, verb, operand) if verb in _BASES else _wrong(directive, verb, operand)
    )


def _string(directive: _Directive, verb: str, text: str) -> str:
    if verb in "xX":
        return _hex(directive, verb, text)
    if verb not in "vsq":
        return _wrong(directive, verb, text)
    if directive.precision is not None:
        text = text[: directive.precision]
    if verb == "q" or directive.go_syntax:
        plain = "`" not in text and all(char == "\t" or char.isprintable() for char in text)
        if directive.has("#") and plain:
            text = f"`{text}`"
        else:
            text = quote(text, ascii_only=directive.has("+"))
    return directive.pad(text)


def _hex(directive: _Directive, verb: str, text: str) -> str:
    raw = to_bytes(text)[: directive.precision]
    prefix = f"0{verb}" if directive.has("#") and raw else ""
    if directive.has(" "):
        digits = " ".join(f"{prefix}{byte:02x}" for byte in raw)
    else:
        digits = prefix + raw.hex()
    return directive.pad(digits.upper() if verb == "X" else digits)


def _int64(directive: _Directive, verb: str, number: int) -> str:
    if verb == "c":
        return directive.pad(_character(number))
    if verb == "q":
        char = _character(number)
        quoted = quote(char, ascii_only=directive.has("+"))[1:-1]
        quoted = {"'": "\\'", '\\"': '"'}.get(quoted, quoted)
        return directive.pad(f"'{quoted}'")
    if verb == "U":
        size = number % (1 << 64)
        text = f"U+{size:0{max(4, directive.precision or 0)}X}"
        if directive.has("#") and size <= 0x10FFFF and chr(size).isprintable():
            text += f" '{chr(size)}'"
        return directive.pad_with_spaces(text)
    if verb in _BASES and verb != "s":
        return _integer(directive, verb, number)
    return _wrong(directive, verb, number)


def _character(number: int) -> str:
    valid = 0 <= number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if valid else "\ufffd"


def _integer(directive: _Directive, verb: str, number: int) -> str:
    digits = format(abs(number), _BASES[verb])
    sign = "-" if number < 0 else "+" if directive.has("+") else ""
    if not sign and directive.has(" "):
        sign = " "
    prefix = _PREFIXES.get(verb, "") if directive.has("#") else ""
    if verb == "O":
        zero = "0" if directive.has("#") and number and go_type(number) == "int64" else ""
        prefix = f"0o{zero}"
    if directive.precision is not None:
        if not directive.precision and not number:
            return " " * (directive.width or 0)
        digits = digits.zfill(directive.precision)
    elif directive.has("0") and not directive.has("-") and directive.width:
        digits = digits.zfill(directive.width - len(sign))
    if prefix == "0" and digits.startswith("0"):
        prefix = ""
    return directive.pad_with_spaces(f"{sign}{prefix}{digits}")


def _float(directive: _Directive, verb: str, number: float) -> str:
    if verb not in "vgGeEfFxXb":
        return _wrong(directive, verb, number)
    size = abs(number)
    if verb in "vgG":
        text = _shortest(size, directive)
    elif verb in "xXb":
        text = _binary(size, verb, directive)
    else:
        text = _fixed(size, verb, directive)
    if directive.has("#") and verb != "b":
        text = _with_point(text, verb, directive)
    text = text.upper() if verb in "GX" else text
    sign = "-" if str(number).startswith("-") else "+" if directive.has("+") else ""
    if not sign and directive.has(" "):
        sign = " "
    if directive.has("0") and not directive.has("-") and directive.width:
        text = text.zfill(directive.width - len(sign))
    return directive.pad_with_spaces(sign + text)


def _shortest(size: float, directive: _Directive) -> str:
    if directive.precision is None:
        return double_text(size)
    return f"{size:.{directive.precision or 1}g}"


def _binary(size: float, verb: str, directive: _Directive) -> str:
    mantissa, power = math.frexp(size)
    if verb == "b":
        return f"{int(mantissa * _DOUBLE_BITS)}p{power - 53:+d}" if size else "0p-1074"
    if directive.precision is not None:
        size = float(round(mantissa * 2 * 16**directive.precision)) / 16**directive.precision
        shift = math.frexp(size)[1] - 1
        digits = f"{round(size / 2**shift * 16**directive.precision):x}"
        fraction, exponent = digits[1:], power - 1 + shift
        leading = digits[0]
    else:
        leading, _, rest = size.hex().removeprefix("0x").partition(".")
        fraction, _, exponent_text = rest.partition("p")
        fraction, exponent = fraction.rstrip("0"), int(exponent_text)
    point = f".{fraction}" if fraction else ""
    return f"0x{leading}{point}p{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def _with_point(text: str, verb: str, directive: _Directive) -> str:
    """Return a number with a decimal point and, in `%g`, with all its digits (flag `#`)."""
    mantissa, mark, exponent = text.partition("p" if verb in "xX" else "E" if verb == "E" else "e")
    digits = 0
    if verb in "vgGx":
        wanted = 6 if directive.precision is None else directive.precision
        # Go takes the `x` of `0x` for a digit.
        significant = mantissa.replace(".", "").lstrip("0")
        digits = wanted - len(significant) - (mantissa == "0")
    point = "" if "." in mantissa else "."
    return f"{mantissa}{point}{'0' * max(digits, 0)}{mark}{exponent}"


def _fixed(size: float, verb: str, directive: _Directive) -> str:
    precision = 6 if directive.precision is None else directive.precision
    return f"{size:.{precision}{'f' if verb == 'F' else verb}}"


class _Printer:
    """One pass over a format."""

    def __init__(self, text: str, operands: Sequence[Operand]) -> None:
        self.text = text
        self.operands = operands
        self.at = 0
        self.number = 0
        self.reordered = False
        self.good_index = True
        self.after_index = False
        self.out: list[str] = []

    def run(self) -> str:
        """Return the formatted text."""
        size = shown = 0
        while self.at < len(self.text):
            size += sum(map(len, self.out[shown:]))
            shown = len(self.out)
            check_size(size)
            percent = self.text.find("%", self.at)
            stop = len(self.text) if percent < 0 else percent
            self.out.append(self.text[self.at : stop])
            self.at = stop + 1
            if percent >= 0:
                self._directive()
        self._extra()
        return "".join(self.out)

    def _extra(self) -> None:
        rest = self.operands[self.number :]
        if rest and not self.reordered:
            shown = (f"{go_type(item)}={_format(_Directive(), 'v', item)}" for item in rest)
            self.out.append(f"%!(EXTRA {', '.join(shown)})")

    def _directive(self) -> None:
        flags = _SPECIFIER.match(self.text, self.at)
        assert flags is not None
        self.at = flags.end()
        directive = _Directive(flags[1])
        self.good_index, self.after_index = True, False
        self._index()
        self._width(directive)
        if self.text.startswith(".", self.at) and self.at + 1 < len(self.text):
            self._precision(directive)
        if not self.after_index:
            self._index()
        if self.at >= len(self.text):
            self.out.append("%!(NOVERB)")
            return
        verb = self.text[self.at]
        self.at += 1
        self.out.append(self._verb(directive, verb))

    def _verb(self, directive: _Directive, verb: str) -> str:
        if verb == "%":
            return "%"
        if not self.good_index:
            return f"%!{verb}(BADINDEX)"
        if self.number >= len(self.operands):
            return f"%!{verb}(MISSING)"
        operand = self.operands[self.number]
        self.number += 1
        if verb in "vw":
            directive.go_syntax = directive.has("#")
            # Only big integers look at `+` here, and at `#` never in base 10.
            unused = "#" if go_type(operand) == "*big.Int" else "#+"
            directive.flags = directive.flags.translate(dict.fromkeys(map(ord, unused)))
        return _format(directive, verb, operand)

    def _index(self) -> None:
        self.after_index = False
        if not self.text.startswith("[", self.at):
            return
        self.reordered = True
        found = _INDEX.match(self.text, self.at)
        if found:
            self.after_index = True
            self.at = found.end()
            if 0 < int(found[1]) <= len(self.operands):
                self.number = int(found[1]) - 1
                return
        else:
            close = self.text.find("]", self.at)
            self.at = close + 1 if close > 0 else self.at + 1
        self.good_index = False

    def _star(self, problem: str) -> int | None:
        """Return the operand that a `*` takes, None after saying that it is no small integer."""
        self.at += 1
        value: Operand | None = None
        if self.number < len(self.operands):
            value = self.operands[self.number]
            self.number += 1
        self.after_index = False
        if isinstance(value, int) and abs(value) <= _MAX_SIZE:
            return value
        self.out.append(problem)
        return None

    def _width(self, directive: _Directive) -> None:
        if self.text.startswith("*", self.at):
            width = self._star("%!(BADWIDTH)")
            if width is not None and width < 0:
                directive.flags = directive.flags.replace("0", "") + "-"
                width = -width
            directive.width = width
            return
        directive.width = self._digits()
        if self.after_index and directive.width is not None:
            self.good_index = False

    def _digits(self) -> int | None:
        found = _DIGITS.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        if not found[0] or len(found[0]) > len(str(_MAX_SIZE)) or int(found[0]) > _MAX_SIZE:
            return None
        return int(found[0])

    def _precision(self, directive: _Directive) -> None:
        self.at += 1
        if self.after_index:
            self.good_index = False
        self._index()
        if self.text.startswith("*", self.at):
            precision = self._star("%!(BADPREC)")
            if precision is not None and precision < 0:
                precision = None
                self.out.append("%!(BADPREC)")
            directive.precision = precision
            return
        directive.precision = self._digits() or 0


def sprintf(text: str, operands: Sequence[Operand]) -> str:
    """Return a format with its directives replaced by the operands."""
    return _Printer(text, operands).run()
