import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.errors import PolicyError
from policy_agent.rego.lexer import KEYWORDS, TokenKind, string_value, tokenize

OPERATORS = [*(":=", "==", "!=", "<=", ">="), *"[]{}(),:+-*/%&|=<>;."]


def kinds_and_texts(source):
    return [(token.kind.name, token.text) for token in tokenize("f.rego", source)]


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_is_one_token(operator):
    assert kinds_and_texts(f"a {operator} b") == [
        ("IDENT", "a"),
        ("OPERATOR", operator),
        ("IDENT", "b"),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("a:==b", ["a", ":=", "=", "b"], id="longest_operator_first"),
        pytest.param("x.if.in", ["x", ".", "if", ".", "in"], id="keywords_after_dots"),
        pytest.param("1-0.5e-3", ["1", "-", "0.5e-3"], id="numbers_have_no_sign"),
        pytest.param(".5", [".", "5"], id="leading_dot_is_a_token"),
        pytest.param("iffy _x1 in2", ["iffy", "_x1", "in2"], id="keyword_prefixes_are_names"),
        pytest.param("a#b\n#c\r\nd", ["a", "#b", "#c", "d"], id="comments_end_with_the_line"),
        pytest.param('"a\\"b"`c\\`', ['"a\\"b"', "`c\\`"], id="strings_touch"),
    ],
)
def test_token_texts(source, expected):
    assert [token.text for token in tokenize("f.rego", source)] == expected


def test_keywords_are_told_from_names():
    assert kinds_and_texts("every everyone") == [("KEYWORD", "every"), ("IDENT", "everyone")]


def test_rows_and_columns_count_characters_from_one():
    source = 'package a\n\tp := "é😀" # c\r\n\nq := `x\ny` r'
    places = {token.text: (token.row, token.col) for token in tokenize("f.rego", source)}
    assert places["package"] == (1, 1)
    assert places["p"] == (2, 2)
    assert places["# c"] == (2, 12)
    assert places["q"] == (4, 1)
    assert places["r"] == (5, 4)


def test_a_raw_string_ends_on_its_last_row():
    (token,) = tokenize("f.rego", "`a\nb\nc`")
    assert (token.row, token.end_row) == (1, 3)


def test_template_strings_are_parts_around_expressions():
    assert kinds_and_texts('$"a {x[{1}]} b {$`r {2}`} \\{c"') == [
        ("TEMPLATE_PART", '$"a {'),
        ("IDENT", "x"),
        ("OPERATOR", "["),
        ("OPERATOR", "{"),
        ("NUMBER", "1"),
        ("OPERATOR", "}"),
        ("OPERATOR", "]"),
        ("TEMPLATE_PART", "} b {"),
        ("TEMPLATE_PART", "$`r {"),
        ("NUMBER", "2"),
        ("TEMPLATE_END", "}`"),
        ("TEMPLATE_END", '} \\{c"'),
    ]


# Messages and columns as `opa check` (1.22) prints them first.
@pytest.mark.parametrize(
    ("source", "message", "col"),
    [
        pytest.param('p := "a', "non-terminated string", 6, id="string"),
        pytest.param('p := "a\n"', "non-terminated string", 6, id="string_over_lines"),
        pytest.param("p := `a\n", "non-terminated string", 6, id="raw_string"),
        pytest.param('p := $"a', "non-terminated string", 6, id="template"),
        pytest.param('p := "\\q"', "illegal escape sequence", 6, id="escape"),
        pytest.param('p := "\\{"', "illegal escape sequence", 6, id="template_escape_in_string"),
        pytest.param('p := "\\u00zz"', "illegal string literal", 6, id="unicode_escape"),
        pytest.param("p := 1.", "expected fraction", 6, id="fraction"),
        pytest.param("p := 1e+", "expected exponent", 6, id="exponent"),
        pytest.param("p := 0a2b", "illegal number format", 6, id="letters_in_number"),
        pytest.param("p := 12x", "illegal number format", 6, id="number_then_name"),
        pytest.param(
            "p := 01",
            "unexpected number token: expected number without leading zero",
            6,
            id="leading_zero",
        ),
        pytest.param("p := a ! b", "illegal ! character", 8, id="exclamation"),
        pytest.param("p := $x", "illegal $ character", 6, id="dollar"),
        pytest.param("p := @", "illegal token", 6, id="at"),
        pytest.param("p := é", "illegal token", 6, id="letter_beyond_ascii"),
        pytest.param('p := "\0"', "illegal null character", 6, id="null"),
        pytest.param("# \0", "illegal null character", 3, id="null_in_comment"),
        pytest.param("p := \ufeff1", "illegal byte-order mark", 6, id="byte_order_mark"),
        pytest.param(
            "p := \xa01",
            "illegal non-breaking space character, use a regular space instead",
            6,
            id="non_breaking_space",
        ),
        pytest.param(
            'p := $"{x', "expected } to end template string expression", 10, id="open_expression"
        ),
    ],
)
def test_what_is_no_token_is_refused_where_it_stands(source, message, col):
    with pytest.raises(PolicyError) as caught:
        tokenize("f.rego", source)
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == ("rego_parse_error", message)
    assert (problem.location.file, problem.location.row, problem.location.col) == ("f.rego", 1, col)


def test_a_byte_order_mark_at_the_start_is_skipped():
    assert kinds_and_texts("\ufeffpackage") == [("KEYWORD", "package")]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param('"\\u0041\\/\\n"', "A/\n", id="escapes"),
        pytest.param('"a\tb"', "a\tb", id="bare_tab"),
        pytest.param('"\\ud83d\\ude00"', "😀", id="surrogate_pair"),
        pytest.param('"\\ud800"', "\ufffd", id="lone_surrogate"),
        pytest.param("`\\n\n`", "\\n\n", id="raw"),
    ],
)
def test_string_value(source, value):
    (token,) = tokenize("f.rego", source)
    assert string_value(token) == value


TOKENS = st.one_of(
    st.sampled_from(sorted(KEYWORDS)),
    st.sampled_from(OPERATORS),
    st.from_regex(r"[a-z_][a-z0-9_]{0,4}", fullmatch=True),
    st.from_regex(r"(0|[1-9][0-9]{0,3})(\.[0-9]{1,2})?(e[+-]?[0-9]{1,2})?", fullmatch=True),
    st.from_regex(r'"([^"\\\x00-\x1f\ufeff\ud800-\udfff]|\\["\\nt])*"', fullmatch=True),
    st.from_regex(r"`[^`\x00\ufeff\ud800-\udfff]*`", fullmatch=True),
)
BLANKS = st.text(" \t\r\n", min_size=1, max_size=3)


@settings(deadline=None)
@given(st.lists(st.tuples(TOKENS, BLANKS)))
def test_tokens_come_back_as_written_with_their_places(pairs):
    source = "".join(text + blank for text, blank in pairs)
    tokens = tokenize("f.rego", source)
    assert [token.text for token in tokens] == [text for text, _ in pairs]
    lines = source.split("\n")
    for token in tokens:
        assert source[token.start : token.end] == token.text
        assert lines[token.row - 1][token.col - 1 :].startswith(token.text.split("\n")[0])


@settings(deadline=None)
@given(st.text(st.sampled_from(string.printable + "é\0\ufeff\xa0"), max_size=40))
def test_any_text_is_tokenised_without_loss_or_refused_in_place(source):
    try:
        tokens = tokenize("f.rego", source)
    except PolicyError as refusal:
        location = refusal.problems[0].location
        assert 1 <= location.row <= source.count("\n") + 1
        return
    at = 0
    for token in tokens:
        assert source[at : token.start].strip(" \t\r\n\ufeff") == ""
        assert source[token.start : token.end] == token.text
        at = token.end
    assert source[at:].strip(" \t\r\n\ufeff") == ""


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="`\0\ufeff", exclude_categories=["Cs"])))
def test_a_raw_string_stands_for_itself(value):
    (token,) = tokenize("f.rego", f"`{value}`")
    assert token.kind is TokenKind.RAW_STRING
    assert string_value(token) == value
