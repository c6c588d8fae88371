"""Format modules, and refuse what would come out as something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from msgspec.structs import replace

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.functions import deprecated_problems
from policy_agent.rego.check.problems import in_order
from policy_agent.rego.check.sources import source_problems
from policy_agent.rego.compile.nodes import call_name, descend
from policy_agent.rego.format.essence import essence
from policy_agent.rego.format.imports import (
    ADDED,
    ImportWriter,
    future_keyword,
    is_future,
    is_rego_v1,
    is_rego_v2,
    with_keywords,
    with_rego_v1,
)
from policy_agent.rego.format.layout import Layout, comment_text
from policy_agent.rego.format.rules import RuleWriter, Syntax
from policy_agent.rego.format.written import Written
from policy_agent.rego.lexer import KEYWORDS
from policy_agent.rego.parse import parse_module

_FORMAT_ERROR = "format_error"
# Keywords that must be imported, by the Rego that is written.
_V1_WORDS = ("and", "not", "or")
_V0_WORDS = (*_V1_WORDS, "every", "in")
_KEYWORD_OF = {
    ast.Every: "every",
    ast.LogicalNot: "not",
    ast.LogicalAnd: "and",
    ast.LogicalOr: "or",
}


class Target(Enum):
    """The Rego that is read, and the one that is written."""

    V1 = "v1"
    V0 = "v0"
    V0_V1 = "v0 as both"
    V1_V0 = "v1 as both"

    @property
    def reads_v0(self) -> bool:
        """Return whether what is read is v0."""
        return self in (Target.V0, Target.V0_V1)

    @property
    def is_both(self) -> bool:
        """Return whether what is written is both."""
        return self in (Target.V0_V1, Target.V1_V0)


@dataclass(frozen=True, slots=True)
class Options:
    """How to format.

    Attributes:
        drops_imports: leave out the imports that Rego v1 does not need.
        checks: parse the result again, and refuse it if it is not what was read.
    """

    target: Target = Target.V1
    drops_imports: bool = False
    checks: bool = True


def format_module(file: str, source: str, options: Options) -> str:
    """Return a module as `opa fmt` writes it.

    Raises:
        PolicyError: it cannot be parsed, or would not be the same afterwards.
    """
    module = parse_module(file, source, v0=options.target.reads_v0)
    if options.target is not Target.V0:
        _check_v1(module)
    try:
        formatted = _formatted(module, Written(file, source), options)
    except (KeyError, IndexError, RecursionError) as exc:
        message = "cannot be formatted: it is written in a way that the formatter does not know"
        raise _refusal(module, message) from exc
    if options.checks:
        _check(module, formatted, options)
    return formatted


def _check_v1(module: ast.Module) -> None:
    """Refuse what no formatting makes Rego v1."""
    as_v1 = replace(module, rego_version=max(module.rego_version, 1))
    nodes = descend(module.rules)
    problems = [*source_problems([as_v1]), *deprecated_problems(nodes)]
    if problems:
        raise PolicyError(in_order(problems))


def _formatted(module: ast.Module, written: Written, options: Options) -> str:
    comments = sorted(module.comments, key=lambda each: (each.location.row, each.location.col))
    out = Layout([replace(each, text=each.text.rstrip()) for each in comments])
    imports = _imports(module, options)
    rules = RuleWriter(out, written, _syntax(module, options), _keywords(module))
    out.insert_comments(module.location.row)
    out.start_line()
    first, *rest = module.package
    out.write(f"package {first}")
    for index, name in enumerate(rest, 1):
        out.write(rules.segment_text(name, is_quoted=written.is_in_quotes(index)))
    out.blank_line()
    writer = ImportWriter(out, rules)
    first_rule = min((rule.location.row for rule in module.rules), default=0)
    added = [each for each in imports if each.location.file == ADDED]
    if first_rule and any(each.location.row >= first_rule for each in added):
        writer.imports(added)
        imports = [each for each in imports if each.location.file != ADDED]
    for imported, defined in _runs(imports, module.rules):
        writer.imports(imported)
        rules.rules(defined)
    for comment in out.pending:
        out.write_line(comment_text(comment))
    return out.text()


def _runs(
    imports: Iterable[ast.Import], rules: Iterable[ast.Rule]
) -> list[tuple[list[ast.Import], list[ast.Rule]]]:
    """Return imports and rules in the order of their places: imports, what follows them, ..."""
    runs: list[tuple[list[ast.Import], list[ast.Rule]]] = []
    both: list[ast.Import | ast.Rule] = [*imports, *rules]
    for each in sorted(both, key=_place):
        if not runs or (isinstance(each, ast.Import) and runs[-1][1]):
            runs.append(([], []))
        if isinstance(each, ast.Import):
            runs[-1][0].append(each)
        else:
            runs[-1][1].append(each)
    return runs


def _place(node: ast.Import | ast.Rule) -> tuple[int, int]:
    return node.location.row, node.location.col


def _imports(module: ast.Module, options: Options) -> list[ast.Import]:
    imports = list(module.imports)
    is_v2 = any(map(is_rego_v2, imports))
    if is_v2 or (options.target is Target.V1 and options.drops_imports):
        imports = [each for each in imports if not is_rego_v1(each)]
    elif options.target.is_both:
        imports = with_rego_v1(imports)
    drops_future = is_v2 or any(map(is_rego_v1, imports)) or options.drops_imports
    if drops_future and options.target is not Target.V0:
        imports = [each for each in imports if not is_future(each)]
    return imports if is_v2 else with_keywords(imports, _used_keywords(module, options))


def _used_keywords(module: ast.Module, options: Options) -> list[str]:
    """Return the keywords that must be imported for what a module says."""
    used = set()
    for node in descend(module.rules):
        if isinstance(node, ast.Expr):
            used.add(_KEYWORD_OF.get(type(node.statement), ""))
            used.add("in" if call_name(node).startswith("internal.member_") else "")
    needed = _V0_WORDS if options.target is Target.V0 else _V1_WORDS
    is_v1 = any(map(is_rego_v1, module.imports))
    return [word for word in needed if word in used and not (is_v1 and word not in _V1_WORDS)]


def _syntax(module: ast.Module, options: Options) -> Syntax:
    references = any(
        len(rule.head.reference.path) > 1
        or (rule.head.reference.path and rule.head.key is not None)
        for rule in module.rules
    )
    if options.target is not Target.V0:
        return Syntax(references=references)
    is_v1 = any(map(is_rego_v1, module.imports))
    every = is_v1 or any(is_future(each) and not future_keyword(each) for each in module.imports)
    words = {future_keyword(each) for each in module.imports}
    return Syntax(
        ifs=every or "if" in words,
        contains=every or "contains" in words,
        v1=False,
        references=references,
    )


def _keywords(module: ast.Module) -> frozenset[str]:
    words = {future_keyword(each) for each in module.imports} - {""}
    if any(map(is_rego_v2, module.imports)):
        words |= set(_V1_WORDS)
    return KEYWORDS | words


def _check(module: ast.Module, formatted: str, options: Options) -> None:
    """Refuse a text that says something else than the module, or less."""
    try:
        again = parse_module(module.file, formatted, v0=options.target is Target.V0)
    except PolicyError as exc:
        message = f"was successfully formatted, but the result is invalid: {exc}"
        raise _refusal(module, message) from exc
    if essence(module) != essence(again):
        raise _refusal(module, "formatting would change what it means")
    if lost := _comment_counts(module) - _comment_counts(again):
        text = next(iter(lost)).strip()
        raise _refusal(module, f"formatting would lose a comment: {text}")


def _comment_counts(module: ast.Module) -> Counter[str]:
    return Counter(comment.text.rstrip() for comment in module.comments)


def _refusal(module: ast.Module, message: str) -> PolicyError:
    return PolicyError([PolicyProblem(_FORMAT_ERROR, message, module.location)])
