"""Policies that OPA accepts although a careless check might not: name -> files."""

from __future__ import annotations

SOUND: dict[str, tuple[str, ...]] = {
    "plain": (
        """\
package p

x := 1
""",
    ),
    "input_anything": (
        """\
package p

x if input.a.b[_].c == 1
""",
    ),
    "data_anything": (
        """\
package p

x := data.foo.bar[_]
""",
    ),
    "undefined_name_in_data": (
        """\
package p

x := data.p.later

later := 1 if input.y
""",
    ),
    "mixed_rule_types": (
        """\
package p

y := 1 if input.x

y := "a" if input.y

x if y == "a"
""",
    ),
    "any_then_select": (
        """\
package p

y := input.z

x := y.a.b.c
""",
    ),
    "partial_object": (
        """\
package p

y[k] := v if some k, v in input.pairs

x := y.anything
""",
    ),
    "partial_object_number_key": (
        """\
package p

y[k] := k if some k in [1, 2]

x := y[1]
""",
    ),
    "nested_partial": (
        """\
package p

y[a][b] := 1 if {
    a := "x"
    b := "y"
}

x := y.x.y
""",
    ),
    "set_of_sets": (
        """\
package p

y contains {1}

x if {1} in y
""",
    ),
    "set_member_ref": (
        """\
package p

y contains "a"

x if y["b"]
""",
    ),
    "number_and_set_minus": (
        """\
package p

x := {1, 2} - {1}

y := 3 - 1
""",
    ),
    "walk_relation": (
        """\
package p

x := [path | walk(input, [path, value]); value == 1]
""",
    ),
    "walk_three": (
        """\
package p

x if {
    walk(input.x, y)
    y[1] == 2
}
""",
    ),
    "function_patterns": (
        """\
package p

f([a, b]) := a + b

f({"a": c}) := c

x := f([1, 2])
""",
    ),
    "function_of_unions": (
        """\
package p

f(1) := "a"

f("x") := 2

x := f("y")
""",
    ),
    "function_else": (
        """\
package p

f(x) := 1 if x > 2
else := "small"

y := f(3)
""",
    ),
    "function_as_with": (
        """\
package p

f(x) := 5 if x

x if count([1]) == 5 with count as f
""",
    ),
    "with_builtin_value": (
        """\
package p

x if time.now_ns() == 1 with time.now_ns as 1
""",
    ),
    "with_data_other_type": (
        """\
package p

y := 1

x if data.p.y == "a" with data.p.y as "a"
""",
    ),
    "with_dependent_type": (
        """\
package p

z := 1

y := z

x if y == "a" with data.p.z as "a"
""",
    ),
    "with_input_part": (
        """\
package p

x if input.a == 1 with input.a as 1
""",
    ),
    "every_pairs": (
        """\
package p

x if {
    every k, v in {"a": 1} { k != ""; v > 0 }
}
""",
    ),
    "every_over_input": (
        """\
package p

x if {
    every y in input.ys { y.z == 1 }
}
""",
    ),
    "object_comprehension": (
        """\
package p

x := {k: v | some k, v in input}

y := x.anything
""",
    ),
    "comprehension_nested": (
        """\
package p

x := [[z | z := y + 1] | some y in [1, 2]]
""",
    ),
    "unify_arrays": (
        """\
package p

x if [a, "b", c] = [1, b, input.c]
""",
    ),
    "unify_objects": (
        """\
package p

x if {"a": y, "b": 2} = {"a": 1, "b": z}
""",
    ),
    "compare_any": (
        """\
package p

x if 1 < "a"
""",
    ),
    "not_equal_types": (
        """\
package p

x if 1 != "a"
""",
    ),
    "in_other_types": (
        """\
package p

x if 1 in input.x
""",
    ),
    "in_string_is_false": (
        """\
package p

x if "a" in "abc"
""",
    ),
    "some_in_union": (
        """\
package p

x if {
    some y in [1, "a"]
    y == "a"
}
""",
    ),
    "template": (
        """\
package p

x := $"value {input.x} and {1 + 1}"
""",
    ),
    "print_anything": (
        """\
package p

x if {
    print("a", input.x, 1)
}
""",
    ),
    "sprintf_values": (
        """\
package p

x := sprintf("%v %v", [1, {"a": input.x}])
""",
    ),
    "jwt": (
        """\
package p

x := payload.sub if [_, payload, _] := io.jwt.decode(input.token)
""",
    ),
    "http": (
        """\
package p

x := http.send({"method": "get", "url": "http://x"}).body.a.b
""",
    ),
    "object_get_default": (
        """\
package p

x := object.get(input, ["a", "b"], null)
""",
    ),
    "object_get_path": (
        """\
package p

x := object.get({"a": {"b": 1}}, ["a", "b"], null)
""",
    ),
    "json_patch": (
        """\
package p

x := json.patch({"a": 1}, [{"op": "add", "path": "/b", "value": 2}])
""",
    ),
    "json_filter": (
        """\
package p

x := json.filter(input, ["a/b", ["c", "d"]])
""",
    ),
    "graph": (
        """\
package p

x := graph.reachable({"a": {"b"}, "b": []}, {"a"})
""",
    ),
    "default_function": (
        """\
package p

default f(_) := 1

f(x) := 2 if x

y := f(1)
""",
    ),
    "default_other_type": (
        """\
package p

default x := "none"

x := 1 if input.y
""",
    ),
    "general_refs": (
        """\
package p

a.b[c] := 1 if c := "x"

a.d := 2

x := a.b.x
""",
    ),
    "sets_in_objects": (
        """\
package p

a[x] contains y if {
    x := "k"
    y := 1
}

z if a.k[1]
""",
    ),
    "metadata": (
        """\
package p

# METADATA
# title: t
x := rego.metadata.rule().title

y := rego.metadata.chain()[0].path
""",
    ),
    "not_recursive_by_constant": (
        """\
package p

a if data.q.a

b if a
""",
        """\
package q

a := 1
""",
    ),
    "not_recursive_narrowed": (
        """\
package p

a if {
    some name in ["q", "r"]
    data[name].a
}
""",
        """\
package q

a := 1
""",
    ),
    "same_name_as_builtin_field": (
        """\
package p

x := {"count": 1}.count
""",
    ),
    "import_of_function": (
        """\
package p

x if data.lib.allowed(input.user)
""",
        """\
package lib

allowed(user) if user == "a"
""",
    ),
    "logical_negation": (
        """\
package p

x if not input.y == 1
""",
    ),
    "contains_types": (
        """\
package p

y contains 1

y contains "a"

x if y["a"]
""",
    ),
    "numbers_range": (
        """\
package p

x := [i | some i in numbers.range(1, 3)]
""",
    ),
    "empty_collections": (
        """\
package p

x := count([]) + count({}) + count(set())
""",
    ),
    "empty_set_union": (
        """\
package p

x := {1} | set()
""",
    ),
    "array_of_mixed": (
        """\
package p

x if {
    y := [1, "a", null]
    y[1] == "a"
    y[_] == null
}
""",
    ),
    "dynamic_object_key": (
        """\
package p

x if {
    k := "a"
    y := {k: 1, "b": "s"}
    y.b == "s"
    y[k] == 1
}
""",
    ),
}
