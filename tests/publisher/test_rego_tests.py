import pytest

from policy_agent.publisher.rego_tests import find_tests, with_numbered_tests
from policy_agent.rego.parse import parse_module

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

sum := 1 +
test_continued

allow if
test_condition

  test_indented := true

nested.test_second.deep if true

test_cases[note] if some note in ["x"]

test_literal["x"] if true

test_set contains "x"

todo_test_later if false

attest_nothing if true
# test_commented_out if true
"""


def found(*sources, numbered=False):
    modules = [parse_module(f"{n}.rego", source) for n, source in enumerate(sources)]
    return find_tests(with_numbered_tests(modules) if numbered else modules)


def test_tests_are_found_in_the_order_of_lines():
    tests = found(MODULE)
    assert [(test.name, test.location.row, test.location.col) for test in tests] == [
        ("test_default", 6, 1),
        ("test_first", 8, 1),
        ("test_indented", 22, 3),
        ("nested.test_second", 24, 1),
        ("test_cases", 26, 1),
        ("test_literal", 28, 1),
        ("test_set", 30, 1),
        ("todo_test_later", 32, 1),
    ]
    assert [test.name for test in tests if test.is_skipped] == ["todo_test_later"]
    assert [test.name for test in tests if test.has_cases] == ["test_cases"]


def test_a_test_knows_its_document_and_the_name_that_opa_prints():
    (test,) = (test for test in found(MODULE) if "second" in test.name)
    assert test.path == ("a", "b", "c-d", "nested", "test_second")
    assert test.full_name == test.query == 'data.a.b["c-d"].nested.test_second'


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        pytest.param(
            ["package p\ntest_x if true\ntest_x if false\ntest_y if true\ntest_x if true\n"],
            ["test_x", "test_x#01", "test_y", "test_x#02"],
            id="in one file",
        ),
        pytest.param(
            [
                "package p\ntest_x if true\n",
                "package p\ntest_x if true\n",
                "package q\ntest_x := 1",
            ],
            ["test_x", "test_x#01", "test_x"],
            id="in several files of a package",
        ),
        pytest.param(
            ["package p\na.test_x if true\na.test_x if true\n"],
            ["a.test_x", 'a["test_x#01"]'],
            id="nested",
        ),
        pytest.param(
            ["package p\ntodo_test_x if true\ntodo_test_x if true\n"],
            ["todo_test_x", "todo_test_x"],
            id="not those to be skipped",
        ),
    ],
)
def test_tests_of_one_name_are_numbered(sources, names):
    assert [test.name for test in found(*sources, numbered=True)] == names
