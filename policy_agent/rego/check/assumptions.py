"""The types that schemas give to documents: to `input` everywhere, to others in annotated rules.

Pure. Follows OPA v1.22 v1/ast/check.go (getSchemaType, checkRule).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy_agent.rego import ast
from policy_agent.rego.check.annotations import SchemaAnnotation, SchemaAnnotations
from policy_agent.rego.check.problems import CheckProblem, type_problem
from policy_agent.rego.check.rules import RuleNode
from policy_agent.rego.check.schemas import SchemaError, schema_type
from policy_agent.rego.check.types import Type
from policy_agent.rego.parse.annotations import reference_of

_GLOBAL = "schema"


class Assumptions:
    """What schemas say before any rule is checked.

    Args:
        modules: with their annotations.
        schemas: `schema` for the input's, `schema.name` for others; None when there are none, and
            then annotations that name one say nothing.
    """

    def __init__(
        self, modules: Sequence[ast.Module], schemas: Mapping[str, Any] | None = None
    ) -> None:
        self._annotations = SchemaAnnotations(modules)
        self._schemas = schemas
        self._types: dict[str, Type] = {}

    def input_type(self) -> Type | None:
        """Return the type of the input in all rules, None when no schema says it.

        Raises:
            SchemaError: the schema has none.
        """
        given = (self._schemas or {}).get(_GLOBAL)
        return None if given is None else schema_type(given)

    def of_rule(self, node: RuleNode) -> Iterator[tuple[ast.Ref, Type] | CheckProblem]:
        """Iterate over the documents whose types are known in a rule, or what is wrong there."""
        for each in self._annotations.of_rule(node.module, node.index, own=not node.is_else):
            try:
                type_ = self._type(each)
            except SchemaError as exc:
                yield type_problem(node.location, str(exc))
                continue
            path = reference_of(each.path)
            if type_ is not None and path is not None:
                yield path, type_

    def _type(self, annotation: SchemaAnnotation) -> Type | None:
        name = annotation.schema
        if not isinstance(name, str):
            return schema_type(name)
        if self._schemas is None:
            return None
        if name not in self._schemas:
            raise SchemaError(f"undefined schema: {name}")
        if name not in self._types:
            self._types[name] = schema_type(self._schemas[name])
        return self._types[name]
