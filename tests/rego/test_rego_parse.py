"""The parser: what the tree of each construct is, and that nothing but our error leaves it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.errors import Location, PolicyError
from policy_agent.number import Number
from policy_agent.rego import ast
from policy_agent.rego.parse import parse_module, parse_query

X, Y = ast.Var("x"), ast.Var("y")
TRUE = (ast.Expr(ast.Scalar(True), generated=True),)


def operator(name: str) -> ast.Ref:
    return ast.Ref(ast.Var(name), ())


def call(name: str, *args: ast.Term) -> ast.Call:
    return ast.Call(operator(name), args)


def member(*args: ast.Term) -> ast.Call:
    path = (ast.Scalar(f"member_{len(args)}"),)
    return ast.Call(ast.Ref(ast.Var("internal"), path), args)


def input_ref(*names: str) -> ast.Ref:
    return ast.Ref(ast.Var("input"), tuple(map(ast.Scalar, names)))


def statement(source: str) -> ast.Statement:
    (expression,) = parse_query(source)
    return expression.statement


def rule(source: str, *, v0: bool = False) -> ast.Rule:
    (only,) = parse_module("p.rego", f"package a\n{source}", v0=v0).rules
    return only


def problems(source: str, *, v0: bool = False) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        parse_module("p.rego", source, v0=v0)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("12", ast.Scalar(12), id="integer"),
        pytest.param("-1.50", ast.Scalar(Number("-1.50")), id="fraction-keeps-its-digits"),
        pytest.param('"a\\u00e9"', ast.Scalar("aé"), id="string"),
        pytest.param("`a\\n`", ast.Scalar("a\\n"), id="raw-string"),
        pytest.param("null", ast.Scalar(None), id="null"),
        pytest.param("input", input_ref(), id="input-is-a-reference"),
        pytest.param("input.a.if", input_ref("a", "if"), id="keyword-in-reference"),
        pytest.param("x", X, id="variable"),
        pytest.param("_", ast.Var("$0"), id="wildcard"),
        pytest.param("set()", ast.SetTerm(()), id="empty-set"),
        pytest.param("{}", ast.ObjectTerm(()), id="empty-object"),
        pytest.param("{x, y,}", ast.SetTerm((X, Y)), id="set"),
        pytest.param("{x: y}", ast.ObjectTerm(((X, Y),)), id="object"),
        pytest.param("[x | y]", ast.ArrayComprehension(X, (ast.Expr(Y),)), id="array-compr"),
        pytest.param("{x | y}", ast.SetComprehension(X, (ast.Expr(Y),)), id="set-compr"),
        pytest.param("{x: y | y}", ast.ObjectComprehension(X, Y, (ast.Expr(Y),)), id="obj-compr"),
        pytest.param("[x + y | y]", ast.ArrayTerm((call("or", call("plus", X, Y), Y),)), id="or"),
        pytest.param("x + y * x", call("plus", X, call("mul", Y, X)), id="product-binds-tighter"),
        pytest.param("x - y - x", call("minus", call("minus", X, Y), X), id="left-to-right"),
        pytest.param("(x - y) * x", call("mul", call("minus", X, Y), X), id="parentheses"),
        pytest.param("-input.a", call("minus", ast.Scalar(0), input_ref("a")), id="unary-minus"),
        pytest.param("x := y == x", call("assign", X, call("equal", Y, X)), id="assignment"),
        pytest.param("x in y", member(X, Y), id="member"),
        pytest.param("x, y in y", member(X, Y, Y), id="member-with-key"),
        pytest.param("some x, y", ast.SomeDecl((X, Y)), id="some"),
        pytest.param("some x in y", ast.SomeDecl((member(X, Y),)), id="some-in"),
        pytest.param("every x in y { x }", ast.Every(None, X, Y, (ast.Expr(X),)), id="every"),
        pytest.param(
            "x(y).z", ast.Ref(call("x", Y), (ast.Scalar("z"),)), id="reference-into-a-call"
        ),
        pytest.param(
            '$"a {x}{1}"',
            ast.TemplateString((ast.Scalar("a "), ast.Expr(X), ast.Scalar(1))),
            id="template",
        ),
    ],
)
def test_expression_is_read_as(source, expected):
    assert statement(source) == expected


def test_query_ends_expressions_at_semicolons_and_lines():
    assert [e.statement for e in parse_query("x; y\nx")] == [X, Y, X]


def test_negation_and_with_belong_to_the_expression():
    (expression,) = parse_query("not x with input.a as y")
    assert expression == ast.Expr(X, negated=True, withs=(ast.With(input_ref("a"), Y),))


@pytest.mark.parametrize(
    ("source", "head"),
    [
        pytest.param(
            "p := x if y", ast.Head(operator("p"), value=X, assign=True), id="complete-rule"
        ),
        pytest.param("p contains x if y", ast.Head(operator("p"), key=X), id="partial-set"),
        pytest.param(
            "p.q[x] if y",
            ast.Head(ast.Ref(ast.Var("p"), (ast.Scalar("q"), X)), value=ast.Scalar(True)),
            id="reference",
        ),
        pytest.param(
            "p(x) := y if y",
            ast.Head(operator("p"), args=(X,), value=Y, assign=True),
            id="function",
        ),
    ],
)
def test_rule_head_is_read_as(source, head):
    assert rule(source) == ast.Rule(head, (ast.Expr(Y),))


def test_rule_without_body_is_generated_true():
    assert rule("default p := 1") == ast.Rule(
        ast.Head(operator("p"), value=ast.Scalar(1), assign=True), TRUE, default=True
    )
    assert rule("p := 1").body == TRUE


def test_else_branches_form_a_chain():
    read = rule("p := 1 if x else := 2 if y else := 3")
    assert read.orelse is not None
    assert read.orelse.head.value == ast.Scalar(2)
    assert read.orelse.orelse is not None
    assert read.orelse.orelse.body == TRUE


def test_thousands_of_else_branches_are_read():
    read: ast.Rule | None = rule("p := 0 if x\n" + "else := 1 if x\n" * 3000)
    count = 0
    while read is not None:
        read, count = read.orelse, count + 1
    assert count == 3001


@pytest.mark.parametrize(
    ("source", "head"),
    [
        pytest.param("p[x] { y }", ast.Head(operator("p"), key=X), id="partial-set"),
        pytest.param(
            "p[x] = y { y }",
            ast.Head(ast.Ref(ast.Var("p"), (X,)), value=Y),
            id="partial-object",
        ),
        pytest.param("p { y }", ast.Head(operator("p"), value=ast.Scalar(True)), id="complete"),
    ],
)
def test_v0_rule_head_is_read_as(source, head):
    assert rule(source, v0=True) == ast.Rule(head, (ast.Expr(Y),))


def test_v0_braces_after_braces_are_another_rule():
    module = parse_module("p.rego", "package a\np { x } { y }", v0=True)
    assert [r.body for r in module.rules] == [(ast.Expr(X),), (ast.Expr(Y),)]


def test_v0_keywords_are_names_until_imported():
    assert rule("p { in }", v0=True).body == (ast.Expr(ast.Var("in")),)
    module = parse_module("p.rego", "package a\nimport rego.v1\np if x in y", v0=True)
    assert module.rego_version == 1
    assert module.rules[0].body == (ast.Expr(member(X, Y)),)


def test_logical_keywords_bind_and_before_or():
    source = "package a\nimport future.keywords.and\nimport future.keywords.or\np if x or y and x"
    (read,) = parse_module("p.rego", source).rules
    both = ast.Expr(ast.LogicalAnd((ast.Expr(Y),), (ast.Expr(X),)))
    assert read.body == (ast.Expr(ast.LogicalOr((ast.Expr(X),), (both,))),)


def test_not_keyword_takes_a_body():
    source = "package a\nimport future.keywords.not\np if not { x; y }"
    (read,) = parse_module("p.rego", source).rules
    body = (ast.Expr(X), ast.Expr(Y))
    assert read.body == (ast.Expr(ast.LogicalNot(body, explicit=True)),)


def test_package_and_imports_keep_their_paths():
    module = parse_module("p.rego", 'package a["b-c"].d\nimport data.x as y\nimport input.z')
    assert module.package == ("a", "b-c", "d")
    path = ast.Ref(ast.Var("data"), (ast.Scalar("x"),))
    assert module.imports == (ast.Import(path, "y"), ast.Import(input_ref("z")))


def test_metadata_knows_its_scope_and_target():
    source = "# METADATA\n# title: T\npackage a\n# METADATA\n# entrypoint: true\np.q := 1\n"
    package, document = parse_module("p.rego", source).annotations
    assert package == ast.Annotations("package", {"title": "T"}, ("a",))
    assert document == ast.Annotations("document", {"entrypoint": True}, ("a", "p", "q"))


def test_nodes_know_where_they_are_written():
    (read,) = parse_module("p.rego", "package a\n\np if {\n\tx == y\n}\n").rules
    assert read.location == Location("p.rego", 3, 1)
    found = read.body[0].statement
    assert isinstance(found, ast.Call)
    assert [node.location.col for node in (read.body[0], found.operator, found.args[1])] == [
        2,
        4,
        7,
    ]


def test_several_problems_are_reported_together():
    assert problems("package a\np { true }\np[x]\n") == [
        "p.rego:2: rego_parse_error: `if` keyword is required before rule body",
        "p.rego:3: rego_parse_error: `contains` keyword is required for partial set rules",
    ]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("p := " + "[" * 3000, id="arrays"),
        pytest.param("p := " + "{" * 3000, id="sets"),
        pytest.param("p := " + "(" * 3000, id="parentheses"),
        pytest.param("p if " + "x[" * 3000, id="references"),
        pytest.param("p if " + "{x | " * 3000, id="comprehensions"),
        pytest.param("p if " + "every x in y { " * 3000, id="every"),
        pytest.param("p := " + '$"{' * 3000, id="templates"),
        pytest.param("p if " + "x == x | x & x + x * (" * 3000, id="operators"),
    ],
)
@pytest.mark.parametrize(
    "imports",
    [
        pytest.param("", id="plain"),
        pytest.param("import future.keywords\n", id="all-future-keywords"),
    ],
)
def test_deep_nesting_is_refused(imports, source):
    found = problems(f"package a\n{imports}{source}")
    assert any("max parsing recursion depth exceeded" in problem for problem in found)


WORDS = st.sampled_from(
    [
        *("package a\n", "p", "x", "_", "input", "if ", "contains ", "default ", "else ", "not "),
        *("some ", "every ", "in ", "with ", "as ", "import ", "and ", "or ", "null", "0", "1.5"),
        *("{", "}", "[", "]", "(", ")", ",", ":", ":=", "=", "==", "|", "&", "-", "+", ".", ";"),
        *('"s"', '$"{', '"', "`", "#c", "\n", " ", "import future.keywords\n", "# METADATA\n# "),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS | st.text(max_size=3), max_size=40).map("".join), st.booleans())
def test_any_text_is_a_module_or_refused(text, v0):
    try:
        read = parse_module("p.rego", f"package a\n{text}", v0=v0)
    except PolicyError as exc:
        assert exc.problems  # noqa: PT017 - both outcomes are right
    else:
        assert read.package == ("a",)
