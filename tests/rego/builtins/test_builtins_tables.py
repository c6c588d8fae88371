"""What the functions answer, where no OPA is at hand; all expectations were seen from OPA 1.22."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego.builtins.catalog import HOME, resolve
from policy_agent.rego.builtins.registry import BuiltinError, HaltError
from policy_agent.rego.context import Context
from policy_agent.rego.values import RegoSet, equal, freeze
from tests.rego.builtins.oracle import Call, outcome

S = RegoSet.of


def call(name, *arguments):
    return resolve(name).function(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        pytest.param("div", (1, 3), "0.33333333333333333334", id="quotients_have_64_bits"),
        pytest.param("div", (6, 3), "2", id="integral_quotients_are_integers"),
        pytest.param("mul", (0, Number("-1.5")), "-0", id="zero_keeps_its_sign"),
        pytest.param("plus", (2**64, 1), "18446744073709551617", id="integers_are_exact"),
        pytest.param("abs", (-(2**70) - 1,), "1180591620717411303400", id="abs_of_big_rounds"),
        pytest.param("ceil", (Number("-0.5"),), "1", id="ceil_above_minus_one"),
        pytest.param("rem", (-7, 3), "-1", id="remainder_has_the_dividends_sign"),
        pytest.param(
            "div", (1, 0), "eval_builtin_error: div: divide by zero", id="division_by_zero"
        ),
        pytest.param(
            "sum",
            (1,),
            "eval_type_error: sum: operand 1 must be one of {set, array} but got number",
            id="wrong_type",
        ),
        pytest.param(
            "sum",
            ([1, "a"],),
            "eval_type_error: sum: operand 1 must be array of numbers "
            "but got array containing string",
            id="wrong_element",
        ),
        pytest.param("max", ([],), "undefined", id="maximum_of_nothing"),
        pytest.param("sort", ([[], 1, "a", None, True],), '[null,true,1,"a",[]]', id="sort"),
        pytest.param("upper", ("straße",), '"STRAßE"', id="upper_maps_single_characters"),
        pytest.param("indexof", ("日本", "本"), "1", id="indexes_are_characters"),
        pytest.param("hex.encode", ("\udcff",), '"ff"', id="bytes_that_are_not_text"),
        pytest.param("base64.decode", ("/w==",), '"\ufffd"', id="are_printed_as_replacement"),
        pytest.param("sprintf", ("%d %s", [1]), '"1 %!s(MISSING)"', id="missing_operand"),
        pytest.param("sprintf", ("%v", [{"a": S([1])}]), '"{\\"a\\": {1}}"', id="rego_text"),
        pytest.param("regex.match", ("(?i)ä", "Ä"), "true", id="regex_is_unicode"),
        pytest.param(
            "regex.match",
            ("[", ""),
            "eval_builtin_error: regex.match: error parsing regexp: missing closing ]: `[`",
            id="regex_errors_are_gos",
        ),
        pytest.param("regex.replace", ("aéa", "x*", "-"), '"-a-é-a-"', id="empty_matches"),
        pytest.param("glob.match", ("*.com", ["."], "a.b.com"), "false", id="star_stops"),
        pytest.param("glob.match", ("**.com", ["."], "a.b.com"), "true", id="two_stars_do_not"),
        pytest.param("glob.match", ("{a,b*}", [], "bcd"), "true", id="alternatives"),
        pytest.param("units.parse", ("100m",), "0.1000000000", id="milli"),
        pytest.param("units.parse_bytes", ("1.5KiB",), "1536", id="bytes"),
        pytest.param("object.get", ({"a": [{"b": 1}]}, ["a", 0, "b"], 2), "1", id="path"),
        pytest.param(
            "json.patch",
            ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}]),
            '{"a":[1,2]}',
            id="patch",
        ),
        pytest.param("json.remove", ({"a": [1, 2]}, ["a/0"]), '{"a":[2]}', id="remove"),
        pytest.param(
            "yaml.marshal", ({"a": ["y", "1"]},), '"a:\\n  - \\"y\\"\\n  - \\"1\\"\\n"', id="yaml"
        ),
        pytest.param("cast_set", ([1, Number("1.0")],), "[1]", id="first_of_equals_stays"),
        pytest.param("to_number", ("1e2",), "1e2", id="number_text_is_kept"),
    ],
)
def test_results_are_those_of_opa(name, arguments, expected):
    assert outcome(Call(name, arguments)) == expected


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("glob.match", ("*a" * 30, [], "a" * 300 + "b"), id="glob"),
        pytest.param("regex.match", ("(a*)*$", "a" * 5000 + "b"), id="regex"),
        pytest.param("regex.globs_match", (".*a" * 25 + "f", ".*a" * 25 + "g"), id="globs"),
    ],
)
def test_hostile_patterns_are_matched_in_reasonable_time(name, arguments):
    assert call(name, *arguments) in (True, False)


def test_range_stops_at_the_deadline():
    context = Context(deadline=0.0, clock=lambda: 1.0)
    with pytest.raises(Exception, match="cancelled"):
        call("numbers.range", context, 1, 10**12)


def test_huge_shift_is_refused():
    with pytest.raises(BuiltinError, match="too large"):
        call("bits.lsh", 1, 2**40)


def test_print_writes_a_line_for_every_combination():
    context = Context()
    call("internal.print", context, [S(["a", "b"]), S([]), S([[1]])])
    assert context.prints == ["a <undefined> [1]", "b <undefined> [1]"]


def test_template_string_joins_its_parts():
    assert call("internal.template_string", ["x=", S([1]), S([]), S(["y"])]) == "x=1<undefined>y"
    with pytest.raises(HaltError, match="multiple outputs"):
        call("internal.template_string", [S([1, 2])])


def test_walk_visits_everything_in_order():
    assert call("walk", {"b": [1], "a": S([2])}) == [
        [[], {"b": [1], "a": S([2])}],
        [["a"], S([2])],
        [["a", 2], 2],
        [["b"], [1]],
        [["b", 0], 1],
    ]


def test_unknown_names_resolve_to_nothing():
    assert resolve("no.such") is None
    assert HOME["count"] == "aggregates"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~", max_size=3), inner),
    max_leaves=12,
)


@given(json_values)
def test_json_survives_a_round_trip(value):
    assert equal(call("json.unmarshal", call("json.marshal", value)), value)


yaml_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab1~- :#", max_size=4), inner)
    ),
    max_leaves=12,
)


@given(yaml_values)
def test_yaml_survives_a_round_trip(value):
    assert equal(call("yaml.unmarshal", call("yaml.marshal", value)), value)


@given(st.binary(max_size=40))
def test_base64_of_any_bytes_survives_a_round_trip(raw):
    text = raw.decode("utf-8", "surrogateescape")
    assert call("base64.decode", call("base64.encode", text)) == text
    assert call("base64url.decode", call("base64url.encode_no_pad", text)) == text
    assert call("hex.decode", call("hex.encode", text)) == text


@given(st.lists(st.integers(-9, 9)), st.lists(st.integers(-9, 9)))
def test_sets_follow_pythons(left, right):
    one, two = S(left), S(right)
    assert set(call("and", one, two)) == set(left) & set(right)
    assert set(call("or", one, two)) == set(left) | set(right)
    assert set(call("minus", one, two)) == set(left) - set(right)
    assert set(call("union", S([one, two]))) == set(left) | set(right)


@given(st.dictionaries(st.text("abc", max_size=2), json_values))
def test_union_with_itself_and_removing_nothing_change_nothing(value):
    assert equal(call("object.union", value, value), value)
    assert equal(call("object.remove", value, []), value)
    assert call("object.get", value, ["no", "path"], UNDEFINED) is UNDEFINED or "no" in value


@given(st.integers(-(10**40), 10**40), st.integers(-(10**40), 10**40))
def test_division_undoes_multiplication_within_64_bits(left, right):
    if right:
        quotient = call("div", left, right)
        assert abs(quotient * right - left) * 2**60 <= abs(left) * 2**2


@given(st.text("a*?[]{}\\!-,é", max_size=12))
def test_a_quoted_glob_matches_its_text(text):
    assert call("glob.match", call("glob.quote_meta", text), None, text) is True


def test_composite_keys_are_found_by_value():
    value = {freeze([1, Number("2.0")]): "x"}
    assert call("object.get", value, [[1, 2]], None) == "x"
