import pytest

from policy_agent.errors import PolicyError
from policy_agent.rego.format.formatter import Options, Target, format_module

MESSY = """# top

package  a.b
import data.z   # why
import data.c

# about p
p:=1
q :={"a":1,
  "b":2}   # trailing

r if {  x:=1;y := 2   # first
   # between

   x<y


   some i
   z[i]==x }
s if   1==1
t if 2==2
f(x) := x+1 if { x>1 } else := 0   # other
# the end
"""
TIDY = """# top

package a.b

import data.c
import data.z # why

# about p
p := 1
q := {
	"a": 1,
	"b": 2, # trailing
}

r if { # first
	x := 1
	y := 2

	# between

	x < y

	some i
	z[i] == x
}

s if 1 == 1
t if 2 == 2

f(x) := x + 1 if x > 1 # other

else := 0

# the end
"""


def formatted(source, **options):
    return format_module("m.rego", source, Options(**options))


def test_a_module_is_laid_out_with_its_comments():
    assert formatted(MESSY) == TIDY


@pytest.mark.parametrize("source", [MESSY, TIDY])
def test_what_is_formatted_stays_as_it_is(source):
    once = formatted(source)
    assert formatted(once) == once


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("a == ( b+c )*2", "a == (b + c) * 2", id="precedence"),
        pytest.param("x := [1,2,\n3]", "x := [\n\t\t1, 2,\n\t\t3,\n\t]", id="lines of a list"),
        pytest.param('x["y"]["z w"][i]', 'x.y["z w"][i]', id="reference"),
        pytest.param('x["if"].not', 'x["if"].not', id="keywords in references"),
        pytest.param("{(a|b)}", "{(a | b)}", id="union in a set"),
        pytest.param("x := .50", "x := .50", id="digits are kept"),
        pytest.param("plus(1,2)==3", "1 + 2 == 3", id="operators by name"),
        pytest.param("x := `a\n b`", "x := `a\n b`", id="raw string"),
        pytest.param('$"a{ x }b"', '$"a{x}b"', id="template"),
        pytest.param("not  x", "not x", id="negation"),
        pytest.param("every x in y{x>1}", "every x in y { x > 1 }", id="every"),
        pytest.param("x with input as 1   with data.y as 2", "x with input as 1 with data.y as 2",
                     id="with"),
    ],
)  # fmt: skip
def test_expressions(expression, expected):
    module = formatted(f"package a\n\np if {{\n\t{expression}\n}}\n")
    assert module == f"package a\n\np if {{\n\t{expected}\n}}\n"


def test_a_term_whose_comments_have_no_place_is_left_as_it_was():
    term = "{\n\t\t1 # one\n\t}"
    source = f"package a\n\np if {{\n\tx := {term}\n\tx[1]\n}}\n"
    assert "# one" in formatted(source)


@pytest.mark.parametrize(
    ("target", "source", "expected"),
    [
        pytest.param(
            Target.V0, "package a\np[x]{x=1}\n", "package a\n\np[x] {\n\tx = 1\n}\n", id="v0"
        ),
        pytest.param(
            Target.V0_V1,
            "package a\np[x]{x=1}\nq=2{true}\n",
            "package a\n\nimport rego.v1\n\np contains x if x = 1\nq := 2\n",
            id="v0 to both",
        ),
        pytest.param(
            Target.V1_V0,
            "package a\np if 1 == 1\n",
            "package a\n\nimport rego.v1\n\np if 1 == 1\n",
            id="v1 to both",
        ),
    ],
)  # fmt: skip
def test_versions(target, source, expected):
    assert formatted(source, target=target) == expected


def test_imports_that_rego_v1_does_not_need_can_be_dropped():
    source = "package a\n\nimport rego.v1\nimport future.keywords.in\nimport data.x\n\np := x\n"
    assert formatted(source) == ("package a\n\nimport rego.v1\n\nimport data.x\n\np := x\n")
    assert formatted(source, drops_imports=True) == "package a\n\nimport data.x\n\np := x\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("package a\n\np := {\n", "rego_parse_error", id="syntax"),
        pytest.param(
            'package a\n\np if "foo", (2 in {"bar": 2}) in {"foo": true}\n',
            "formatting would change what it means",
            id="meaning",
        ),
        pytest.param("package a\n\nimport data.x\nimport data.y.x\n", "must not shadow", id="v1"),
    ],
)
def test_what_would_come_out_wrong_is_refused(source, message):
    with pytest.raises(PolicyError, match=message):
        formatted(source)
