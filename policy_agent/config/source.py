"""Find the configuration document: a file, `POLICY_AGENT_CONFIG`, or one packaged beside the code.

`${NAME}` is substituted in the text before it is parsed and `--set` values are merged over it, as
OPA does (internal/config, v1.22). The only reader of the environment besides the bootstrap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from policy_agent.codec import decode_document
from policy_agent.errors import ConfigError, DocumentError

CONFIG_VARIABLE = "POLICY_AGENT_CONFIG"
PACKAGED_NAMES = ("policy-agent.yaml", "policy-agent.yml", "policy-agent.json")

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SET_SEPARATOR = re.compile(r"(?<!\\),")
_KEY_SEPARATOR = re.compile(r"(?<!\\)\.")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")


def read_document(
    environ: Mapping[str, str], file: str | None = None, sets: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the configuration as one JSON object; {} when there is none.

    Args:
        environ: for `${NAME}`, `POLICY_AGENT_CONFIG` (a path, or the document itself) and
            `LAMBDA_TASK_ROOT`.
        file: the path given with `-c`; it wins over the environment.
        sets: `a.b=value,c=value` strings as given with `--set`.

    Raises:
        ConfigError: the file cannot be read or is not a JSON or YAML object, or a `--set` is not
            of the form `key=value`.
    """
    name, text = _find(environ, file)
    document = _parse(name, substitute(text, environ)) if text is not None else {}
    for assignment in sets:
        _merge(document, _parse_set(substitute(assignment, environ)))
    return document


def _parse(name: str, text: str) -> dict[str, Any]:
    try:
        document = decode_document(text.encode())
    except DocumentError as exc:
        raise ConfigError([f"{name}: {exc}"]) from exc
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError([f"{name}: must be an object of settings"])
    return document


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace `${NAME}`; a name that is not set stays as it is."""
    return _VARIABLE.sub(lambda match: environ.get(match[1], match[0]), text)


def _find(environ: Mapping[str, str], file: str | None) -> tuple[str, str | None]:
    if file is not None:
        return file, _read(Path(file))
    inline = environ.get(CONFIG_VARIABLE, "")
    if inline.lstrip().startswith("{") or "\n" in inline:
        return CONFIG_VARIABLE, inline
    if inline:
        return inline, _read(Path(inline))
    # Lambda hides LAMBDA_TASK_ROOT from extensions; the function's code is always there.
    root = Path(environ.get("LAMBDA_TASK_ROOT", "/var/task"))
    for name in PACKAGED_NAMES:
        if (root / name).is_file():
            return str(root / name), _read(root / name)
    return "", None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
        raise ConfigError([f"{path}: cannot be read: {reason}"]) from exc


def _parse_set(text: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for assignment in _SET_SEPARATOR.split(text):
        keys, equals, value = assignment.partition("=")
        path = [key.replace("\\.", ".") for key in _KEY_SEPARATOR.split(keys)]
        if not equals or not all(path):
            raise ConfigError([f"--set {keys}: must have the form key=value"])
        leaf: Any = _scalar(value.replace("\\,", ","))
        for key in reversed(path):
            leaf = {key: leaf}
        _merge(result, leaf)
    return result


def _scalar(text: str) -> Any:
    if _INTEGER.match(text):
        return int(text)
    return {"true": True, "false": False, "null": None}.get(text, text)


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        present = target.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            _merge(present, value)
        else:
            target[key] = value
