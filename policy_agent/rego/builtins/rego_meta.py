"""OPA's `rego` built-ins, and the one that marks a test case.

`rego.metadata.*` is replaced when a rule is compiled; what is left of it stands outside any rule.

Source: OPA v1.22 v1/topdown/parse.go and test.go.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from policy_agent.codec import decode_json, encode_json
from policy_agent.errors import PolicyError
from policy_agent.rego.builtins.operands import need_string
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.values import Value


def _parse_module(file: Value, source: Value) -> Value:
    # The parser is not needed to run a plan, so only this function brings it in.
    from policy_agent.rego.ast_json import module_to_json
    from policy_agent.rego.parse.module import parse_module

    # OPA numbers both operands 1.
    file, source = need_string(file, 1), need_string(source, 1)
    try:
        module = parse_module(file, source)
    except PolicyError as exc:
        raise BuiltinError(_summary(exc)) from exc
    return decode_json(encode_json(module_to_json(module)))


def _summary(error: PolicyError) -> str:
    """Return OPA's text for a list of errors."""
    lines = [str(problem) for problem in error.problems]
    if len(lines) == 1:
        return f"1 error occurred: {lines[0]}"
    return f"{len(lines)} errors occurred:\n" + "\n".join(lines)


def _outside_a_rule(name: str) -> Value:
    raise BuiltinError(f"the {name} function must only be called within the scope of a rule")


def _test_case(_value: Value) -> Value:
    return True


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("internal.test_case", _test_case),
        Builtin("rego.parse_module", _parse_module),
        *(
            Builtin(name, partial(_outside_a_rule, name))
            for name in ("rego.metadata.chain", "rego.metadata.rule")
        ),
    )
}
