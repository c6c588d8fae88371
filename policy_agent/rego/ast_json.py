"""The syntax tree as OPA's JSON: `opa parse`, `rego.parse_module` and the policies of the API.

Pure. Follows OPA v1.22 v1/ast/policy_json.go, term_json.go and annotations_json.go.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.rego import ast
from policy_agent.rego.ast_order import distinct_terms, ordered_pairs
from policy_agent.rego.parse.annotations import reference_of
from policy_agent.rego.parse.attachment import annotations_by_rule
from policy_agent.rego.parse.cursor import TOO_DEEP
from policy_agent.rego.parse.names import kind_of

_Json = dict[str, Any]


def module_to_json(module: ast.Module, *, locations: bool = False, comments: bool = True) -> _Json:
    """Return a module as `opa parse --format json` prints it.

    Args:
        locations: add where each node is written.
        comments: add the comments, as `opa parse` does and the server does not.

    Raises:
        PolicyError: the module is nested too deeply, by a chain of operators.
    """
    try:
        return _Writer(locations=locations).module(module, comments=comments)
    except RecursionError as exc:
        raise PolicyError([PolicyProblem("rego_parse_error", TOO_DEEP, module.location)]) from exc


def term_to_json(term: ast.Term, *, locations: bool = False) -> _Json:
    """Return a term as OPA's JSON."""
    return _Writer(locations=locations).term(term)


def body_to_json(body: ast.Body, *, locations: bool = False) -> list[_Json]:
    """Return a query or the body of a rule as OPA's JSON."""
    return _Writer(locations=locations).body(body)


def expression_to_json(expr: ast.Expr) -> _Json:
    """Return one line of a body as OPA's JSON."""
    return _Writer(locations=False).expression(expr)


def rule_to_json(rule: ast.Rule) -> _Json:
    """Return a rule as OPA's JSON."""
    return _Writer(locations=False).rule(rule)


class _Writer:
    def __init__(self, *, locations: bool) -> None:
        self._locations = locations

    def module(self, module: ast.Module, *, comments: bool) -> _Json:
        names = [ast.Scalar(name, module.location) for name in module.package]
        path = [self.term(ast.Var("data", module.location)), *map(self.term, names)]
        result: _Json = {"package": self._at({"path": path}, module.location)}
        by_rule = annotations_by_rule(module)
        rules = []
        for index, rule in enumerate(module.rules):
            shown = self.rule(rule)
            if index in by_rule:
                shown["annotations"] = [self.annotation(a) for a in by_rule[index]]
            rules.append(shown)
        parts = {
            "imports": [self._import(declaration) for declaration in module.imports],
            "annotations": [self.annotation(annotation) for annotation in module.annotations],
            "rules": rules,
            "comments": [_comment(comment) for comment in module.comments if comments],
        }
        return result | {name: part for name, part in parts.items() if part}

    def _at(self, node: _Json, location: Location) -> _Json:
        if self._locations:
            node["location"] = _location(location)
        return node

    def _import(self, declaration: ast.Import) -> _Json:
        node: _Json = {"path": self.term(declaration.path)}
        if declaration.alias:
            node["alias"] = declaration.alias
            if self._locations:
                node["alias_location"] = _location(declaration.alias_location)
        return self._at(node, declaration.location)

    def annotation(self, annotation: ast.Annotations) -> _Json:
        node = {"scope": annotation.scope, **annotation.fields}
        if "schemas" in node:
            node["schemas"] = [self._schema(pair) for pair in node["schemas"]]
        if "compile" in node:
            node["compile"] = self._compile(node["compile"])
        return self._at(node, annotation.location)

    def _schema(self, pair: _Json) -> _Json:
        path, schema = next(iter(pair.items()))
        node: _Json = {"path": self._written_reference(path)}
        if isinstance(schema, str):
            node["schema"] = self._written_reference(schema)
        else:
            node["definition"] = schema
        return node

    def _compile(self, written: _Json) -> _Json:
        node: _Json = {}
        unknowns = written.get("unknowns")
        if isinstance(unknowns, list) and unknowns:
            node["unknowns"] = [
                self._written_reference(text) if isinstance(text, str) else None
                for text in unknowns
            ]
        mask = written.get("mask_rule")
        if isinstance(mask, str):
            node["mask_rule"] = self._written_reference(mask)
        return node

    def _written_reference(self, text: str) -> list[_Json]:
        reference = reference_of(text)
        if reference is None:
            return [_Writer(locations=False).term(ast.Var(text))]
        return _Writer(locations=False).parts(reference)

    def rule(self, rule: ast.Rule) -> _Json:
        branches = [rule]
        while (branch := branches[-1].orelse) is not None:
            branches.append(branch)
        shown: _Json | None = None
        for branch in reversed(branches):
            node: _Json = {"head": self.head(branch.head), "body": self.body(branch.body)}
            if branch.default:
                node["default"] = True
            if shown is not None:
                node["else"] = shown
            shown = self._at(node, branch.location)
        assert shown is not None
        return shown

    def head(self, head: ast.Head) -> _Json:
        node: _Json = {"ref": self.parts(head.reference)}
        if head.shown_name:
            node["name"] = head.shown_name
        if head.args:
            node["args"] = [self.term(arg) for arg in head.args]
        if head.shown_key is not None:
            node["key"] = self.term(head.shown_key)
        if head.value is not None:
            node["value"] = self.term(head.value)
        if head.assign:
            node["assign"] = True
        return self._at(node, head.location)

    def body(self, body: ast.Body) -> list[_Json]:
        return [self.expression(expression, index) for index, expression in enumerate(body)]

    def expression(self, expression: ast.Expr, index: int = 0) -> _Json:
        node: _Json = {"index": index, "terms": self._statement(expression.statement)}
        if expression.withs:
            node["with"] = [self._with(modifier) for modifier in expression.withs]
        if expression.generated:
            node["generated"] = True
        if expression.negated:
            node["negated"] = True
        return self._at(node, expression.location)

    def _with(self, modifier: ast.With) -> _Json:
        target: ast.Term = modifier.target
        if isinstance(target, ast.Ref) and not target.path and not _is_root(target.head):
            target = target.head
        node = {"target": self.term(target), "value": self.term(modifier.value)}
        return self._at(node, modifier.location)

    def _statement(self, statement: ast.Statement) -> Any:
        match statement:
            case ast.Call():
                return [self.term(part) for part in (statement.operator, *statement.args)]
            case ast.SomeDecl():
                node: _Json = {"symbols": [self.term(symbol) for symbol in statement.symbols]}
            case ast.Every():
                node = {
                    "key": None if statement.key is None else self.term(statement.key),
                    "value": self.term(statement.value),
                    "domain": self.term(statement.domain),
                    "body": self.body(statement.body),
                }
            case ast.LogicalNot():
                body = self.body(statement.body)
                return {"type": "not", "body": body, "explicit_body": statement.explicit}
            case ast.LogicalAnd() | ast.LogicalOr():
                return self._operation(statement)
            case _:
                return self.term(statement)
        return self._at(node, statement.location)

    def _operation(self, operation: ast.LogicalAnd | ast.LogicalOr) -> _Json:
        node: _Json = {
            "type": "and" if isinstance(operation, ast.LogicalAnd) else "or",
            "lhs": self.body(operation.left),
            "rhs": self.body(operation.right),
        }
        if operation.explicit_left:
            node["explicit_lhs"] = True
        if operation.explicit_right:
            node["explicit_rhs"] = True
        return node

    def term(self, term: ast.Term) -> _Json:
        node = {"type": kind_of(term), "value": self._value(term)}
        return self._at(node, term.location)

    def parts(self, reference: ast.Ref) -> list[_Json]:
        return [self.term(part) for part in (reference.head, *reference.path)]

    def _value(self, term: ast.Term) -> Any:
        match term:
            case ast.Scalar():
                return {} if term.value is None else term.value  # null is a Go struct in OPA
            case ast.Var():
                return term.name
            case ast.Ref():
                return self.parts(term)
            case ast.Call():
                return [self.term(part) for part in (term.operator, *term.args)]
            case _:
                return self._composite(term)

    def _composite(self, term: ast.Term) -> Any:
        match term:
            case ast.ArrayTerm():
                return [self.term(item) for item in term.items]
            case ast.SetTerm():
                return [self.term(item) for item in distinct_terms(term.items)]
            case ast.ObjectTerm():
                pairs = ordered_pairs(term.pairs)
                return [[self.term(key), self.term(value)] for key, value in pairs]
            case ast.ArrayComprehension() | ast.SetComprehension():
                return {"term": self.term(term.term), "body": self.body(term.body)}
            case ast.ObjectComprehension():
                key, value = self.term(term.key), self.term(term.value)
                return {"key": key, "value": value, "body": self.body(term.body)}
            case ast.TemplateString():
                # No part at all is a nil slice in OPA.
                parts = [
                    self.expression(part) if isinstance(part, ast.Expr) else self.term(part)
                    for part in term.parts
                ]
                return {"parts": parts or None, "multi_line": term.multi_line}


def _is_root(term: ast.Term) -> bool:
    return isinstance(term, ast.Var) and term.name in ("input", "data")


def _comment(comment: ast.Comment) -> _Json:
    text = b64encode(comment.text.encode()).decode()
    return {"Text": text, "Location": _location(comment.location)}


def _location(location: Location) -> _Json:
    return {"file": location.file, "row": location.row, "col": location.col}
