"""OPA's GraphQL built-ins: read by our parser, validated by graphql-core.

Source: OPA v1.22 v1/topdown/graphql.go.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import graphql as core
from graphql.utilities import build_ast_schema
from graphql.validation.validate import validate_sdl

from policy_agent.rego.builtins.gql_lexer import GraphQLError
from policy_agent.rego.builtins.gql_parser import Node, parse_query, parse_schema, pruned
from policy_agent.rego.builtins.gql_print import print_query, print_schema
from policy_agent.rego.builtins.operands import need_string
from policy_agent.rego.builtins.registry import Builtin, BuiltinError, operand_type_error
from policy_agent.rego.values import Value, to_json

_CONVERSION: Final = "Error in gqlparser SchemaDocument to Schema conversion"
_BUILT_IN_TYPES: Final = frozenset(("Int", "Float", "String", "Boolean", "ID"))
_BUILT_IN_DIRECTIVES: Final = frozenset(
    ("include", "skip", "deprecated", "specifiedBy", "defer", "oneOf")
)
# What graphql-core demands beyond OPA's library.
_TOLERATED: Final = re.compile(
    r"Query root type must be provided|Union type \w+ must define one or more member types"
    r"|Type '?\w+'? cannot implement itself|Int cannot represent non 32-bit signed integer value"
)
_QUOTED: Final = re.compile(r"'([^']*)'")


def _query(operand: Value, position: int = 0) -> tuple[str, Node]:
    """Return a query as text and as a node."""
    if type(operand) is str:
        return operand, parse_query(operand)
    if type(operand) is not dict:
        raise operand_type_error(position, operand, "string", "object")
    node = _cleaned(to_json(operand))
    return print_query(node), node


def _schema(operand: Value, position: int = 1) -> Node:
    if type(operand) is str:
        return parse_schema(operand)
    if type(operand) is not dict:
        raise operand_type_error(position, operand, "string", "object")
    cleaned: Node = _cleaned(to_json(operand))
    return cleaned


def _cleaned(value: Any) -> Any:
    """Return a node that a policy made in the form that the parser makes."""
    if isinstance(value, dict):
        return pruned({key: _cleaned(item) for key, item in value.items() if key != "Position"})
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value


@lru_cache(maxsize=10)
def _validated(text: str) -> core.GraphQLSchema:
    """Return the schema that a text defines.

    Raises:
        BuiltinError: its definitions do not fit together.
    """
    document = core.parse(text)
    problems = validate_sdl(document)
    if not problems:
        schema = build_ast_schema(document, assume_valid_sdl=True)
        problems = _serious(core.validate_schema(schema))
    if problems:
        raise BuiltinError(f"{_CONVERSION}: input: {_worded(problems[0].message)}")
    schema._validation_errors = []
    return schema


def _serious(problems: list[core.GraphQLError]) -> list[core.GraphQLError]:
    return [problem for problem in problems if not _TOLERATED.match(problem.message)]


def _check_schema(node: Node) -> core.GraphQLSchema:
    for definition in node.get("Definitions", ()):
        if definition["Name"] in _BUILT_IN_TYPES:
            raise BuiltinError(f"{_CONVERSION}: input: Cannot redeclare type {definition['Name']}.")
    kept = [
        directive
        for directive in node.get("Directives", ())
        if directive["Name"] not in _BUILT_IN_DIRECTIVES
    ]
    text = print_schema({**node, "Directives": kept})
    if not text:
        return core.GraphQLSchema()
    try:
        return _validated(text)
    except core.GraphQLError as exc:
        raise BuiltinError(f"{_CONVERSION}: input: {_worded(exc.message)}") from exc
    except TypeError as exc:
        raise BuiltinError(f"{_CONVERSION}: input: {exc}") from exc


def _check_query(text: str, schema: core.GraphQLSchema) -> None:
    """Refuse a query that does not fit a schema.

    Raises:
        BuiltinError: the first thing that is wrong.
    """
    try:
        problems = _serious(core.validate(schema, core.parse(text))) if text.strip() else []
    except core.GraphQLError as exc:
        problems = [exc]
    if problems:
        message = _worded(problems[0].message).removesuffix(".")
        places = problems[0].locations or []
        where = "".join(f"{place.line}:{place.column}" for place in places[:1])
        raise BuiltinError(f"{message} in GraphQL string at location {where}")


def _worded(message: str) -> str:
    return _QUOTED.sub(r'"\1"', message)


def _parse(query: Value, schema: Value) -> Value:
    try:
        text, query_node = _query(query)
        schema_node = _schema(schema)
        _check_query(text, _check_schema(schema_node))
    except GraphQLError as exc:
        raise BuiltinError(str(exc)) from exc
    except (KeyError, TypeError, AttributeError) as exc:
        raise BuiltinError(f"not a GraphQL document: {exc}") from exc
    except RecursionError as exc:
        raise BuiltinError("GraphQL document is nested too deeply") from exc
    return [query_node, schema_node]


def _parse_and_verify(query: Value, schema: Value) -> Value:
    try:
        return [True, *_parse(query, schema)]
    except BuiltinError:
        return [False, {}, {}]


def _is_valid(query: Value, schema: Value) -> Value:
    return _parse_and_verify(query, schema)[0]


def _schema_is_valid(schema: Value) -> Value:
    try:
        _check_schema(_schema(schema))
    except (BuiltinError, GraphQLError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    return True


def _parse_text(text: Value, *, is_schema: bool) -> Value:
    try:
        text = need_string(text, 1)
        return parse_schema(text) if is_schema else parse_query(text)
    except GraphQLError as exc:
        raise BuiltinError(str(exc)) from exc
    except RecursionError as exc:
        raise BuiltinError("GraphQL document is nested too deeply") from exc


def _parse_query(text: Value) -> Value:
    return _parse_text(text, is_schema=False)


def _parse_schema(text: Value) -> Value:
    return _parse_text(text, is_schema=True)


BUILTINS: Final = {
    builtin.name: builtin
    for builtin in (
        Builtin("graphql.is_valid", _is_valid),
        Builtin("graphql.parse", _parse),
        Builtin("graphql.parse_and_verify", _parse_and_verify),
        Builtin("graphql.parse_query", _parse_query),
        Builtin("graphql.parse_schema", _parse_schema),
        Builtin("graphql.schema_is_valid", _schema_is_valid),
    )
}
