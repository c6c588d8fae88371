import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.codec import decode_json
from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego.lexer import string_value, tokenize
from policy_agent.rego.second_opinion import wording

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DECIMALS = st.from_regex(r"-?(0|[1-9])\.[0-9]{1,3}(e-?[0-9])?", fullmatch=True).map(Number)
NUMBERS = st.integers() | DECIMALS
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(JSON)
def test_values_survive_the_encoding(value):
    assert decode_json(wording.encode_value(value)) == value


def test_numbers_are_written_as_they_were_read():
    assert wording.encode_value([Number("1.50"), Number("1e400"), 10**30]) == (
        b"[1.50,1e400,1000000000000000000000000000000]"
    )


def test_values_have_no_more_escapes_than_needed():
    assert wording.encode_value('<>&/é\u2028"\n') == '"<>&/é\u2028\\"\\n"'.encode()
    assert wording.encode_value(UNDEFINED) == wording.NO_INPUT


@pytest.mark.parametrize("value", [object(), "\ud800", {"a": b"\xff", "b": [set(), 1j]}])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(EvaluationError):
        wording.encode_value(value)


@settings(deadline=None)
@given(st.lists(st.integers(0, 99) | TEXT))
def test_a_path_becomes_one_reference_whatever_its_segments(segments):
    tokens = tokenize("", wording.path_query(segments))
    assert [token.text for token in tokens[:3]] == ["x", "=", "data"]
    brackets = tokens[3:]
    assert len(brackets) == 3 * len(segments)
    for segment, (opener, inside, closer) in zip(
        segments, zip(*[iter(brackets)] * 3, strict=True), strict=True
    ):
        assert (opener.text, closer.text) == ("[", "]")
        is_text = isinstance(segment, str)
        assert (string_value(inside) if is_text else int(inside.text)) == segment


def test_strings_get_one_spelling_and_comments_go():
    source = 'p := "\\u003c\\/" # "x"\n# y\nq := `\\u003c`  # end'
    assert wording.one_spelling("m", source) == 'p := "</" \n\nq := `\\u003c`  '


@pytest.mark.parametrize(
    ("text", "solutions"),
    [
        pytest.param("undefined", [], id="undefined"),
        pytest.param('{"expressions":[true]}', [{}], id="no_variable"),
        pytest.param('{"expressions":[true], "bindings":{"y":[1]}}', [{"y": [1]}], id="one"),
        pytest.param(
            '[{"bindings":{"y":1}}, {"bindings":{"y":2}}]', [{"y": 1}, {"y": 2}], id="two"
        ),
    ],
)
def test_solutions_are_read(text, solutions):
    assert wording.read_solutions(text) == solutions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "(error\n  (errormsg 21:Function not found: f)\n",
            "rego_type_error: undefined function f",
            id="function",
        ),
        pytest.param(
            "(error\n  (errormsg 41:Recursion detected in rule body: data.a.p)\n",
            "rego_recursion_error: rule data.a.p is recursive",
            id="recursion",
        ),
        pytest.param(
            '{"bindings":{"x":(error (errormsg 10:Not a term)}}',
            "eval_internal_error: Not a term",
            id="inside_a_value",
        ),
        pytest.param(
            '{"bindings":{"x":"\\U0041"}}',
            "eval_internal_error: the engine's answer cannot be read",
            id="no_json",
        ),
    ],
)
def test_errors_in_answers_are_errors(text, expected):
    with pytest.raises(EvaluationError) as caught:
        wording.read_solutions(text)
    assert str(caught.value) == expected


def test_refusals_are_located_by_characters_though_regopy_counts_bytes():
    modules = [("a.rego", "package a"), ("b.rego", "package b\n# é\n é := x y")]
    text = "(rego-errorseq\n (error 2:m1|18|1\n  (errormsg 6:é bad)\n  (errorast |18|1)))"
    (problem,) = wording.read_refusal(text, modules).problems
    assert str(problem) == "b.rego:3: rego_parse_error: é bad"
    assert problem.location.col == 3


def test_a_refusal_that_cannot_be_read_is_still_a_refusal():
    (problem,) = wording.read_refusal("?", []).problems
    assert problem.code == "rego_compile_error"


@pytest.mark.parametrize(
    ("source", "is_rewritten"),
    [
        pytest.param("1 == 2", True, id="comparison"),
        pytest.param("count([x | x := 1]) == 2", True, id="assignment_inside"),
        pytest.param("x := 1", False, id="assignment"),
        pytest.param("[1] = y", False, id="unification"),
        pytest.param("data.a[i]", False, id="iteration"),
        pytest.param("some x in [1]", False, id="some"),
        pytest.param("not false", False, id="not"),
        pytest.param("data.a with input as 1", False, id="with"),
        pytest.param("1 == 1; 2 == 2", False, id="two"),
        pytest.param("1 == 1\n2 == 2", False, id="two_lines"),
    ],
)
def test_only_a_single_plain_expression_is_rewritten(source, is_rewritten):
    assert (wording.truth_query(source) != source) is is_rewritten
