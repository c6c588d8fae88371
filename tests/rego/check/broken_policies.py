"""Policies that OPA refuses, for reasons that only its compiler sees: name -> files."""

from __future__ import annotations

BROKEN: dict[str, tuple[str, ...]] = {
    "arity_plus": (
        """\
package p

x if plus(1, 2, 3, 4)
""",
    ),
    "arity_few": (
        """\
package p

x := concat("a")
""",
    ),
    "arity_zero": (
        """\
package p

x := count()
""",
    ),
    "arity_user": (
        """\
package p

f(x) := x

y := f(1, 2, 3)
""",
    ),
    "arity_user_one": (
        """\
package p

f(x, z) := [x, z]

y := f(1)
""",
    ),
    "arity_nested": (
        """\
package p

y := concat("a", split("b"))
""",
    ),
    "arity_out_of_package": (
        """\
package a.b

f(x) := x
""",
        """\
package c

import data.a.b

y := b.f()
""",
    ),
    "undefined_function": (
        """\
package p

x := foo.bar(1)
""",
    ),
    "undefined_function_local": (
        """\
package p

x if not_there(1)
""",
    ),
    "undefined_data_function": (
        """\
package p

x := data.foo.f(1)
""",
    ),
    "undefined_in_comprehension": (
        """\
package p

x := [y | y := foo(1)]
""",
    ),
    "undefined_in_every": (
        """\
package p

x if {
    every y in [1] { foo(y) }
}
""",
    ),
    "undefined_in_not": (
        """\
package p

x if {
    not foo(1)
}
""",
    ),
    "two_undefined": (
        """\
package p

x := foo(1)

y := bar(2)
""",
    ),
    "arg_plus": (
        """\
package p

x := 1 + "a"
""",
    ),
    "arg_concat": (
        """\
package p

x := concat(1, ["a"])
""",
    ),
    "arg_count": (
        """\
package p

x := count(1)
""",
    ),
    "arg_via_var": (
        """\
package p

x if {
    y := "a"
    z := y * 2
    z > 1
}
""",
    ),
    "arg_via_rule": (
        """\
package p

name := "a"

x := name - 1
""",
    ),
    "arg_set_ops": (
        """\
package p

x := {1} | [1]
""",
    ),
    "arg_nested": (
        """\
package p

x := upper(count([1]))
""",
    ),
    "arg_array_of": (
        """\
package p

x := sum(["a"])
""",
    ),
    "arg_sprintf": (
        """\
package p

x := sprintf("%v", 1)
""",
    ),
    "arg_trim": (
        """\
package p

x := trim([1], {2})
""",
    ),
    "arg_object": (
        """\
package p

x := object.get(1, "a", 2)
""",
    ),
    "arg_user_function": (
        """\
package p

f(x) := upper(x)

y := f(1)
""",
    ),
    "arg_user_pattern": (
        """\
package p

f([x, y]) := x + y

y := f({"a": 1})
""",
    ),
    "arg_long_types": (
        """\
package p

x := object.get([{"aaaaaaaaaaaaaaaa": 1, "bbbbbbbbbbbbbbbbb": 2, "ccccccccccccccc": 3}], "a", 2)
""",
    ),
    "arg_io_jwt": (
        """\
package p

x := io.jwt.decode(1)
""",
    ),
    "arg_regex": (
        """\
package p

x if regex.match(1, input.x)
""",
    ),
    "arg_comprehension": (
        """\
package p

x := sum([y | y := "a"])
""",
    ),
    "arg_object_union": (
        """\
package p

x := object.union({}, [1])
""",
    ),
    "arg_net_cidr": (
        """\
package p

x := net.cidr_contains_matches(1, 2)
""",
    ),
    "arg_walk": (
        """\
package p

x if walk(1, "a")
""",
    ),
    "arg_output": (
        """\
package p

x if upper("a", 1)
""",
    ),
    "arg_in_head": (
        """\
package p

f(x) := upper(1) if x
""",
    ),
    "arg_set_comp": (
        """\
package p

x contains y if y := {1 | true} + 1
""",
    ),
    "arg_to_number": (
        """\
package p

x := to_number([1])
""",
    ),
    "arg_time": (
        """\
package p

x := time.clock("a")
""",
    ),
    "arg_template_match": (
        """\
package p

x := glob.match("a", "b", "c")
""",
    ),
    "arg_user_two": (
        """\
package p

f(x, y) := x + y

g := f("a", 1)
""",
    ),
    "match_string_number": (
        """\
package p

x if "a" == 1
""",
    ),
    "match_unify": (
        """\
package p

x if {
    y := "a"
    y == 1
}
""",
    ),
    "match_array_len": (
        """\
package p

x if [1, 2] == [1]
""",
    ),
    "match_objects": (
        """\
package p

x if {"a": 1} == {"b": 1}
""",
    ),
    "match_sets": (
        """\
package p

x if {1} == {"a"}
""",
    ),
    "match_rule": (
        """\
package p

y := {"a": "b"}

x if y.a == 3
""",
    ),
    "match_array_unify": (
        """\
package p

x if [a, b] = [1, 2, 3]
""",
    ),
    "match_null": (
        """\
package p

x if null == true
""",
    ),
    "match_count": (
        """\
package p

x if count([1]) == "a"
""",
    ),
    "match_member": (
        """\
package p

x if "a" in [1, 2]
""",
    ),
    "match_member_some": (
        """\
package p

x if some 1, y in ["a"]
""",
    ),
    "match_long": (
        """\
package p

y := {"aaaaaaaaaaaaaaaaaa": 1, "b": {"cccccccccccccccc": 2, "ddddddddddddddddd": 3}}

z := {"aaaaaaaaaaaaaaaaaa": "x", "b": {"cccccccccccccccc": 2, "ddddddddddddddddd": "u"}}

x if data.p.y == data.p.z
""",
    ),
    "match_in_comprehension": (
        """\
package p

x := [y | y := 1; y == "a"]
""",
    ),
    "match_object_key": (
        """\
package p

x if {"a": y} = {"a": 1, "b": 2}
""",
    ),
    "match_boolean": (
        """\
package p

a := true

x if a == "true"
""",
    ),
    "match_function_result": (
        """\
package p

f(x) := "a" if x

y if f(1) == 2
""",
    ),
    "match_else": (
        """\
package p

f := 1 if input.x
else := 2

y if f == "a"
""",
    ),
    "match_nested_array": (
        """\
package p

x if [[1]] == [["a"]]
""",
    ),
    "ref_scalar": (
        """\
package p

y := 1

x := y.foo
""",
    ),
    "ref_string": (
        """\
package p

y := "a"

x := y[0]
""",
    ),
    "ref_missing_key": (
        """\
package p

y := {"a": 1, "b": 2}

x := y.c
""",
    ),
    "ref_missing_key_local": (
        """\
package p

x if {
    y := {"a": 1}
    y.b == 1
}
""",
    ),
    "ref_array_key": (
        """\
package p

y := [1, 2]

x := y.foo
""",
    ),
    "ref_set_key": (
        """\
package p

y := {"a"}

x if y[1]
""",
    ),
    "ref_array_index": (
        """\
package p

y := [1, 2]

x := y[5]
""",
    ),
    "ref_function": (
        """\
package p

f(x) := x

y := f
""",
    ),
    "ref_function_index": (
        """\
package p

f(x) := x

y := f[1]
""",
    ),
    "ref_function_package": (
        """\
package p

f(x) := x

y := data.p.f
""",
    ),
    "ref_inline_array": (
        """\
package p

x := [1, 2].foo
""",
    ),
    "ref_inline_array_var": (
        """\
package p

x if {
    i := "a"
    [1, 2][i] == 1
}
""",
    ),
    "ref_inline_object": (
        """\
package p

x := {"a": 1}.b
""",
    ),
    "ref_call": (
        """\
package p

x := count([1]).foo
""",
    ),
    "ref_variable_key": (
        """\
package p

y := {"a": 1}

x if {
    k := 1
    y[k]
}
""",
    ),
    "ref_empty_object": (
        """\
package p

y := {}

x := y.a
""",
    ),
    "ref_empty_set": (
        """\
package p

x if set()[1]
""",
    ),
    "ref_deep": (
        """\
package p

y := {"a": {"b": 1}}

x := y.a.c
""",
    ),
    "ref_deep_scalar": (
        """\
package p

y := {"a": {"b": 1}}

x := y.a.b.c
""",
    ),
    "ref_partial_set": (
        """\
package p

y contains "a"

x if y[1]
""",
    ),
    "ref_partial_object": (
        """\
package p

y[k] := 1 if k := "a"

x := y[1]
""",
    ),
    "ref_nested_ref": (
        """\
package p

a := 1

y := {"b": 1}

x := data.p.y[data.p.a]
""",
    ),
    "ref_in_every": (
        """\
package p

y := {"a": 1}

x if {
    every z in [1] { y.c == z }
}
""",
    ),
    "ref_in_with_body": (
        """\
package p

y := {"a": 1}

x if y.c with input as {}
""",
    ),
    "ref_in_head": (
        """\
package p

y := {"a": 1}

x := {"k": y.c}
""",
    ),
    "ref_composite_key": (
        """\
package p

y contains [1, 2]

x if y[["a", 2]]
""",
    ),
    "ref_any": (
        """\
package p

y := 1 if input.x

y := "a" if input.y

x := y.foo
""",
    ),
    "ref_two": (
        """\
package p

y := {"a": 1}

x := [data.p.y.c, data.p.y.d]
""",
    ),
    "ref_keyed_quoted": (
        """\
package p

y := {"a b": 1}

x := y["c d"]
""",
    ),
    "ref_of_local_string": (
        """\
package p

x if {
    a := "s"
    a.b.c
}
""",
    ),
    "recursion_self": (
        """\
package p

x if x
""",
    ),
    "recursion_two": (
        """\
package p

a if b

b if a
""",
    ),
    "recursion_function": (
        """\
package p

f(x) := f(x - 1)
""",
    ),
    "recursion_three": (
        """\
package p

a := b

b := c

c := a
""",
    ),
    "recursion_package": (
        """\
package p

a := data.p
""",
    ),
    "recursion_else": (
        """\
package p

a := 1 if input.x
else := a
""",
    ),
    "recursion_comprehension": (
        """\
package p

a := [x | x := a[_]]
""",
    ),
    "recursion_dynamic": (
        """\
package p

a if data.p[input.x]
""",
    ),
    "recursion_dynamic_var": (
        """\
package p

a if {
    x := input.name
    data[x].a
}
""",
    ),
    "recursion_dynamic_root": (
        """\
package p

a if {
    some x in ["q", "p"]
    data[x].a
}
""",
    ),
    "recursion_enumerate": (
        """\
package p

a if data.p[_] == 1
""",
    ),
    "recursion_partial": (
        """\
package p

a[x] := y if {
    x := "k"
    y := a.b
}
""",
    ),
    "recursion_arg": (
        """\
package p

f(x) if data.p[x]
""",
    ),
    "recursion_builtin": (
        """\
package p

a if {
    x := upper(input.y)
    data[x].a
}
""",
    ),
    "recursion_builtin_number": (
        """\
package p

a if {
    x := count(input.y)
    data[x].a
}
""",
    ),
    "recursion_across": (
        """\
package a

x := data.b.y
""",
        """\
package b

y := data.a.x
""",
    ),
    "recursion_two_conditions": (
        """\
package p

a if data[input.x][input.y]
""",
    ),
    "recursion_three_conditions": (
        """\
package p.q

a if data[input.x][input.y][input.z]
""",
    ),
    "recursion_rule_value": (
        """\
package p

n := "a"

a if data.p[n]
""",
    ),
    "conflict_kinds": (
        """\
package p

x := 1

x contains 2
""",
    ),
    "conflict_arity": (
        """\
package p

f(x) := 1

f(x, y) := 2
""",
    ),
    "conflict_function_value": (
        """\
package p

f(x) := 1

f := 2
""",
    ),
    "conflict_default": (
        """\
package p

default x := 1

default x := 2
""",
    ),
    "conflict_default_three": (
        """\
package p

default x := 1

default x := 2

default x := 3
""",
    ),
    "conflict_below": (
        """\
package p

a := 1

a.b := 2
""",
    ),
    "conflict_below_two": (
        """\
package p

a := 1

a.b := 2

a.c.d := 3
""",
    ),
    "conflict_below_var": (
        """\
package p

a := 1

a[x] := 2 if x := "k"
""",
    ),
    "conflict_function_in_partial": (
        """\
package p

a[x] := 2 if x := "k"

a.b(x) := x
""",
    ),
    "conflict_sets": (
        """\
package p

a contains 1

a[x] contains 2 if x := "b"
""",
    ),
    "conflict_package": (
        """\
package a.b

x := 1
""",
        """\
package a

b := 1
""",
    ),
    "conflict_package_files": (
        """\
package a.b.c

x := 1
""",
        """\
package a

b.c := 1
""",
    ),
    "conflict_across_files": (
        """\
package p

x := 1
""",
        """\
package p

x contains 1
""",
    ),
    "conflict_two": (
        """\
package p

x := 1

x contains 2

y := 1

y contains 2
""",
    ),
    "deprecated_any": (
        """\
package p

x := any([true])
""",
    ),
    "deprecated_many": (
        """\
package p

x := all([true])

y if re_match("a", "b")
""",
    ),
    "deprecated_set_diff": (
        """\
package p

x := set_diff({1}, {2})
""",
    ),
    "deprecated_and_type": (
        """\
package p

x := any([true])

y := 1 + "a"
""",
    ),
    "deprecated_cast": (
        """\
package p

x if {
    y := cast_string("a")
    y
}
""",
    ),
    "shadow_rule": (
        """\
package p

input := 1
""",
    ),
    "shadow_data_rule": (
        """\
package p

data := 1
""",
    ),
    "shadow_arg": (
        """\
package p

f(input) := 1
""",
    ),
    "shadow_var": (
        """\
package p

x if input := 1
""",
    ),
    "shadow_var_data": (
        """\
package p

x if {
    data := 1
    data
}
""",
    ),
    "shadow_and_type": (
        """\
package p

x if input := 1

y := 1 + "a"
""",
    ),
    "import_duplicate": (
        """\
package p

import data.a
import data.b.a

x := a
""",
    ),
    "import_duplicate_alias": (
        """\
package p

import data.a
import data.b as a

x := a
""",
    ),
    "import_duplicate_input": (
        """\
package p

import input.a
import data.a

x := a
""",
    ),
    "with_arity": (
        """\
package p

f(x, y) := x

x if count([1]) == 1 with count as f
""",
    ),
    "with_type": (
        """\
package p

y := 1

x if data.p.y.foo with data.p.y as "a"
""",
    ),
    "with_input": (
        """\
package p

x if 1 + "a" with input as 1
""",
    ),
    "void_print": (
        """\
package p

x := print(1)
""",
    ),
    "many_types": (
        """\
package p

a := 1 + "a"

b := upper(1)

c if "a" == 1
""",
    ),
    "rule_error_is_any": (
        """\
package p

a := 1 + "a"

b := a.b.c
""",
    ),
    "types_across_files": (
        """\
package a

x := 1
""",
        """\
package b

y := data.a.x.z
""",
    ),
    "union_of_functions": (
        """\
package p

f(1) := "a"

f("x") := 2

y := f([1])
""",
    ),
    "set_union_type": (
        """\
package p

s contains 1

s contains "a"

x if s[[1]]
""",
    ),
    "object_merge": (
        """\
package p

o["a"] := 1

o["b"] := "x"

x := o.a.b
""",
    ),
    "object_merge_dynamic": (
        """\
package p

o[k] := 1 if k := "x"

o[k] := "s" if k := 2

x := o.a.b
""",
    ),
    "nested_objects": (
        """\
package p

o[a][b] := 1 if {
    a := "x"
    b := "y"
}

x := o.a.b.c
""",
    ),
    "ref_head": (
        """\
package p

o.a.b := 1

o.a.c := "x"

x := o.a.d

y := o.a.b.z
""",
    ),
    "undefined_keyword_name": (
        """\
package p

x if regex.contains("a", "b")
""",
    ),
    "undefined_function_of_a_call": (
        """\
package p

x if io(1).jwt.decode("a")
""",
    ),
    "undefined_function_in_brackets": (
        """\
package p

x if json[set()].remove({}, ["a"])
""",
    ),
    "unsafe_closed_over_and_looked_for": (
        """\
package p

# x has a value here, but OPA does not see it.
y if {
	some x in ["a"]
	(input.roles[x], x in {z: x | some z in ["a"]})
}
""",
    ),
}
