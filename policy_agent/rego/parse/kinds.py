"""The kinds of tokens, and what OPA calls them in its messages.

Pure. Operators and keywords are their own kind; the names are OPA v1.22 v1/ast/internal/tokens.
"""

from __future__ import annotations

from typing import Final

WORD: Final = "word"
IDENT: Final = "identifier"
NUMBER: Final = "number"
STRING: Final = "string"
EOF: Final = "eof"
ILLEGAL: Final = "illegal"
WHITESPACE: Final = "whitespace"
TEMPLATE_PART: Final = "template-string-part"
TEMPLATE_END: Final = "template-string-end"
RAW_TEMPLATE_PART: Final = "raw-template-string-part"
RAW_TEMPLATE_END: Final = "raw-template-string-end"

TEMPLATES: Final = frozenset({TEMPLATE_PART, TEMPLATE_END, RAW_TEMPLATE_PART, RAW_TEMPLATE_END})

OPERATOR_NAMES: Final = {
    "+": "plus",
    "-": "minus",
    "*": "mul",
    "/": "div",
    "%": "rem",
    "&": "and",
    "|": "or",
    "=": "eq",
    "==": "equal",
    ":=": "assign",
    "!=": "neq",
    ">": "gt",
    "<": "lt",
    ">=": "gte",
    "<=": "lte",
}
"""What an operator is called in messages, which is also the name of its built-in."""

CORE_KEYWORDS: Final = frozenset(
    {
        *("package", "import", "as", "default", "else", "not", "some", "with"),
        *("null", "true", "false"),
    }
)
V0_FUTURE_KEYWORDS: Final = frozenset({"in", "every", "contains", "if"})
V1_FUTURE_KEYWORDS: Final = frozenset({"not", "and", "or"})
FUTURE_KEYWORDS: Final = V0_FUTURE_KEYWORDS | V1_FUTURE_KEYWORDS
V1_KEYWORDS: Final = CORE_KEYWORDS | V0_FUTURE_KEYWORDS


def name_of(kind: str) -> str:
    """Return OPA's name of a kind."""
    return OPERATOR_NAMES.get(kind, kind)


def is_keyword(kind: str) -> bool:
    """Return whether messages call a token of this kind a keyword."""
    return kind in CORE_KEYWORDS or kind in FUTURE_KEYWORDS
