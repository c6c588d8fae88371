"""Parses GraphQL into the JSON form of OPA's `graphql` built-ins.

Pure. A node is a dict with the names that OPA shows; what is empty is left out, as OPA does.
Source: vektah/gqlparser v2.5 parser and ast; GraphQL October 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from policy_agent.rego.builtins.gql_lexer import (
    BLOCK_STRING,
    EOF,
    FLOAT,
    INT,
    NAME,
    STRING,
    Lexer,
    Token,
)

Node = dict[str, Any]
_OPERATIONS: Final = ("query", "mutation", "subscription")
_VALUE_KINDS: Final = {INT: 1, FLOAT: 2, STRING: 3, BLOCK_STRING: 4}
_VARIABLE, _BOOLEAN, _NULL, _ENUM, _LIST, _OBJECT = 0, 5, 6, 7, 8, 9
_LOCATIONS: Final = frozenset(
    (
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
        "SCHEMA",
        "SCALAR",
        "OBJECT",
        "FIELD_DEFINITION",
        "ARGUMENT_DEFINITION",
        "INTERFACE",
        "UNION",
        "ENUM",
        "ENUM_VALUE",
        "INPUT_OBJECT",
        "INPUT_FIELD_DEFINITION",
    )
)
_TYPE_KINDS: Final = {
    "scalar": "SCALAR",
    "type": "OBJECT",
    "interface": "INTERFACE",
    "union": "UNION",
    "enum": "ENUM",
    "input": "INPUT_OBJECT",
}


def pruned(node: Node) -> Node:
    """Return a node without its empty lists, objects and nulls."""
    return {
        key: value for key, value in node.items() if value is not None and value not in ([], {})
    }


class _Parser:
    """What queries and schemas have in common."""

    def __init__(self, text: str) -> None:
        self._lexer = Lexer(text)
        self.token = self._lexer.next()

    @property
    def comment(self) -> Node | None:
        """The comments before the current token."""
        texts = self._lexer.comments
        return {"List": [{"Value": text} for text in texts]} if texts else None

    def advance(self) -> Token:
        token = self.token
        self.token = self._lexer.next()
        return token

    def fail(self, message: str, token: Token | None = None) -> Exception:
        return self._lexer.error(message, (token or self.token).offset)

    def unexpected(self, token: Token | None = None) -> Exception:
        return self.fail(f"Unexpected {token or self.token}", token)

    def expect(self, kind: str) -> Token:
        if self.token.kind != kind:
            raise self.fail(f"Expected {kind}, found {self.token.kind}")
        return self.advance()

    def keyword(self, word: str) -> None:
        if self.token.kind != NAME or self.token.value != word:
            raise self.fail(f'Expected "{word}", found {self.token}')
        self.advance()

    def skip(self, kind: str) -> bool:
        if self.token.kind != kind:
            return False
        self.advance()
        return True

    def name(self) -> str:
        return self.expect(NAME).value

    def some(
        self, start: str, end: str, parse: Callable[[], Any], owner: Node | None = None
    ) -> list[Any]:
        """Read what stands between two tokens; the owner gets the comments before the last."""
        if not self.skip(start):
            return []
        if self.token.kind == end:
            raise self.fail(f"expected at least one definition, found {end}")
        found = []
        while self.token.kind != end:
            found.append(parse())
        if owner is not None:
            owner["EndOfDefinitionComment"] = self.comment
        self.advance()
        return found

    def operation(self) -> str:
        token = self.advance()
        if token.value not in _OPERATIONS:
            raise self.unexpected(token)
        return token.value

    def type(self) -> Node:
        node: Node = {"NamedType": "", "NonNull": False}
        if self.skip("["):
            node["Elem"] = self.type()
            self.expect("]")
        else:
            node["NamedType"] = self.name()
        node["NonNull"] = self.skip("!")
        return node

    def directives(self, *, constant: bool) -> list[Node]:
        found = []
        while self.skip("@"):
            name = self.name()
            node = {"Name": name, "Arguments": self.arguments(constant=constant), "Location": ""}
            found.append(pruned(node))
        return found

    def arguments(self, *, constant: bool) -> list[Node]:
        def argument() -> Node:
            node = {"Comment": self.comment, "Name": self.name()}
            self.expect(":")
            return pruned({**node, "Value": self.value(constant=constant)})

        return self.some("(", ")", argument)

    def value(self, *, constant: bool) -> Node:
        token, comment = self.token, self.comment
        if self.skip("["):
            items = []
            while self.token.kind != "]":
                items.append({"Name": "", "Value": self.value(constant=constant)})
            self.advance()
            return _value(_LIST, "", items, comment)
        if self.skip("{"):
            fields = []
            while self.token.kind != "}":
                node = {"Comment": self.comment, "Name": self.name()}
                self.expect(":")
                fields.append(pruned({**node, "Value": self.value(constant=constant)}))
            self.advance()
            return _value(_OBJECT, "", fields, comment)
        if token.kind == "$" and not constant:
            self.advance()
            return _value(_VARIABLE, self.name())
        if token.kind == NAME:
            self.advance()
            named = {"true": _BOOLEAN, "false": _BOOLEAN, "null": _NULL}
            return _value(named.get(token.value, _ENUM), token.value)
        if token.kind not in _VALUE_KINDS:
            raise self.unexpected()
        self.advance()
        return _value(_VALUE_KINDS[token.kind], token.value)


def _value(
    kind: int, raw: str, children: list[Node] | None = None, comment: Node | None = None
) -> Node:
    node = {"Kind": kind, "Raw": raw, "Children": children, "Comment": comment}
    return pruned({**node, "ExpectedTypeHasDefault": False})


class _QueryParser(_Parser):
    def document(self) -> Node:
        operations, fragments = [], []
        while self.token.kind != EOF:
            if self.token.kind == "{" or (
                self.token.kind == NAME and self.token.value in _OPERATIONS
            ):
                operations.append(self.definition())
            elif self.token.kind == NAME and self.token.value == "fragment":
                fragments.append(self.fragment_definition())
            else:
                raise self.unexpected()
        return pruned({"Operations": operations, "Fragments": fragments})

    def definition(self) -> Node:
        if self.token.kind == "{":
            return {"Operation": "query", "Name": "", "SelectionSet": self.selections()}
        comment = self.comment
        node: Node = {"Comment": comment, "Operation": self.operation(), "Name": ""}
        if self.token.kind == NAME:
            node["Name"] = self.advance().value
        node["VariableDefinitions"] = self.some("(", ")", self.variable)
        node["Directives"] = self.directives(constant=False)
        node["SelectionSet"] = self.selections()
        return pruned(node)

    def variable(self) -> Node:
        comment = self.comment
        self.expect("$")
        node: Node = {"Comment": comment, "Variable": self.name(), "Used": False}
        self.expect(":")
        node["Type"] = self.type()
        if self.skip("="):
            node["DefaultValue"] = self.value(constant=True)
        node["Directives"] = self.directives(constant=False)
        return pruned(node)

    def selections(self) -> list[Node]:
        if self.token.kind != "{":
            raise self.fail(f"Expected {{, found {self.token.kind}")
        return self.some("{", "}", self.selection)

    def selection(self) -> Node:
        comment = self.comment
        if self.skip("..."):
            return self.spread(comment)
        alias = self.name()
        name = self.name() if self.skip(":") else alias
        node: Node = {"Comment": comment, "Alias": alias, "Name": name}
        node["Arguments"] = self.arguments(constant=False)
        node["Directives"] = self.directives(constant=False)
        node["SelectionSet"] = self.selections() if self.token.kind == "{" else []
        return pruned(node)

    def spread(self, comment: Node | None) -> Node:
        node: Node = {"Comment": comment}
        if self.token.kind == NAME and self.token.value != "on":
            node["Name"] = self.name()
            node["Directives"] = self.directives(constant=False)
            return pruned(node)
        node["TypeCondition"] = ""
        if self.token.value == "on":
            self.advance()
            node["TypeCondition"] = self.name()
        node["Directives"] = self.directives(constant=False)
        node["SelectionSet"] = self.selections()
        return pruned(node)

    def fragment_definition(self) -> Node:
        comment = self.comment
        self.keyword("fragment")
        if self.token.value == "on":
            raise self.unexpected()
        node: Node = {"Comment": comment, "Name": self.name()}
        node["VariableDefinition"] = self.some("(", ")", self.variable)
        self.keyword("on")
        node["TypeCondition"] = self.name()
        node["Directives"] = self.directives(constant=False)
        node["SelectionSet"] = self.selections()
        return pruned(node)


class _SchemaParser(_Parser):
    def document(self) -> Node:
        document: Node = {
            "Schema": [],
            "SchemaExtension": [],
            "Directives": [],
            "Definitions": [],
            "Extensions": [],
        }
        while self.token.kind != EOF:
            before = self.token
            description = self.description()
            word = self.token.value if self.token.kind == NAME else ""
            if word in _TYPE_KINDS:
                document["Definitions"].append(self.type_definition(description))
            elif word == "schema":
                document["Schema"].append(self.schema(description))
            elif word == "directive":
                document["Directives"].append(self.directive(description))
            elif word == "extend":
                if description["Description"]:
                    raise self.unexpected(before)
                self.advance()
                self.extension(document, description)
            else:
                raise self.unexpected()
        document["Comment"] = self.comment
        return pruned(document)

    def description(self) -> Node:
        """Read a description, if there is one, and note the comments around it."""
        node: Node = {"Description": ""}
        comment = self.comment
        if self.token.kind in (STRING, BLOCK_STRING):
            node["Description"] = self.advance().value
            node["BeforeDescriptionComment"] = comment
        node["AfterDescriptionComment"] = self.comment
        return node

    def described(self) -> Node:
        """Read a description as a field has it: an empty one is none."""
        node = self.description()
        if not node["Description"]:
            node.pop("BeforeDescriptionComment", None)
        return node

    def schema(self, description: Node) -> Node:
        self.keyword("schema")
        node: Node = {**description, "Directives": self.directives(constant=True)}
        node["OperationTypes"] = self.some("{", "}", self.operation_type, node)
        return pruned(node)

    def operation_type(self) -> Node:
        node: Node = {"Comment": self.comment, "Operation": self.operation()}
        self.expect(":")
        return pruned({**node, "Type": self.name()})

    def extension(self, document: Node, description: Node) -> None:
        word = self.token.value
        if word == "schema":
            node = self.schema(description)
            document["SchemaExtension"].append(node)
            contents: tuple[str, ...] = ("Directives", "OperationTypes")
        elif word in _TYPE_KINDS:
            node = self.type_definition(description, extends=True)
            document["Extensions"].append(node)
            contents = ("Interfaces", "Directives", "Fields", "Types", "EnumValues")
        else:
            raise self.unexpected()
        if not any(key in node for key in contents):
            raise self.unexpected()

    def type_definition(self, description: Node, *, extends: bool = False) -> Node:
        word = self.advance().value
        kind = _TYPE_KINDS[word]
        node: Node = {**description, "Kind": kind, "Name": self.name(), "BuiltIn": False}
        if word == "type" or (word == "interface" and not extends):
            node["Interfaces"] = self.interfaces()
        node["Directives"] = self.directives(constant=True)
        if word in ("type", "interface"):
            node["Fields"] = self.some("{", "}", self.field, node)
        elif word == "union":
            node["Types"] = self.members()
        elif word == "enum":
            node["EnumValues"] = self.some("{", "}", self.enum_value, node)
        elif word == "input":
            node["Fields"] = self.some("{", "}", self.input_value, node)
        return pruned(node)

    def interfaces(self) -> list[str]:
        if self.token.value != "implements":
            return []
        self.advance()
        self.skip("&")
        names = [self.name()]
        while self.skip("&"):
            names.append(self.name())
        return names

    def members(self) -> list[str]:
        if not self.skip("="):
            return []
        self.skip("|")
        names = [self.name()]
        while self.skip("|"):
            names.append(self.name())
        return names

    def field(self) -> Node:
        node: Node = {**self.described(), "Name": self.name()}
        node["Arguments"] = self.some("(", ")", self.input_value)
        self.expect(":")
        node["Type"] = self.type()
        node["Directives"] = self.directives(constant=True)
        return pruned(node)

    def input_value(self) -> Node:
        node: Node = {**self.described(), "Name": self.name()}
        self.expect(":")
        node["Type"] = self.type()
        if self.skip("="):
            node["DefaultValue"] = self.value(constant=True)
        node["Directives"] = self.directives(constant=True)
        return pruned(node)

    def enum_value(self) -> Node:
        node: Node = {**self.described(), "Name": self.name()}
        node["Directives"] = self.directives(constant=True)
        return pruned(node)

    def directive(self, description: Node) -> Node:
        self.keyword("directive")
        self.expect("@")
        node: Node = {**description, "Name": self.name(), "IsRepeatable": False}
        node["Arguments"] = self.some("(", ")", self.input_value)
        if self.token.kind == NAME and self.token.value == "repeatable":
            self.advance()
            node["IsRepeatable"] = True
        self.keyword("on")
        self.skip("|")
        node["Locations"] = [self.location()]
        while self.skip("|"):
            node["Locations"].append(self.location())
        return pruned(node)

    def location(self) -> str:
        token = self.expect(NAME)
        if token.value not in _LOCATIONS:
            raise self.unexpected(token)
        return token.value


def parse_query(text: str) -> Node:
    """Parse a document of operations and fragments.

    Raises:
        GraphQLError: in OPA's words.
    """
    return _QueryParser(text).document()


def parse_schema(text: str) -> Node:
    """Parse a document of type definitions.

    Raises:
        GraphQLError: in OPA's words.
    """
    return _SchemaParser(text).document()
