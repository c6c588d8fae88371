"""Calls of every group of built-in functions, chosen for the corners of each."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

from policy_agent.number import Number
from policy_agent.rego.values import RegoSet, freeze
from tests.rego.builtins.oracle import Call, calls

S = RegoSet.of
N = Number


def words(text: str) -> list[str]:
    return text.split()


NUMBERS: list[Any] = [
    *(0, 1, -1, 2, 7, 10, -5, 2**31, 2**31 - 1, -(2**31) - 1, 2**53 + 1, 2**63, 2**64 + 1),
    *(-(2**70) - 1, 12345678901234567890123),
    *map(N, words("1.0 0.5 -0.5 1.5 -2.5 0.1 0.2 1e3 1e-7 1E5 1.10 10.00 3.14159265358979")),
    *map(N, words("1234567.5 1e30 1e-30 1.7e308 5e-324 99999999999999999999.5 1e60 7e-58 3e-61")),
]
OTHERS: list[Any] = [None, True, "a", "", [1], {}, {"a": 1}, S([]), S([1])]
TEXTS = ["", "a", "abcabc", "héllo wörld", "日本語日本", "  a b\t\n", "ß", "İ", "Σας", "ǆ", "ŉ"]
TEXTS += ["ᾳᾀ", "\u00a0x\u2003", "a.b.c", "aaaa", "\x1cx\x1c", '"q"\\', "😀a😀"]
PARTS = ["", "a", "b", "abc", ".", "ö", "日", "aa", " ", "😀", "A"]


def unary(names: str, rows: list[Any]) -> list[Call]:
    return [Call(name, (row,)) for name in names.split() for row in rows]


def binary(names: str, left: list[Any], right: list[Any]) -> list[Call]:
    return [Call(name, pair) for name in names.split() for pair in product(left, right)]


def _arithmetic() -> list[Call]:
    some = random.Random(7).sample(NUMBERS, 12)
    found = binary("plus minus mul div rem", NUMBERS, [number for number in some if number])
    found += binary("plus minus mul div rem", [1, *OTHERS], [0, 1, *OTHERS[-4:]])
    found += unary("abs round ceil floor", NUMBERS + OTHERS)
    ends = ((1, 3), (3, 1), (1, 1), (N("1e1"), 12), (2**70, 2**70 + 2), ("a", 1), (N("1.5"), 2))
    found += [Call("numbers.range", pair) for pair in ends]
    steps = (1, 2, 0, -1, N("1.5"), N("2.0"), "x")
    found += [Call("numbers.range_step", (*pair, step)) for pair in ends for step in steps]
    return found


def _comparison() -> list[Call]:
    some: list[Any] = [1, N("1.0"), 2**64, *OTHERS]
    found = binary("gt gte lt lte neq equal", some, some)
    wholes: list[Any] = [[1], {"a": 1, "b": [2]}, S([1]), 1]
    keys = (0, 1, "a", N("0.0"), -1, True)
    found += binary("internal.member_2", list(keys), wholes)
    for key, value, whole in product(keys, (1, [2]), wholes):
        found.append(Call("internal.member_3", (key, value, whole)))
    return found


def _collections() -> list[Call]:
    chosen = random.Random(3)
    rows: list[Any] = [chosen.sample(NUMBERS, chosen.randint(1, 5)) for _ in range(10)]
    rows += [[], [1, "a"], ["b", "a"], [True, 1, None], [True, True], [False], [[1], [2, [3]]]]
    rows += [[1, N("1.0")], [N("1.0"), 1], [{"a": 1}, {"a": 0}], ["a", None]]
    found = unary("sum product max min sort any all count cast_array cast_set", rows)
    found += unary("sum product max min sort any all count", [S(row) for row in rows])
    found += unary("array.flatten array.reverse", rows) + unary("sum sort all count max", OTHERS)
    for whole, start, stop in product(([1, 2, 3], [], "x"), (-1, 0, 2, N("1.0"), "a"), (-1, 1, 5)):
        found.append(Call("array.slice", (whole, start, stop)))
    sets: list[Any] = [S([]), S([1, 2]), S([1, N("2.0"), "a"]), S([2, 3]), [1]]
    found += binary("and or set_diff minus", sets, sets)
    nested: list[Any] = [S([S([1, 2]), S([2, 3])]), S([S([]), S([1])]), S([1]), S([])]
    found += unary("union intersection", [*nested, 1])
    found += binary("array.concat", [[1], [], 1], [[2], [], "x"])
    return found


def _types() -> list[Call]:
    names = "is_number is_string is_boolean is_array is_set is_object is_null type_name "
    names += "cast_string cast_boolean cast_null cast_object cast_array cast_set to_number"
    found = unary(names, [1, N("1.5"), *OTHERS])
    texts = "1 -1 1x 1e5 1E+5 0x10 a inf -Infinity nan 1.5e3 1e400 1e 123456789012345678901 - é"
    return found + unary("to_number", [*texts.split(), "", " 1", "1 ", '"'])


def _bits() -> list[Call]:
    numbers: list[Any] = [0, 1, -1, 5, 2**70, N("1.0"), N("1e3"), N("1.5"), "a", None]
    found = binary("bits.and bits.or bits.xor bits.rsh bits.lsh", numbers, [0, 1, 5, -1, N("1.5")])
    return found + binary("bits.and bits.lsh", numbers, ["a", 3]) + unary("bits.negate", numbers)


def _graph() -> list[Call]:
    graph: dict[Any, Any] = {
        "a": ["b", "c"],
        "b": ["d"],
        "c": ["d", "a"],
        "d": [],
        "e": S(["f"]),
        "f": ["f"],
    }
    graph |= {"x": None, "y": ["zz", "a"]}
    starts: list[Any] = [["a"], S(["a", "e"]), ["x"], ["y"], ["nope"], [], "a", ["y", "e", "f"]]
    return binary("graph.reachable graph.reachable_paths", [graph, []], starts)


def _strings() -> list[Call]:
    names = "contains startswith endswith strings.count indexof indexof_n split trim trim_left "
    names += "trim_right trim_prefix trim_suffix"
    found = binary(names, TEXTS, PARTS) + binary(names, ["a", 1], [None, "a"])
    found += unary("trim_space lower upper strings.reverse count", [*TEXTS, 1, None])
    for text in TEXTS:
        for start, length in product((0, 1, 3, -1, N("1.0"), N("1.5")), (0, 2, -1, 100)):
            found.append(Call("substring", (text, start, length)))
        for part in PARTS:
            found.append(Call("replace", (text, part, "<é>")))
            found += [Call("strings.split_n", (text, part, n)) for n in (0, 2, -1, -9)]
        for pairs in ({}, {"a": "1", "b": "2"}, {"abc": "X", "a": "Y"}, {"": "-", "a": "b"}):
            found.append(Call("strings.replace_n", (pairs, text)))
    joined: list[Any] = [
        [],
        ["a"],
        ["a", "b"],
        S(["b", "a"]),
        S([]),
        ["a", 1],
        S(["a", 1]),
        [1],
        "x",
        {},
    ]
    found += binary("concat", [",", "", 1], joined)
    given: list[Any] = [0, 15, -15, N("15.9"), N("-15.9"), N("1e30"), 2**70, N("1.0"), "a"]
    found += binary("format_int", given, [2, 8, 10, 16, 3, N("10.0"), "x"])
    texts: list[Any] = ["abc", "", ["abc", "x"], [], S(["ab", "zz"]), 1, [1], {}]
    affixes: list[Any] = ["a", "", ["a", "q"], [], S(["bc", "c"]), 1, ["a", 1]]
    return found + binary("strings.any_prefix_match strings.any_suffix_match", texts, affixes)


def _sprintf() -> list[Call]:
    operands: list[Any] = [
        0,
        42,
        -42,
        65,
        2**63,
        N("-1.5"),
        N("1.0"),
        N("1e21"),
        N("1e400"),
        "",
        "héllo",
    ]
    operands += ['a"b`\n', True, None, [1, "a"], {"a": 1}, S([]), S([1])]
    marks = ["", "5", "-5", "05", "+", "#", " ", ".2", "8.3", "-8.3", "08.3", "+.1", ".0", "+08"]
    found = [
        Call("sprintf", (f"<%{mark}{verb}>", [operand]))
        for verb, mark, operand in product("vsdxXobcqUefgtT", marks, operands)
    ]
    forms = ["%d %d", "%[2]d %[1]d", "%[3]d", "%[x]d", "%*d", "%-*d|", "%.*f", "%", "%%", "100%"]
    forms += ["no", "%5%", "%!", "%é", "%[1]v %[1]T", "%[1", "%5.", "%.1[1]d", "%[1]5d", "% x"]
    rows: list[Any] = [
        [],
        [1],
        [5, 42],
        [-5, 42],
        ["x", N("3.14159")],
        [2, N("3.14159")],
        [1, 2, 3],
    ]
    return found + binary("sprintf", forms, rows) + calls("sprintf", (1, []), ("a", 1))


def _units() -> list[Call]:
    texts = "10 10k 10K 1.5Mi 100m 1m 0.001 1e3 1e3k 10KB 10kib k 1.2.3 -5k +5 5e 5E 5ei 1e-3m"
    texts += " 1e1234567 10MI 10b 10bb 10i .5k 5. 0.1m 3.3333333333333m 100.5KiB 10Q 2TB 3pib 1e E"
    return unary("units.parse units.parse_bytes", [*texts.split(), "", "1 k", '"10k"', 1])


def _regex() -> list[Call]:
    patterns = r"a a* ^a b$ (a)(b)? [abc]+ (?i)ABC (?P<n>a+) (?<n>a) [ ( ) a** * \ \d+ \pL+ x{2,3}"
    patterns += r" x{1001} (?=a) \1 [z-a] a{,2} \bfoo\b é|日 . (?s). ^$ a| (?P<n \Q.\E \C x* (|a)*"
    texts: list[Any] = ["", "a", "aab", "ABC", "foo bar", "é日", "xxx xx", "b\nb", "aéa", "."]
    chosen = [*patterns.split(), ""]
    found = unary("regex.is_valid", [*chosen, 1]) + binary("regex.match regex.split", chosen, texts)
    for pattern, text in product(chosen, texts):
        found += [Call("regex.find_n", (pattern, text, limit)) for limit in (-1, 2, 0)]
        found.append(Call("regex.find_all_string_submatch_n", (pattern, text, -1)))
        for new in ("", "[$0]", "${1}x", "$1x", "$$", "$", "${n}"):
            found.append(Call("regex.replace", (text, pattern, new)))
    templates: tuple[Any, ...] = (
        ("urn:<[0-9]+>", "urn:12", "<", ">"),
        ("a{b", "x", "{", "}"),
        ("a}b", "", "{", "}"),
    )
    templates += (("{[}", "x", "{", "}"), ("a.b", "axb", "{", "}"), ("a", "a", "{{", "}"))
    return found + calls("regex.template_match", *templates, ("a", "a", "{", "}}"))


def _globs() -> list[Call]:
    globs = r"a a* a+ .* .+ [ab] [a-c]+ [ab]*c a.c .*c [ ] + [a- [-a] [z-a] a\ \* [0-9]* ab+ foo.*b"
    globs += r" fooxb .*.*.*f .*.*g x*y*z* xyz [a]+a* a*b*c*d [] a**"
    found = binary("regex.globs_match", globs.split(), globs.split())
    patterns = (
        r"a * ** ? a* *a *a* a*b *.com **.com {a,b} {a,b*}c {,a}b {a,} {a a} a,b [abc] [!abc]"
    )
    patterns += r" [a-c] [!a-c]x [] [a [a- [a-] [c-a] [a-cd] [!] \* \ a\b {a,{b,c}} {*,a}b é* [é日]"
    patterns += r" {*{*0,} *?* {**,a}.b [.] [a\-c] [\]] {a\,b,c} api.*.com *:* {} 日[ *.{com,org}"
    texts: list[Any] = [
        "",
        "a",
        "b",
        "abc",
        "a.b",
        "x.y.com",
        ".com",
        "bc",
        "a,b",
        "*",
        "é.x",
        "api.foo.com",
    ]
    for pattern, delimiters in product(patterns.split(), ([], None, [":", "."])):
        found += [Call("glob.match", (pattern, delimiters, text)) for text in texts]
    wrong = (("a", ["ab"], "a"), ("a", [1], "a"), ("a", "x", "a"), (1, [], "a"), ("a", [], 1))
    return found + calls("glob.match", *wrong) + unary("glob.quote_meta", patterns.split())


def _objects() -> list[Call]:
    whole: dict[Any, Any] = {
        "a": {"b": 1, "c": [1, 2, {"d": 3}]},
        "x": None,
        "s": S([1, "q", [1, 2]]),
        "n": 5,
    }
    whole |= {freeze([1]): "arr", 1: "num", "": "e", "a/b": {"~": 1}}
    keys: list[Any] = [
        "a",
        "zz",
        ["a", "b"],
        ["a", "c", 0],
        ["a", "c", N("2.0"), "d"],
        ["a", "c", -1],
        [],
        1,
    ]
    keys += [["a", "c", "0"], ["s", 1], ["s", [1, 2]], ["n", "q"], N("1.0"), [[1]], ["x"], {}]
    found = [Call("object.get", (whole, key, "default")) for key in keys]
    selections: list[Any] = [[], ["a", "n"], S(["a", 1]), {"a": 1}, 1, [[1]], ["zz"], None]
    found += binary("object.remove object.filter", [whole, []], selections)
    found += unary("object.keys", [whole, {}, 1])
    parts: list[Any] = [
        {},
        {"a": 1},
        {"a": {"b": 1, "c": {"d": 1}}},
        {"a": {"b": 2, "c": 3}},
        {1: "x"},
        1,
    ]
    found += binary("object.union", parts, parts)
    found += unary("object.union_n", [[], [1], parts[:4], parts[3::-1], "x"])
    wholes: list[Any] = [
        whole,
        {},
        [1, 2, 3],
        [1, [2, 3]],
        [],
        S([1, 2]),
        S([]),
        1,
        {"a": S([1, 2])},
        [1, 1],
    ]
    found += binary("object.subset", wholes, [*wholes, {"a": S([1])}, [2, 3], [2], S([1, 3])])
    paths: list[Any] = [
        [],
        ["a"],
        ["a/b"],
        ["/a/c/0"],
        ["a/c/2/d", "x"],
        [["a", "c", "0"], ["s", 1]],
        "a",
        [1],
    ]
    paths += [S(["a", "n"]), [""], ["/"], ["a~1b/~0"], ["a", "a/b"], ["a/b", "a"], [[1]], ["n/z"]]
    return found + binary("json.filter json.remove", [whole, 1], paths)


def _patches() -> list[Call]:
    whole: dict[Any, Any] = {
        "a": {"b": 1, "c": [1, 2, 3]},
        "l": [[1], [2]],
        "s": S([1, "x"]),
        "n": None,
    }
    places: list[Any] = [
        "a/d",
        "/a/c/1",
        "/a/c/-",
        "/a/c/3",
        "/a/c/4",
        "/a/c/-1",
        "/a/c/01",
        "/a/c/x",
        "q/r",
    ]
    places += ["", "n/x", "a", "a/b", "a/b/c", ["s", 5], ["s", 1], ["a", "c", N("1.0")], 1, "l/0/0"]
    rows: list[Any] = [
        [{"op": op, "path": at, "value": 5}] for op in ("add", "replace", "test") for at in places
    ]
    rows += [[{"op": "remove", "path": at}] for at in places if at]
    rows += [[{"op": "copy", "path": at, "from": "a/c"}] for at in places]
    rows += [[{"op": "move", "path": "z", "from": at}] for at in places if at]
    rows += [[{"op": "add"}], [{"path": "a"}], [1], [{"op": 1, "path": "a"}], [], {}]
    rows += [
        [{"op": "no", "path": "a"}],
        [{"op": "add", "path": "a"}],
        [{"op": "copy", "path": "a"}],
    ]
    return [Call("json.patch", (whole, row)) for row in rows]


def _encoding() -> list[Call]:
    texts = "a ab abc abcd héllo 日本 YQ== YWI= YWJjZA== YQ YQ= YQ==x Y Y!== = ==== YQ=== _-8= +/8="
    texts += (
        " -_ /w== AAA AAAA= 00ff 0 0g g0 FF é %41 %4 % %zz a%20b+c %ff a=1&b=2&a=3 a= =b && a;b"
    )
    names = "base64.encode base64.decode base64.is_valid base64url.encode base64url.encode_no_pad "
    names += "base64url.decode hex.encode hex.decode urlquery.encode urlquery.decode "
    names += "urlquery.decode_object"
    found = unary(names, [*texts.split(), "", "YQ=\n=", "YW\nJj", "~-_.!*()'\"<>", "\x00\xff", 1])
    wholes: list[Any] = [
        {},
        {"a": "b", "c": ["d", "é f"]},
        {"a": S(["y", "x"])},
        {"a": 1},
        {"a": [1]},
        1,
    ]
    return found + unary("urlquery.encode_object", wholes)


def _serialisation() -> list[Call]:
    values: list[Any] = [
        None,
        True,
        N("1.50"),
        N("1e3"),
        "",
        '<&>\u2028"\\\n\x01é',
        [],
        {},
        [1, [2, {}]],
        2**70,
    ]
    values += [{"b": 1, "a": {"c": [1, 2], "d": None}}, S([2, 1]), {1: 2, freeze([1]): 3}]
    options: list[Any] = [
        {},
        {"pretty": True},
        {"pretty": False, "indent": " "},
        {"indent": "  "},
        {1: 2},
        [],
    ]
    options += [{"prefix": "#", "indent": "\t"}, {"x": 1}, {"pretty": 1}, {"indent": 1}]
    found = unary("json.marshal", values) + binary("json.marshal_with_options", values, options)
    texts: list[Any] = [
        "1",
        '{"a":1.0}',
        "[1,2",
        "",
        ' {"a":[true]} ',
        "nul",
        '"\\ud800"',
        "01",
        "1.",
        "NaN",
    ]
    found += unary("json.is_valid yaml.is_valid", [*texts, 1])
    found += unary("json.unmarshal", ["1", '{"a":1.0}', ' {"a":[1e3,true]} ', '"\\ud800"', 1])
    found += unary(
        "yaml.unmarshal",
        ["a: 1.0\nb: [x]", "on", "010", "# c", "1: 2", "~", "a: |\n x\n", "a: =\nb: <<", "=: 1"],
    )
    plain = (
        "a true y no on null ~ 12 1.5 1e3 0x1F 1_000 2020-01-01 12:30 a:b a#b -a @a %a *a ? - . 0"
    )
    plain += " 00 .5 +1 .inf [a a] {a a,b << = ' \" é 😀"
    lines = [
        "",
        "- a",
        "a: b",
        "#a",
        "a #b",
        " a",
        "a ",
        "a\nb",
        "a\nb\n",
        "\na",
        " a\nb",
        "\t",
        "\x01",
    ]
    for text in [*words(plain), *lines]:
        found += calls("yaml.marshal", (text,), ([text],), ({text: [text]},))
    keys = dict.fromkeys(
        words("a10 a9 a09 A b _ 1 10 2 a.b a-b ab a1b a01 x100 x10 x1000 x101 é"), 1
    )
    return found + unary("yaml.marshal", [keys, *values[:4], *values[6:9], N("1e20"), [[1, [2]]]])


def _templates() -> list[Call]:
    variables: dict[Any, Any] = {
        "a": "x",
        "n": 5,
        "l": [1, "two", None],
        "m": {"k": "v", "j": [1]},
        "b": True,
    }
    variables |= {"z": None, "e": [], "em": "", "o": [{"n": "p"}, {"n": "q"}]}
    texts: list[Any] = [
        "",
        "plain",
        "{{.a}}-{{ .n }}",
        "{{.l}} {{.m}} {{.b}} {{.z}} {{.e}}",
        "{{.no}}",
    ]
    texts += ["{{.m.k}} {{.m.x.y}}", "{{if .b}}yes{{else}}no{{end}}", "{{.a | printf `%q`}}"]
    texts += ["{{if .zz}}1{{else if .b}}2{{else}}3{{end}}", "{{range .l}}[{{.}}]{{end}}", "{{. }}"]
    texts += ["{{range $i, $v := .l}}{{if $i}}, {{end}}{{$i}}={{$v}}{{end}}", "{{$x := .a}}{{$x}}"]
    texts += [
        "{{range .e}}x{{else}}none{{end}}",
        "{{range .o}}{{.n}}{{$.a}}{{end}}",
        "{{1}} {{1.5}}",
    ]
    texts += [
        "{{with .m}}{{.k}}{{end}}",
        "{{with .em}}x{{else}}y{{end}}",
        "{{range 3}}{{.}}{{end}}",
    ]
    texts += ["{{len .l}} {{index .l 1}} {{eq .a `x`}} {{and .b .a}} {{or .em .a}} {{not .b}}"]
    texts += [
        "a {{- .a -}} b",
        "{{/* c */}}z",
        "{{range .l}}{{if eq . `two`}}{{break}}{{end}}{{.}}{{end}}",
    ]
    return [Call("strings.render_template", (text, variables)) for text in texts]


GROUPS = {
    "arithmetic": _arithmetic,
    "comparison": _comparison,
    "collections": _collections,
    "types": _types,
    "bits": _bits,
    "graph": _graph,
    "strings": _strings,
    "sprintf": _sprintf,
    "units": _units,
    "regex": _regex,
    "globs": _globs,
    "objects": _objects,
    "patches": _patches,
    "encoding": _encoding,
    "serialisation": _serialisation,
    "templates": _templates,
}
