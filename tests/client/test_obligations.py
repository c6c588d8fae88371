import pytest

from policy_agent.client import (
    Decision,
    DeniedError,
    authorize,
    enforce,
    filter_rows,
    limit,
    mask_fields,
)

ALLOWED = {"allow": True}


def test_obligations_are_fulfilled_in_order():
    decision = Decision(True, obligations=({"type": "add", "n": 1}, {"type": "double"}))
    handlers = {"add": lambda o, v: v + o["n"], "double": lambda o, v: v * 2}
    assert enforce(decision, handlers, lambda: 3) == 8


def test_an_obligation_nobody_understands_denies_before_anything_is_done():
    ran = []
    for unknown in ({"type": "unknown"}, {"type": 7}, {"type": ["list"]}, {}):
        decision = Decision(True, obligations=({"type": "known"}, unknown))
        with pytest.raises(DeniedError, match="cannot be fulfilled here"):
            enforce(decision, {"known": lambda o, v: ran.append(o)}, lambda: ran.append("act"))
    assert ran == []


def test_a_denial_carries_its_reasons():
    decision = Decision(False, reasons=("no", "never"), obligations=({"type": "step_up"},))
    ran = []
    with pytest.raises(DeniedError, match="no; never") as caught:
        enforce(decision, {}, lambda: ran.append("act"))
    assert caught.value.reasons == ("no", "never")
    assert caught.value.obligations == ({"type": "step_up"},)
    assert caught.value.decision is decision
    assert ran == []


def test_what_comes_before_can_keep_the_act_from_happening():
    def step_up(obligation):
        raise DeniedError(("sign in again",), (obligation,))

    ran: list[object] = []
    decision = Decision(True, obligations=({"type": "step_up"},))
    with pytest.raises(DeniedError, match="sign in again"):
        enforce(decision, {}, lambda: ran.append("act"), before={"step_up": step_up})
    assert ran == []
    assert enforce(decision, {}, lambda: 1, before={"step_up": ran.append}) == 1
    assert ran == [{"type": "step_up"}]


def test_an_obligation_that_fails_withholds_the_outcome():
    decision = Decision(True, obligations=({"type": "mask"},))
    with pytest.raises(DeniedError, match="'mask' could not be fulfilled") as caught:
        enforce(decision, {"mask": lambda o, v: v["secret"]}, dict)
    assert isinstance(caught.value.__cause__, KeyError)


def test_fulfilment_is_reported(agent):
    answers, seen = agent
    answers += [(204, {}), (204, {})]
    obligations = ({"type": "notify"}, {"type": "mask"}, {"type": "mask"})
    decision = Decision(True, obligations=obligations, decision_id="d-1")
    assert enforce(decision, {"mask": lambda o, v: v}, lambda: 1, before={"notify": id}) == 1
    with pytest.raises(DeniedError):
        enforce(decision, {"mask": lambda o, v: v + ""}, lambda: 1, before={"notify": id})
    assert seen[0].path == "/v1/obligations/d-1"
    assert seen[0].body == {
        "obligations": [
            {"type": kind, "status": "fulfilled"} for kind in ("notify", "mask", "mask")
        ]
    }
    assert seen[1].body["obligations"] == [
        {"type": "notify", "status": "fulfilled"},
        {"type": "mask", "status": "failed", "error": "TypeError"},
    ]


def test_a_report_that_is_lost_is_logged_and_no_more(agent, caplog):
    answers, _ = agent
    answers.append((500, {"message": "full"}))
    decision = Decision(True, obligations=({"type": "mask"},), decision_id="d-1")
    assert enforce(decision, {"mask": lambda o, v: v}, lambda: 1) == 1
    assert "d-1" in caplog.text
    assert "500" in caplog.text


def test_fields_are_masked_in_a_copy():
    order = {"id": 1, "card": "4111", "lines": [{"sku": "a", "cost": 3}, {"sku": "b"}]}
    obligation = {"type": "mask_fields", "fields": ["card", "lines.cost", "absent", "id.x"]}
    assert mask_fields(obligation, order) == {
        "id": 1, "card": "***", "lines": [{"sku": "a", "cost": "***"}, {"sku": "b"}]
    }  # fmt: skip
    assert "4111" in order.values()
    assert mask_fields({**obligation, "with": None}, [order])[0]["card"] is None
    with pytest.raises(TypeError):
        mask_fields(obligation, '{"card": "4111"}')


def test_rows_are_filtered_and_limited():
    rows: list[object] = [{"region": {"name": "eu"}}, {"region": {"name": "us"}}, {}, "text"]
    obligation = {"type": "filter_rows", "field": "region.name", "values": ["eu"]}
    assert filter_rows(obligation, rows) == rows[:1]
    assert limit({"type": "limit", "rows": 2}, rows) == rows[:2]
    for handler, asked in ((filter_rows, obligation), (limit, {"rows": 2})):
        with pytest.raises(TypeError):
            handler(asked, {"rows": rows})


def test_a_decorated_function_runs_when_it_is_allowed_to(agent):
    answers, seen = agent
    ran = []

    @authorize(
        "orders/decision",
        token=lambda event, context: event["token"],
        handlers={"mask_fields": mask_fields},
        action="orders:read",
        resource=lambda event, context: {"id": event["id"]},
    )
    def read(event, context):
        """Read."""
        ran.append(event["id"])
        return {"id": event["id"], "card": "4111"}

    obligation = {"type": "mask_fields", "fields": ["card"]}
    answers += [
        (200, {"result": {"allow": True, "obligations": [obligation]}}),
        (200, {"result": {"allow": False, "reasons": ["no"]}}),
    ]
    assert read({"id": "o-1", "token": "t"}, None) == {"id": "o-1", "card": "***"}
    with pytest.raises(DeniedError, match="no"):
        read({"id": "o-2", "token": "t"}, None)
    assert ran == ["o-1"]
    assert seen[0].body == {"input": {"action": "orders:read", "resource": {"id": "o-1"}}}
    assert seen[0].headers["Authorization"] == "Bearer t"
    assert (read.__name__, read.__doc__) == ("read", "Read.")
