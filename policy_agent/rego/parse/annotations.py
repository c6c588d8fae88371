"""METADATA blocks: comments that hold YAML about what stands below them.

Pure. Follows OPA v1.22 v1/ast/parser.go (parseAnnotations).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from policy_agent.codec import decode_yaml
from policy_agent.errors import DocumentError, PolicyError, PolicyProblem
from policy_agent.rego import ast

_LINE = re.compile(r"line (\d+) column \d+: (.*)", re.DOTALL)
_TRUE: Final = frozenset({"y", "yes", "on"})
_FALSE: Final = frozenset({"n", "no", "off"})
_SHOWN_LENGTH: Final = 10
_TAGS: Final = {bool: "!!bool", int: "!!int", str: "!!str", list: "!!seq", dict: "!!map"}
_TYPES: Final = {
    **dict.fromkeys(("scope", "title", "description"), "string"),
    "entrypoint": "bool",
    "organizations": "[]string",
    **dict.fromkeys(("related_resources", "authors"), "[]interface {}"),
    "schemas": "[]map[string]interface {}",
    **dict.fromkeys(("compile", "custom", "labels"), "map[string]interface {}"),
}


class _AnnotationError(Exception):
    """A block cannot be used; the text is OPA's message."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_annotations(
    comments: Sequence[ast.Comment],
) -> tuple[tuple[ast.Annotations, ...], list[PolicyProblem]]:
    """Return the METADATA blocks among comments, and the problems of those that are malformed.

    The scope is "" where none is written, and the target is not known yet.
    """
    annotations: list[ast.Annotations] = []
    problems: list[PolicyProblem] = []
    for start, block in _blocks(comments):
        try:
            annotations.append(_annotation(start, block))
        except _AnnotationError as exc:
            location = start.location
            if exc.line is not None:
                location = block[min(exc.line, len(block) - 1)].location
            problems.append(PolicyProblem("rego_parse_error", str(exc), location))
    return tuple(annotations), problems


def _blocks(
    comments: Sequence[ast.Comment],
) -> Iterator[tuple[ast.Comment, list[ast.Comment]]]:
    """Yield each METADATA line with the comments right below it."""
    index = 0
    while index < len(comments):
        start = comments[index]
        index += 1
        if not _is_start(start):
            continue
        block: list[ast.Comment] = []
        row = start.location.row
        while index < len(comments):
            comment = comments[index]
            at = comment.location
            if at.col != 1 or at.row != row + 1 or _is_start(comment):
                break
            block.append(comment)
            row = at.row
            index += 1
        yield start, block


def _is_start(comment: ast.Comment) -> bool:
    return comment.location.col == 1 and comment.text.strip().startswith("METADATA")


def _annotation(start: ast.Comment, block: list[ast.Comment]) -> ast.Annotations:
    text = "".join(f"{comment.text.removeprefix(' ')}\n" for comment in block)
    if not text.strip():
        raise _AnnotationError("expected METADATA block, found whitespace")
    raw = _decode(text, block)
    fields: dict[str, Any] = {}
    for name, read in _READERS.items():
        value = raw.get(name)
        if value is not None:
            read_value = read(value)
            if read_value or name == "compile":
                fields[name] = read_value
    scope = fields.pop("scope", "")
    return ast.Annotations(scope, fields, location=start.location)


def _decode(text: str, block: Sequence[ast.Comment]) -> dict[str, Any]:
    try:
        raw = decode_yaml(text.encode("utf-8", "replace"))
    except DocumentError as exc:
        found = _LINE.match(str(exc))
        if found is None:
            raise _AnnotationError(f"yaml: {exc}" + _hints(block), 0) from exc
        line = int(found[1])
        message = f"yaml: line {line}: {found[2]}" + _hints(block)
        raise _AnnotationError(message, line) from exc
    if raw is None:
        return {}
    mistyped = list(_mistyped(raw, text))
    if mistyped:
        lines = "".join(f"\n  line {line}: {what}" for line, what in mistyped)
        message = f"yaml: unmarshal errors:{lines}{_hints(block)}"
        raise _AnnotationError(message, mistyped[0][0])
    return {str(name): value for name, value in raw.items()}


def _mistyped(raw: Any, text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the wording of each value of the wrong type."""
    if not isinstance(raw, dict):
        yield 1, f"cannot unmarshal {_shown(raw)} into ast.rawAnnotation"
        return
    for name, wanted in _TYPES.items():
        value = raw.get(name)
        if value is None or _fits(value, wanted):
            continue
        found = re.search(rf"^['\"]?{name}['\"]?\s*:\s*", text, re.MULTILINE)
        line = text.count("\n", 0, found.end() if found else 0) + 1
        yield line, f"cannot unmarshal {_shown(value)} into {wanted}"


def _fits(value: Any, wanted: str) -> bool:
    if wanted == "string":
        return not isinstance(value, list | dict)
    if wanted == "bool":
        return isinstance(value, bool) or str(value).lower() in _TRUE | _FALSE
    if wanted == "[]string":
        return isinstance(value, list) and not any(isinstance(v, list | dict) for v in value)
    if wanted == "[]map[string]interface {}":
        return isinstance(value, list) and all(isinstance(v, dict) for v in value)
    return isinstance(value, list if wanted.startswith("[]") else dict)


def _shown(value: Any) -> str:
    tag = _TAGS.get(type(value), "!!float")
    if isinstance(value, list | dict):
        return tag
    text = _scalar_text(value)
    return f"{tag} `{text if len(text) <= _SHOWN_LENGTH else f'{text[:7]}...'}`"


def _scalar_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _hints(block: Sequence[ast.Comment]) -> str:
    """Name the characters behind a colon that look like blank space to a person only."""
    hints = ""
    for comment in block:
        parts = comment.text.split(":")[1:]
        strange = []
        for index, part in enumerate(parts):
            if (not part and index == len(parts) - 1) or part[:1] in (" ", "\t"):
                break
            char = part[:1] or "\ufffd"
            quoted = char if char.isascii() else f"\\u{ord(char):04x}"
            strange.append(f"'{quoted}'")
        if strange:
            hints += (
                f"\n  Hint: on line {comment.location.row}, symbol(s) [{' '.join(strange)}] "
                "immediately following a key/value separator ':' "
                "is not a legal yaml space character"
            )
    return hints


def _read_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).lower() in _TRUE


def _read_strings(value: list[Any]) -> list[str]:
    return ["" if item is None else _scalar_text(item) for item in value]


def _read_authors(value: list[Any]) -> list[dict[str, str]]:
    return [_author(item) for item in value]


def _author(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        words = value.split()
        if not words:
            raise _invalid("author", value, "author is an empty string")
        email = ""
        if re.fullmatch(r"<.*>", words[-1], re.DOTALL):
            email = words.pop()[1:-1]
        author = {"name": " ".join(words)}
    elif isinstance(value, dict):
        author = {"name": _text_of(value, "name")}
        email = _text_of(value, "email")
        if not author["name"] and not email:
            raise _invalid("author", value, "'name' and/or 'email' values required in object")
    else:
        raise _invalid("author", value, "invalid value type, must be string or map")
    return {**author, "email": email} if email else author


def _read_related_resources(value: list[Any]) -> list[dict[str, str]]:
    return [_related_resource(item) for item in value]


def _related_resource(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        if not value:
            raise _invalid("related-resource", value, "ref URL may not be empty string")
        return {"ref": value}
    if not isinstance(value, dict):
        raise _invalid("related-resource", value, "invalid value type, must be string or map")
    reference, description = _text_of(value, "ref"), _text_of(value, "description")
    if not reference:
        raise _invalid("related-resource", value, "'ref' value required in object")
    return {"ref": reference, "description": description} if description else {"ref": reference}


def _text_of(value: dict[str, Any], name: str) -> str:
    text = value.get(name)
    return text.strip() if isinstance(text, str) else ""


def _invalid(what: str, value: Any, why: str) -> _AnnotationError:
    return _AnnotationError(f"invalid {what} definition {_go_text(value)}: {why}")


def _go_text(value: Any) -> str:
    """Return a value as Go's `%s` prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{_go_text(v)}' for k, v in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_go_text, value))}]"
    if isinstance(value, str):
        return value
    kind = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "float64"
    return f"%!s({kind}={_scalar_text(value)})"


def _read_schemas(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Check schema annotations, which stay `{path: reference or definition}` as written."""
    for pair in value:
        path, schema = next(iter(pair.items()), ("", None))
        if reference_of(path) is None:
            raise _AnnotationError("invalid document reference")
        if isinstance(schema, str):
            reference = reference_of(schema)
            if reference is None or reference.head != ast.Var("schema"):
                raise _AnnotationError("invalid schema reference")
        elif not isinstance(schema, dict):
            raise _AnnotationError(f'invalid schema declaration for path "{path}"')
    return value


def reference_of(text: str) -> ast.Ref | None:
    """Return the reference that an annotation's text is; None where it is none."""
    from policy_agent.rego.parse.module import parse_query  # it needs this module to read a file

    try:
        body = parse_query(text)
    except PolicyError:
        return None
    statement = body[0].statement if len(body) == 1 else None
    if statement == ast.Var("schema"):
        return ast.Ref(ast.Var("schema"), ())
    return statement if isinstance(statement, ast.Ref) else None


def _as_is(value: Any) -> Any:
    return value


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("scope", "title", "description"), _scalar_text),
    "entrypoint": _read_bool,
    "organizations": _read_strings,
    "related_resources": _read_related_resources,
    "authors": _read_authors,
    "schemas": _read_schemas,
    **dict.fromkeys(("compile", "custom", "labels"), _as_is),
}
