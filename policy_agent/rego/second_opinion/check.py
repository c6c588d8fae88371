"""Refuse what regopy would take without complaint and with another meaning than OPA's.

Pure. Refused are bodies and sets in Rego v0 form, calls of unknown functions and calls with a
wrong number of arguments. Codes and messages are those of OPA v1.22 (v1/ast/{parser,check}.go).
What is not checked, because it takes a compiler: unsafe variables, recursion and types.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego.second_opinion.outline import (
    Call,
    Outline,
    outline_module,
    outline_query,
)

Path = tuple[str, ...]

# What regopy evaluates without listing it as a built-in; `set()` is the empty set.
_UNLISTED_BUILTINS = frozenset({"print", "set"})


@dataclass(frozen=True, slots=True)
class Definitions:
    """What a set of modules defines, by path below `data`.

    Attributes:
        rules: the rules that are no functions.
        functions: with the numbers of arguments each is defined with.
    """

    rules: frozenset[Path]
    functions: Mapping[Path, frozenset[int]]

    def is_function(self, path: Iterable[str | int]) -> bool:
        """Return whether the path leads to a function or below one, where no value can be."""
        segments = tuple(path)
        return any(segments[:end] in self.functions for end in range(1, len(segments) + 1))


def check_modules(modules: Mapping[str, str]) -> tuple[Definitions, list[Call]]:
    """Check modules that are compiled together.

    Returns:
        What they define, and the calls that only a built-in can answer.

    Raises:
        PolicyError: every problem found, in file order.
    """
    outlines: list[Outline] = []
    problems: list[PolicyProblem] = []
    for file, source in sorted(modules.items()):
        try:
            outline = outline_module(file, source)
        except PolicyError as exc:
            problems += exc.problems
        else:
            problems += outline.problems
            outlines.append(outline)
    if problems:
        # Without the definitions of these modules, calls in the others would be blamed wrongly.
        raise PolicyError(problems)
    definitions = _define(outlines)
    builtin_calls: list[Call] = []
    for outline in outlines:
        calls, wrong_calls = _check_calls(outline, definitions)
        builtin_calls += calls
        problems += wrong_calls
    if problems:
        raise PolicyError(problems)
    return definitions, builtin_calls


def check_query(text: str, definitions: Definitions) -> list[Call]:
    """Check a query against the modules it will run with; return its calls of built-ins.

    Raises:
        PolicyError: a token, a bracket or a call is wrong.
    """
    builtin_calls, problems = _check_calls(outline_query(text), definitions)
    if problems:
        raise PolicyError(problems)
    return builtin_calls


def builtin_name(call: Call) -> str:
    """Return a built-in's name as engines list it: `json.marshal`."""
    return ".".join(call.name or ())


def refuse_unknown(calls: Iterable[Call], unknown: Collection[str]) -> None:
    """Refuse the calls of built-ins that the engine does not know.

    Raises:
        PolicyError: one problem for each such call.
    """
    problems = [_undefined(call) for call in calls if builtin_name(call) in unknown]
    if problems:
        raise PolicyError(problems)


def _define(outlines: Iterable[Outline]) -> Definitions:
    rules: set[Path] = set()
    functions: dict[Path, frozenset[int]] = {}
    for rule in (rule for outline in outlines for rule in outline.rules):
        if rule.arity is None:
            rules.add(rule.path)
        else:
            functions[rule.path] = functions.get(rule.path, frozenset()) | {rule.arity}
    return Definitions(frozenset(rules), functions)


def _check_calls(
    outline: Outline, definitions: Definitions
) -> tuple[list[Call], list[PolicyProblem]]:
    problems: list[PolicyProblem] = []
    builtin_calls: list[Call] = []
    for call in outline.calls:
        path = _definition_of(call, outline.package, definitions)
        if path is not None:
            problems += _check_arguments(call, path, definitions)
        elif call.name is None or call.name[0] == "data":
            problems.append(_undefined(call))
        elif builtin_name(call) not in _UNLISTED_BUILTINS:
            builtin_calls.append(call)
    return builtin_calls, problems


def _definition_of(call: Call, package: Path, definitions: Definitions) -> Path | None:
    if call.name is None:
        return None
    path = call.name[1:] if call.name[0] == "data" else (*package, *call.name)
    is_defined = path in definitions.functions or path in definitions.rules
    return path if is_defined else None


def _check_arguments(call: Call, path: Path, definitions: Definitions) -> list[PolicyProblem]:
    arities = definitions.functions.get(path, frozenset({0}))
    # A statement may name one argument more, which takes the value: f(1, y).
    given = (
        {call.argument_count} if call.is_term else {call.argument_count, call.argument_count - 1}
    )
    if given & arities and path in definitions.functions:
        return []
    plural = "" if call.argument_count == 1 else "s"
    message = (
        f"function data.{'.'.join(path)} has arity {min(arities)}, "
        f"got {call.argument_count} argument{plural}"
    )
    return [PolicyProblem("rego_type_error", message, call.location)]


def _undefined(call: Call) -> PolicyProblem:
    return PolicyProblem("rego_type_error", f"undefined function {call.text}", call.location)
