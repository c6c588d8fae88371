"""Which statement each METADATA block stands before.

Pure. Follows OPA v1.22 v1/ast/annotations.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from policy_agent.errors import PolicyError, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.parse.names import is_ground, text_of

_Statement: TypeAlias = ast.Module | ast.Import | ast.Rule
_KIND: Final = {ast.Module: "package", ast.Import: "import", ast.Rule: "rule"}
_WANTED: Final = {
    **dict.fromkeys(("rule", "document"), "rule"),
    **dict.fromkeys(("package", "subpackages"), "package"),
}


def attach(module: ast.Module) -> ast.Module:
    """Return a module whose annotations know their scope and target.

    Raises:
        PolicyError: an annotation stands before something that its scope does not allow.
    """
    statements: list[_Statement] = [module, *module.imports, *module.rules]
    statements.sort(key=_row)
    rows = [_row(statement) for statement in statements]
    annotations = []
    problems = []
    for annotation in module.annotations:
        index = bisect_right(rows, annotation.location.row)
        statement = statements[index] if index < len(rows) else None
        kind = _KIND[type(statement)] if statement is not None else ""
        entrypoint = bool(annotation.fields.get("entrypoint"))
        scope = annotation.scope or ("document" if kind == "rule" and entrypoint else kind)
        problems += [
            PolicyProblem("rego_parse_error", message, annotation.location)
            for message in _problems(scope, kind, entrypoint=entrypoint)
        ]
        target = module.package
        if isinstance(statement, ast.Rule):
            target = target_of(module, statement.head)
        annotations.append(replace(annotation, scope=scope, target=target))
    if problems:
        raise PolicyError(problems)
    return replace(module, annotations=tuple(annotations))


def _row(statement: _Statement) -> int:
    return statement.location.row


def _problems(scope: str, kind: str, *, entrypoint: bool) -> list[str]:
    problems = []
    wanted = _WANTED.get(scope)
    if wanted is None:
        problems.append(
            f"invalid annotation scope '{scope}'. "
            "Use one of 'rule', 'document', 'package', or 'subpackages'"
        )
    elif wanted != kind:
        have = f" (have {kind})" if kind else ""
        problems.append(f"annotation scope '{scope}' must be applied to {wanted}{have}")
    if entrypoint and scope not in ("document", "package"):
        what = "annotation entrypoint applied to non-document or package scope"
        problems.append(f"{what} '{scope}'")
    return problems


def target_of(module: ast.Module, head: ast.Head) -> tuple[str, ...]:
    """Return the data path of a rule up to its first variable."""
    path = [*module.package, head.name]
    for part in head.reference.path:
        if not is_ground(part):
            break
        text = isinstance(part, ast.Scalar) and isinstance(part.value, str)
        path.append(part.value if isinstance(part, ast.Scalar) and text else text_of(part))
    return tuple(path)


def annotations_by_rule(module: ast.Module) -> Mapping[int, Sequence[ast.Annotations]]:
    """Return the annotations that hold for each rule, by the rule's index; most have none.

    Those of a document hold for each of its rules. Those of a rule hold for the rules below, and
    each rule uses up the last of them.
    """
    groups: dict[tuple[str, ...], list[ast.Annotations]] = {}
    for annotation in module.annotations:
        if annotation.scope in ("rule", "document"):
            groups.setdefault(annotation.target, []).append(annotation)
    found: dict[int, Sequence[ast.Annotations]] = {}
    for index, rule in enumerate(module.rules if groups else ()):
        group = groups.get(target_of(module, rule.head))
        if not group:
            continue
        row = rule.location.row
        holding = [a for a in group if a.scope == "document" or a.location.row < row]
        if holding:
            found[index] = holding
        above = [a for a in holding if a.scope == "rule"]
        if above:
            group[:] = [a for a in group if a is not above[-1]]
    return found
