"""What METADATA comments say of rules, beyond what the parser checks.

Pure. Follows OPA v1.22 v1/ast/annotations.go (AnnotationSet) and check.go (getRuleAnnotation).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from policy_agent.errors import PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.check.problems import type_problem
from policy_agent.rego.parse.attachment import annotations_by_rule, target_of


def redeclared_problems(modules: Sequence[ast.Module]) -> Iterator[PolicyProblem]:
    """Iterate over the annotations of packages and documents that there are already."""
    packages: dict[tuple[str, ...], ast.Annotations] = {}
    paths: dict[tuple[str, ...], ast.Annotations] = {}
    for module in modules:
        for each in module.annotations:
            if each.scope == "rule":
                continue
            known = packages if each.scope == "package" else paths
            first = known.setdefault(each.target, each)
            if first is not each:
                at = f"{first.location.file}:{first.location.row}"
                yield type_problem(each.location, f"{each.scope} annotation redeclared: {at}")


class SchemaAnnotation(Struct, frozen=True):
    """One entry of `schemas`: a document and the schema it follows.

    Attributes:
        path: such as `input.user`.
        schema: `schema.name` of a schema given beside the policy, or a definition.
    """

    path: str
    schema: Any


class SchemaAnnotations:
    """The `schemas` that hold in each rule.

    Args:
        modules: as parsed.
    """

    def __init__(self, modules: Sequence[ast.Module]) -> None:
        self._outer = [
            each
            for module in modules
            for each in module.annotations
            if each.scope != "rule" and each.fields.get("schemas")
        ]
        self._own = {
            (module.file, index): found
            for module in modules
            if any("schemas" in each.fields for each in module.annotations)
            for index, found in annotations_by_rule(module).items()
        }

    def of_rule(self, module: ast.Module, index: int, *, own: bool) -> Iterator[SchemaAnnotation]:
        """Iterate over the schemas of the rule at an index in its module, outermost first.

        Args:
            module: the rule's.
            index: of the rule.
            own: with the annotations of the rule itself.
        """
        target = target_of(module, module.rules[index].head)
        package = module.package
        outer = [x for x in self._outer if x.scope == "subpackages" and _above(x, package)]
        outer.sort(key=lambda each: len(each.target))
        outer += [x for x in self._outer if x.scope == "package" and x.target == package]
        outer += [x for x in self._outer if x.scope == "document" and x.target == target]
        if own:
            outer += [x for x in self._own.get((module.file, index), ()) if x.scope == "rule"]
        for each in outer:
            for pair in each.fields.get("schemas") or ():
                for path, schema in pair.items():
                    yield SchemaAnnotation(path, schema)


def _above(annotations: ast.Annotations, package: tuple[str, ...]) -> bool:
    return package[: len(annotations.target)] == annotations.target
