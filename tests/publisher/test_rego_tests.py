import pytest

from policy_agent.errors import PolicyError
from policy_agent.publisher.rego_tests import find_tests

MODULE = """# package comment
package a.b["c-d"]

import data.a.test_helpers

default test_default := false

test_first if {
	test_not_a_rule
	x := "}" # }
	y := `
test_in_a_raw_string if true
`
}

shown := $`{data.a.test_one}
test_in_a_template {[
test_in_an_expression]}`

sum := 1 +
test_continued

allow if
test_condition

  test_indented := true

nested.test_second.deep if true

test_cases[note] if some note in ["x"]

todo_test_later if false

attest_nothing if true
# test_commented_out if true
"""


def test_tests_are_found_in_the_order_of_lines():
    tests = find_tests({"dir/m.rego": MODULE})
    assert [(test.name, test.location.row, test.location.col) for test in tests] == [
        ("test_first", 8, 1),
        ("test_indented", 26, 3),
        ("nested.test_second", 28, 1),
        ("test_cases", 30, 1),
        ("todo_test_later", 32, 1),
    ]
    assert {test.location.file for test in tests} == {"dir/m.rego"}
    assert [test.name for test in tests if test.is_skipped] == ["todo_test_later"]
    assert [test.name for test in tests if test.has_cases] == ["test_cases"]


def test_a_test_knows_its_document_and_the_name_that_opa_prints():
    (test,) = find_tests({"m.rego": MODULE}, name_pattern="second$")
    assert test.path == ("a", "b", "c-d", "nested", "test_second")
    assert test.full_name == 'data.a.b["c-d"].nested.test_second'


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        pytest.param("", 5, id="all"),
        pytest.param("test_(first|second)", 2, id="anywhere in the name"),
        pytest.param(r"^data\.a\.b", 5, id="by package"),
        pytest.param("^test", 0, id="the name begins with data"),
    ],
)
def test_a_pattern_selects_tests(pattern, count):
    assert len(find_tests({"m.rego": MODULE}, name_pattern=pattern)) == count


def test_two_tests_of_one_name_are_refused_because_one_would_hide_the_other():
    modules = {
        "a.rego": "package p\n\ntest_x if true\n\ntest_x if false\n",
        "b.rego": "package p\n\ntest_x if true\n",
    }
    with pytest.raises(PolicyError) as refused:
        find_tests(modules)
    assert list(map(str, refused.value.problems)) == [
        "a.rego:5: rego_compile_error: data.p.test_x is already defined at a.rego:3",
        "b.rego:3: rego_compile_error: data.p.test_x is already defined at a.rego:3",
    ]
