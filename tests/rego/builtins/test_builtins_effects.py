"""Built-ins whose answers depend on the evaluation."""

import pytest

from policy_agent.model import UNDEFINED
from policy_agent.rego.builtins.catalog import resolve
from policy_agent.rego.builtins.registry import BuiltinError
from policy_agent.rego.context import Context


def run(name, *operands, context=None):
    builtin = resolve(name)
    return builtin.function(*((context or Context(),) if builtin.needs_context else ()), *operands)


NONDETERMINISTIC = [
    "http.send",
    "net.lookup_ip_addr",
    "opa.runtime",
    "rand.intn",
    "time.now_ns",
    "uuid.rfc4122",
]


@pytest.mark.parametrize("name", NONDETERMINISTIC)
def test_nondeterministic_built_ins_say_so(name):
    assert not resolve(name).deterministic


def test_the_time_is_recorded_as_opa_logs_it():
    context = Context(now_ns=7)
    assert run("time.now_ns", context=context) == 7
    assert context.nd_cache == {"time.now_ns": {"[]": 7}}


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        pytest.param("uuid.rfc4122", ["k"], id="uuid"),
        pytest.param("rand.intn", ["k", 10**9], id="rand"),
    ],
)
def test_random_answers_stay_the_same_within_an_evaluation_only(name, operands):
    context = Context()
    first = run(name, *operands, context=context)
    assert run(name, *operands, context=context) == first
    assert list(context.nd_cache[name].values()) == [first]
    assert run(name, *operands) != first
    assert run(name, "other", *operands[1:], context=context) != first


def test_rand_intn_takes_the_limit_without_its_sign():
    context = Context()
    assert 0 <= run("rand.intn", "k", -5, context=context) < 5
    assert run("rand.intn", "k", 0, context=context) == 0


def test_opa_runtime_hides_credentials_and_keys():
    config = {
        "services": {"s": {"url": "u", "credentials": {"bearer": {"token": "secret"}}}},
        "keys": {"k": {"algorithm": "HS256", "key": "secret", "private_key": "secret"}},
        "labels": {"id": "x"},
    }
    context = Context(runtime={"config": config})
    assert run("opa.runtime", context=context) == {
        "config": {
            "services": {"s": {"url": "u"}},
            "keys": {"k": {"algorithm": "HS256"}},
            "labels": {"id": "x"},
        }
    }


def test_opa_runtime_has_no_environment_of_its_own():
    assert run("opa.runtime") == {}


def test_a_host_that_is_not_allowed_is_not_looked_up():
    with pytest.raises(BuiltinError, match="disallowed host: localhost"):
        run("net.lookup_ip_addr", "localhost", context=Context(allow_net=frozenset()))


def test_an_address_looks_up_to_itself():
    assert list(run("net.lookup_ip_addr", "127.0.0.1")) == ["127.0.0.1"]


def test_parse_of_what_is_no_uuid_is_undefined_without_an_error():
    assert run("uuid.parse", "x") is UNDEFINED


def test_metadata_outside_a_rule_is_an_error():
    with pytest.raises(BuiltinError, match=r"rego\.metadata\.rule function must only be called"):
        run("rego.metadata.rule")


def test_parse_module_returns_opas_ast_or_its_errors():
    assert run("rego.parse_module", "a.rego", "package a.b")["package"]["path"][1]["value"] == "a"
    with pytest.raises(BuiltinError, match="rego_parse_error"):
        run("rego.parse_module", "a.rego", "package")


@pytest.mark.parametrize("depth", [100, 20_000])
def test_deep_graphql_and_schemas_end_in_an_answer(depth):
    deep = "{a" * depth + "}" * depth
    assert run("graphql.is_valid", deep, "type Query {a: Query}") in (True, False)
    assert run("json.verify_schema", '{"not":' * depth + "{}" + "}" * depth)[0] in (True, False)
