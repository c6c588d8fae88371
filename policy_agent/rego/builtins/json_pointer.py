"""Paths into documents as operands.

Pure. Semantics of OPA v1.22 v1/topdown/json.go.
"""

from __future__ import annotations

from policy_agent.rego.builtins.registry import operand_error
from policy_agent.rego.values import Value, type_name


def parse_path(path: Value) -> list[Value]:
    """Return the steps of a JSON pointer, whose slash at the start is optional, or of an array.

    Raises:
        BuiltinError: it is neither a string nor an array.
    """
    if type(path) is list:
        return path
    if type(path) is str:
        if not path:
            return []
        steps = path.lstrip("/").split("/")
        return [step.replace("~1", "/").replace("~0", "~") for step in steps]
    problem = "must be one of {set, array} containing string paths or array of path segments"
    raise operand_error(2, f"{problem} but got {type_name(path)}")
