"""What single passes make of modules."""

from policy_agent.rego import ast
from policy_agent.rego.compile.compiler import Checks, compile_modules, compile_query
from policy_agent.rego.compile.nodes import call_name, descend
from policy_agent.rego.compile.outputs import outputs_of_body
from policy_agent.rego.compile.tree import build_tree
from policy_agent.rego.compile.unification import unify
from policy_agent.rego.compile.variables import FOR_SAFETY, variables
from policy_agent.rego.parse import parse_module, parse_query


def compiled(*sources):
    return compile_modules(
        [parse_module(f"{index}.rego", text) for index, text in enumerate(sources)]
    )


def only_rule(source):
    return compiled(source).modules[0].rules[0]


def calls(rule):
    return [call_name(node) for node in descend(rule) if isinstance(node, ast.Expr)]


def references(rule):
    return {
        ".".join([node.head.name, *(str(part.value) for part in node.path)])
        for node in descend(rule)
        if isinstance(node, ast.Ref) and node.path and isinstance(node.head, ast.Var)
    }


def test_names_of_the_package_and_of_imports_become_references_below_data():
    rule = only_rule("package a.b\nimport data.lib as l\np if { q; l.x; data.y }\nq := 1\n")
    assert references(rule) == {"data.a.b.q", "data.lib.x", "data.y"}


def test_a_local_variable_hides_a_rule_of_its_name():
    rule = only_rule("package a\np := q if q := 2\nq := 1\n")
    assert "data.a.q" not in references(rule)


def test_scopes_do_not_share_variables():
    rule = only_rule("package a\np := [x, y] if { x := 1; y := [x | x := 2] }\n")
    assert len({name for name in variables(rule) if name.startswith("__local")}) >= 3


def test_calls_inside_terms_come_before_the_expression_that_needs_them():
    rule = only_rule('package a\np if startswith(lower(upper("X")), "x")\n')
    assert calls(rule) == ["upper", "lower", "startswith"]


def test_bodies_are_ordered_so_that_variables_have_values_where_they_are_used():
    rule = only_rule("package a\np if { y > 1; not y == 3; y = input.x }\n")
    assert calls(rule)[0] == "eq"
    assert rule.body[-1].negated


def test_prints_are_erased_and_an_empty_body_holds():
    rule = only_rule('package a\np if print("x")\n')
    assert [expr.statement for expr in rule.body] == [ast.Scalar(True)]


def test_rules_of_several_modules_meet_in_the_tree():
    tree = build_tree(compiled("package a\np := 1\n", "package a.b\nq[x] := 1 if x := 2\n").modules)
    assert sorted(tree.children["a"].children) == ["b", "p"]
    assert len(list(tree.all_rules())) == 2


def test_a_query_keeps_the_names_that_its_author_wrote():
    query = compile_query(parse_query("x := 1; y := x"), compiled())
    shown = variables(query.body, FOR_SAFETY)
    assert sorted(query.rewritten[name] for name in shown if name in query.rewritten) == ["x", "y"]


def test_checks_take_part_at_their_stages():
    seen = []

    class Recording(Checks):
        def calls(self, compiled):
            seen.append("calls")
            return ()

        def rules(self, compiled):
            seen.append("rules")
            return ()

    compile_modules([parse_module("a.rego", "package a\np := 1\n")], checks=Recording())
    assert seen == ["calls", "rules"]


def test_unification_gives_values_through_patterns_both_ways():
    (expr,) = parse_query("[x, {1: y}] = [z, input.a]")
    left, right = expr.statement.args
    assert unify({"input", "z"}, left, right) == {"x", "y"}
    assert unify({"z"}, left, right) == {"x"}
    assert unify({"input"}, left, right) == {"y"}


def test_outputs_of_a_call_are_its_last_operand():
    body = parse_query("count([1], n)")
    assert outputs_of_body(body, lambda _: 1, set()) == {"n"}
    assert outputs_of_body(body, lambda _: None, set()) == set()
