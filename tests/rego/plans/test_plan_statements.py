"""Each statement of the plan, alone."""

from __future__ import annotations

import copy

import pytest

from policy_agent.errors import EvaluationError
from policy_agent.model import UNDEFINED
from policy_agent.number import Number
from policy_agent.rego import plan
from policy_agent.rego.context import Context
from policy_agent.rego.runtime.runner import PlanRunner
from policy_agent.rego.values import RegoSet
from tests.rego.plans.plan_building import (
    DATA,
    FALSE,
    INPUT,
    RESULT,
    TRUE,
    block,
    local,
    policy,
    rule,
    string,
    value_of,
)

DONE = plan.AssignVarStmt(TRUE, RESULT)


@pytest.mark.parametrize(
    ("source", "key", "want"),
    [
        pytest.param({"a": 1}, "a", 1, id="object"),
        pytest.param({"a": 1}, "b", UNDEFINED, id="missing key"),
        pytest.param({"a": None}, "a", None, id="null is a value"),
        pytest.param([7, 8], 1, 8, id="array"),
        pytest.param([7, 8], 2, UNDEFINED, id="beyond the array"),
        pytest.param([7, 8], -1, UNDEFINED, id="negative index"),
        pytest.param([7, 8], True, UNDEFINED, id="true is no index"),
        pytest.param([7, 8], "1", UNDEFINED, id="text is no index"),
        pytest.param(RegoSet.of(["x", 1]), "x", "x", id="set member"),
        pytest.param(RegoSet.of([1]), True, UNDEFINED, id="true is not 1"),
        pytest.param("text", "t", UNDEFINED, id="string"),
        pytest.param(None, "a", UNDEFINED, id="null"),
    ],
)
def test_dot_looks_a_key_up(source, key, want):
    func = rule(
        block(
            plan.DotStmt(INPUT, string(0), 3),
            plan.DotStmt(INPUT, string(1), 4),
            plan.DotStmt(local(3), local(4), RESULT),
        )
    )
    got = value_of(func, strings=("source", "key"), input={"source": source, "key": key})
    assert got == want
    assert type(got) is type(want)


@pytest.mark.parametrize("source", [TRUE, string(0)], ids=["bool", "string"])
def test_dot_on_a_constant_is_undefined(source):
    func = rule(block(plan.DotStmt(source, string(0), RESULT)))
    assert value_of(func, strings=("a",)) is UNDEFINED


@pytest.mark.parametrize(
    ("left", "right", "want"),
    [
        pytest.param(1, 1, True, id="integers"),
        pytest.param(1, Number("1.0"), True, id="integer and decimal"),
        pytest.param(1, True, False, id="one is not true"),
        pytest.param(0, False, False, id="zero is not false"),
        pytest.param("a", "a", True, id="strings"),
        pytest.param([1], [True], False, id="nested"),
        pytest.param({"a": [1]}, {"a": [Number("1.0")]}, True, id="objects"),
        pytest.param(None, None, True, id="null"),
        pytest.param([], {}, False, id="empty array and object"),
    ],
)
def test_equal_and_not_equal_are_opposites(left, right, want):
    def compared(kind):
        return rule(
            block(
                plan.DotStmt(INPUT, string(0), 3),
                plan.DotStmt(INPUT, string(1), 4),
                kind(local(3), local(4)),
                DONE,
            )
        )

    document = {"l": left, "r": right}
    strings = ("l", "r")
    equal = value_of(compared(plan.EqualStmt), strings=strings, input=document)
    unequal = value_of(compared(plan.NotEqualStmt), strings=strings, input=document)
    assert (equal is True, unequal is True) == (want, not want)


@pytest.mark.parametrize("number", ["0", "1", "7", "1.0", "123456789012345678901234567890"])
@pytest.mark.parametrize("value", [0, 1, 7, True, False, "1", 123456789012345678901234567890])
def test_equal_with_a_number_constant_knows_booleans_from_numbers(number, value):
    func = rule(
        block(
            plan.DotStmt(INPUT, string(1), 3),
            plan.MakeNumberRefStmt(0, 4),
            plan.EqualStmt(local(3), local(4)),
            DONE,
        )
    )
    want = type(value) is int and value == Number(number)
    got = value_of(func, strings=(number, "v"), input={"v": value})
    assert (got is True) == want


def test_constants_compare_with_each_other():
    func = rule(
        block(
            plan.MakeNumberIntStmt(0, 3),
            plan.NotEqualStmt(local(3), FALSE),
            plan.MakeNullStmt(4),
            plan.NotEqualStmt(local(4), FALSE),
            plan.IsDefinedStmt(3),
            plan.EqualStmt(string(0), string(0)),
            DONE,
        )
    )
    assert value_of(func, strings=("a",)) is True


@pytest.mark.parametrize(
    ("source", "want"),
    [
        pytest.param(["b", "a"], [[0, "b"], [1, "a"]], id="array"),
        pytest.param({"b": 1, "a": 2}, [["a", 2], ["b", 1]], id="object in order of keys"),
        pytest.param(RegoSet.of([3, 1, "x", None]), [[v, v] for v in (None, 1, 3, "x")], id="set"),
        pytest.param("text", [], id="scalar"),
        pytest.param([], [], id="empty"),
    ],
)
def test_scan_visits_keys_and_values_in_order(source, want):
    func = rule(
        block(plan.MakeArrayStmt(0, RESULT)),
        block(
            plan.DotStmt(INPUT, string(0), 3),
            plan.ScanStmt(
                3,
                4,
                5,
                block(
                    plan.MakeArrayStmt(2, 6),
                    plan.ArrayAppendStmt(local(4), 6),
                    plan.ArrayAppendStmt(local(5), 6),
                    plan.ArrayAppendStmt(local(6), RESULT),
                ),
            ),
        ),
    )
    assert value_of(func, strings=("xs",), input={"xs": source}) == want


def test_scan_goes_on_after_an_undefined_body():
    func = rule(
        block(plan.MakeSetStmt(RESULT)),
        block(
            plan.ScanStmt(
                0,
                3,
                4,
                block(
                    plan.NotEqualStmt(local(4), FALSE),
                    plan.SetAddStmt(local(4), RESULT),
                ),
            ),
        ),
    )
    assert value_of(func, input=[1, False, True]) == RegoSet.of([1, True])


def test_assign_once_accepts_the_same_value_and_refuses_another():
    func = rule(
        block(
            plan.ScanStmt(0, 3, 4, block(plan.AssignVarOnceStmt(local(4), RESULT))),
        )
    )
    assert value_of(func, input=[1, Number("1.0")]) == 1
    with pytest.raises(EvaluationError) as caught:
        value_of(func, input=[1, 2])
    assert caught.value.problem.code == "eval_conflict_error"
    assert caught.value.problem.message == "rule data.t.p produced conflicting values"


def test_assign_once_of_different_constants_conflicts():
    func = rule(
        block(plan.AssignVarOnceStmt(TRUE, RESULT)), block(plan.AssignVarOnceStmt(FALSE, RESULT))
    )
    with pytest.raises(EvaluationError):
        value_of(func)


def test_conflict_of_a_function_names_it():
    inner = rule(
        block(plan.AssignVarOnceStmt(local(3), RESULT)),
        block(plan.AssignVarOnceStmt(TRUE, RESULT)),
        name="g0.data.t.f",
        params=(0, 1, 3),
    )
    outer = rule(block(plan.CallStmt("g0.data.t.f", (INPUT, DATA, string(0)), RESULT)))
    with pytest.raises(EvaluationError) as caught:
        value_of(inner, outer, strings=("x",))
    want = "function data.t.f produced conflicting values for the same inputs"
    assert caught.value.problem.message == want


def test_a_conflict_has_the_place_of_its_rule():
    where = plan.Location(file=0, row=7, col=3)
    func = rule(
        block(plan.AssignVarOnceStmt(TRUE, RESULT)),
        block(plan.AssignVarOnceStmt(FALSE, RESULT, where)),
    )
    runner = PlanRunner(policy(func, files=("a.rego",)), {})
    with pytest.raises(EvaluationError) as caught:
        runner.evaluate("t/p")
    at = caught.value.problem.location
    assert (at.file, at.row, at.col) == ("a.rego", 7, 3)
    assert str(caught.value).startswith("a.rego:7: eval_conflict_error: ")


def test_insert_once_conflicts_only_on_another_value():
    func = rule(
        block(plan.MakeObjectStmt(RESULT)),
        block(
            plan.ScanStmt(0, 3, 4, block(plan.ObjectInsertOnceStmt(string(0), local(4), RESULT))),
        ),
    )
    assert value_of(func, strings=("k",), input=["v", "v"]) == {"k": "v"}
    with pytest.raises(EvaluationError, match="object keys must be unique"):
        value_of(func, strings=("k",), input=["v", "w"])


def test_objects_take_any_key():
    func = rule(
        block(plan.MakeObjectStmt(RESULT)),
        block(plan.ScanStmt(0, 3, 4, block(plan.ObjectInsertStmt(local(4), local(3), RESULT)))),
        block(plan.DotStmt(local(RESULT), TRUE, 5), plan.AssignVarStmt(local(5), RESULT)),
    )
    assert value_of(func, input=[1, True, [2]]) == 1


def test_merge_prefers_the_first_object():
    func = rule(
        block(
            plan.DotStmt(INPUT, string(0), 3),
            plan.DotStmt(INPUT, string(1), 4),
            plan.ObjectMergeStmt(3, 4, RESULT),
        )
    )
    document = {"a": {"x": 1, "y": {"p": 1}}, "b": {"x": 2, "y": {"q": 2}, "z": 3}}
    before = copy.deepcopy(document)
    want = {"x": 1, "y": {"p": 1, "q": 2}, "z": 3}
    assert value_of(func, strings=("a", "b"), input=document) == want
    assert document == before


@pytest.mark.parametrize(
    ("statement", "accepted"),
    [
        (plan.IsArrayStmt, [1]),
        (plan.IsObjectStmt, {"a": 1}),
        (plan.IsSetStmt, RegoSet.of([1])),
    ],
)
def test_type_checks_accept_their_type_alone(statement, accepted):
    func = rule(block(statement(INPUT), DONE))
    for value in ([1], {"a": 1}, RegoSet.of([1]), "x", 1, None, True, UNDEFINED):
        assert (value_of(func, input=value) is True) == (value == accepted and value is not True)


def test_length_of_collections():
    func = rule(block(plan.LenStmt(INPUT, RESULT)))
    values = ([1, 2], {"a": 1}, RegoSet.of([1, 2, 3]), "é", 5)
    assert [value_of(func, input=value) for value in values] == [2, 1, 3, 1, UNDEFINED]


def test_numbers_keep_their_text():
    func = rule(block(plan.MakeNumberRefStmt(0, RESULT)))
    got = value_of(func, strings=("1.10",))
    assert isinstance(got, Number)
    assert got.text == "1.10"


def test_a_local_can_be_reset_and_tested():
    func = rule(
        block(
            plan.AssignIntStmt(4, 3),
            plan.IsDefinedStmt(3),
            plan.ResetLocalStmt(3),
            plan.IsUndefinedStmt(3),
            DONE,
        )
    )
    assert value_of(func) is True


def test_not_holds_where_its_block_is_undefined():
    def negated(*stmts):
        return value_of(rule(block(plan.NotStmt(block(*stmts)), DONE)), strings=("a",), input={})

    assert negated(plan.DotStmt(INPUT, string(0), 3)) is True
    assert negated(plan.IsObjectStmt(INPUT)) is UNDEFINED
    assert negated(plan.MakeSetStmt(3), plan.IsSetStmt(local(3))) is UNDEFINED
    assert negated(plan.MakeSetStmt(3), plan.IsArrayStmt(local(3))) is True


@pytest.mark.parametrize("level", range(4))
def test_break_leaves_as_many_blocks_as_it_says(level):
    def mark(number, inner=()):
        return (
            plan.MakeArrayStmt(0, 9),
            *inner,
            plan.MakeNumberIntStmt(number, 4),
            plan.ArrayAppendStmt(local(4), RESULT),
        )

    nested = mark(0, (plan.BreakStmt(level),))
    for number in (1, 2, 3):
        nested = mark(number, (plan.BlockStmt((block(*nested),)),))
    func = rule(block(plan.MakeArrayStmt(0, RESULT)), block(*nested))
    assert value_of(func) == list(range(level + 1, 4))


@pytest.mark.parametrize(("level", "want"), [(0, "0123"), (1, "0123"), (2, "0")])
def test_break_out_of_loops(level, want):
    """Level 1 ends the inner loop's block each time; level 2 leaves the block around the loop."""
    inner = block(
        plan.MakeSetStmt(8), plan.BlockStmt((block(plan.MakeSetStmt(7), plan.BreakStmt(level)),))
    )
    func = rule(
        block(plan.MakeArrayStmt(0, RESULT)),
        block(
            plan.ScanStmt(
                0,
                3,
                4,
                block(
                    plan.ArrayAppendStmt(local(4), RESULT),
                    plan.BlockStmt((inner,)) if level < 2 else inner.stmts[1],
                ),
            )
        ),
    )
    assert "".join(value_of(func, input=list("0123"))) == want


def test_break_through_two_loops_stops_both():
    func = rule(
        block(plan.MakeArrayStmt(0, RESULT)),
        block(
            plan.BlockStmt(
                (
                    block(
                        plan.ScanStmt(
                            0,
                            3,
                            4,
                            block(
                                plan.ScanStmt(
                                    0,
                                    5,
                                    6,
                                    block(
                                        plan.ArrayAppendStmt(local(6), RESULT),
                                        plan.BreakStmt(2),
                                    ),
                                )
                            ),
                        ),
                        plan.ArrayAppendStmt(string(0), RESULT),
                    ),
                )
            ),
            plan.ArrayAppendStmt(string(1), RESULT),
        ),
    )
    assert value_of(func, strings=("skipped", "after"), input=["a", "b"]) == ["a", "after"]


def test_with_changes_a_path_for_its_block_alone():
    inner = rule(block(plan.DotStmt(INPUT, string(0), RESULT)), name="g0.data.t.q")
    func = rule(
        block(
            plan.MakeArrayStmt(0, 9),
            plan.CallStmt("g0.data.t.q", (INPUT, DATA), 3),
            plan.ArrayAppendStmt(local(3), 9),
            plan.WithStmt(
                0,
                (0, 1),
                TRUE,
                block(
                    plan.CallStmt("g0.data.t.q", (INPUT, DATA), 4),
                    plan.ArrayAppendStmt(local(4), 9),
                ),
            ),
            plan.CallStmt("g0.data.t.q", (INPUT, DATA), 5),
            plan.ArrayAppendStmt(local(5), 9),
            plan.AssignVarStmt(local(9), RESULT),
        )
    )
    document = {"a": {"b": 1, "c": 2}}
    want = [{"b": 1, "c": 2}, {"b": True, "c": 2}, {"b": 1, "c": 2}]
    assert value_of(inner, func, strings=("a", "b"), input=document) == want
    assert document == {"a": {"b": 1, "c": 2}}


def test_with_creates_what_is_missing():
    func = rule(
        block(plan.WithStmt(0, (0, 1), TRUE, block(plan.AssignVarStmt(INPUT, RESULT)))),
    )
    for missing in (UNDEFINED, 5, {}, {"a": 3}):
        assert value_of(func, strings=("a", "b"), input=missing) == {"a": {"b": True}}


def test_an_undefined_block_makes_with_undefined():
    func = rule(block(plan.WithStmt(0, (), TRUE, block(plan.IsObjectStmt(INPUT))), DONE))
    assert value_of(func, input={}) is UNDEFINED


def test_dynamic_calls_find_rules_by_path():
    inner = rule(block(plan.AssignVarStmt(string(1), RESULT)), name="g0.data.t.q")
    func = rule(
        block(plan.CallDynamicStmt((0, 1), RESULT, (string(0), string(2), INPUT))),
    )
    strings = ("g0", "found", "t")
    assert value_of(inner, func, strings=strings, input="q") == "found"
    for unknown in ("r", 1, ["q"], {}, UNDEFINED):
        assert value_of(inner, func, strings=strings, input=unknown) is UNDEFINED


def test_a_rule_runs_once_per_evaluation():
    counted = rule(
        block(plan.CallStmt("rand.intn", (string(0), local(1)), RESULT)), name="g0.data.t.q"
    )
    func = rule(
        block(
            plan.CallStmt("g0.data.t.q", (INPUT, DATA), 3),
            plan.CallStmt("g0.data.t.q", (INPUT, DATA), 4),
            plan.EqualStmt(local(3), local(4)),
            DONE,
        )
    )
    got = value_of(counted, func, strings=("seed",), builtins=("rand.intn",), data=10**9)
    assert got is True


def test_a_failing_builtin_is_undefined_unless_strict():
    func = rule(block(plan.CallStmt("to_number", (string(0),), RESULT)))
    context = Context()
    arguments = {"strings": ("x",), "builtins": ("to_number",)}
    assert value_of(func, **arguments, context=context) is UNDEFINED
    assert len(context.builtin_errors) == 1
    with pytest.raises(EvaluationError) as caught:
        value_of(func, **arguments, context=Context(strict=True))
    assert caught.value.problem.code == "eval_builtin_error"


def test_a_lookup_in_a_growing_object_is_made_anew():
    func = rule(
        block(
            plan.MakeArrayStmt(0, 9),
            plan.MakeObjectStmt(3),
            plan.ObjectInsertStmt(string(0), TRUE, 3),
            plan.DotStmt(local(3), string(0), 4),
            plan.ArrayAppendStmt(local(4), 9),
            plan.ObjectInsertStmt(string(0), FALSE, 3),
            plan.DotStmt(local(3), string(0), 5),
            plan.ArrayAppendStmt(local(5), 9),
            plan.AssignVarStmt(local(9), RESULT),
        )
    )
    assert value_of(func, strings=("a",)) == [True, False]


def test_assign_once_minds_values_that_were_not_assigned():
    func = rule(block(plan.DotStmt(INPUT, string(0), RESULT), plan.AssignVarOnceStmt(TRUE, RESULT)))
    assert value_of(func, strings=("a",), input={"a": True}) is True
    with pytest.raises(EvaluationError):
        value_of(func, strings=("a",), input={"a": 1})


def test_a_local_that_no_path_sets_is_undefined():
    func = rule(
        block(
            plan.BlockStmt((block(plan.DotStmt(INPUT, string(0), 3), plan.MakeNullStmt(4)),)),
            plan.IsUndefinedStmt(4),
            DONE,
        )
    )
    assert value_of(func, strings=("a",), input={}) is True
    assert value_of(func, strings=("a",), input={"a": 1}) is UNDEFINED


def test_base_data_stays_as_it_was():
    func = rule(
        block(
            plan.WithStmt(
                1,
                (0, 1),
                TRUE,
                block(plan.DotStmt(DATA, string(0), 3), plan.AssignVarStmt(local(3), RESULT)),
            )
        )
    )
    data = {"a": {"c": 1}}
    assert value_of(func, strings=("a", "b"), data=data) == {"b": True, "c": 1}
    assert data == {"a": {"c": 1}}
