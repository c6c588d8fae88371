import pytest

from policy_agent.config import Freshness, PortTokenSource, parse_config, with_bundle_path
from policy_agent.config.source import read_document
from policy_agent.errors import ConfigError

FULL = """
services:
  - name: central
    url: https://bundles.example.com/v1/
    headers: {X-Team: policy}
    credentials:
      bearer: {token: "${TOKEN}"}
keys:
  global: {key: "-----BEGIN PUBLIC KEY-----", algorithm: ES256, scope: read}
bundles:
  orders:
    resource: bundles/orders.tar.gz
    polling: {min_delay_seconds: 10, max_delay_seconds: 20}
    signing: {keyid: global}
  local: {resource: "file:///opt/bundle.tar.gz"}
decision_logs:
  reporting: {min_delay_seconds: 1, max_delay_seconds: 2, upload_size_limit_bytes: 10}
status: {service: central}
labels: {app: shop}
persistence_directory: /tmp/x
"""


def problems_of(document):
    with pytest.raises(ConfigError) as caught:
        parse_config(document)
    return caught.value.problems


def test_opas_configuration_file_is_understood():
    document = read_document({"POLICY_AGENT_CONFIG": FULL, "TOKEN": "secret"})
    config = parse_config(document)
    service = config.services["central"]
    assert service.url == "https://bundles.example.com/v1"
    assert service.credentials.token == "secret"
    orders = config.bundles["orders"]
    assert (orders.service, orders.polling.max_seconds) == (service, 20)
    assert orders.signing.key_ids == ("global",)
    assert config.bundles["local"].service is None
    assert config.decision_logs.upload_size_limit_bytes == 90
    assert config.decision_logs.resource == "/logs"
    assert config.status.service is service
    assert config.labels["app"] == "shop"
    assert config.labels.keys() == {"app", "id", "version"}
    assert config.warnings == ()


def test_defaults_are_opas():
    config = parse_config({"services": {"s": {"url": "http://s"}}, "bundles": {"b": {}}})
    bundle = config.bundles["b"]
    assert bundle.resource == "bundles/b"
    assert (bundle.polling.min_seconds, bundle.polling.max_seconds) == (60, 120)
    assert config.decision_logs is None
    assert config.default_decision == "system/main"


def test_every_wrong_value_is_reported_at_once_by_key():
    problems = problems_of(
        {
            "services": {"s": {"url": "ftp://x"}, "t": {"url": "http://t", "type": "x"}},
            "bundles": {
                "b": {"service": "nope", "size_limit_bytes": 0, "signing": {}},
                "c": {"service": "t", "polling": {"min_delay_seconds": 5}},
            },
            "labels": {"n": 1},
            "decision_logs": {"reporting": {"upload_size_limit_bytes": "big"}, "service": "t"},
            "server": {"encoding": {"gzip": {"compression_level": 5}}},
            "on_init_failure": "panic",
            "discovery": {"service": "t"},
        }
    )
    assert problems == [
        "services.s.url: must be an http or https URL",
        "services.t.type: must be oci, or left out",
        "bundles.b.service: is not among services",
        "bundles.b.size_limit_bytes: must be at least 1",
        "bundles.b.signing.keyid: no verification keys configured under keys",
        "bundles.c.polling.min_delay_seconds: goes together with max_delay_seconds",
        "discovery.resource: is required",
        "decision_logs.reporting.upload_size_limit_bytes: must be a number",
        "server.encoding.gzip.compression_level: must be 0, 1 or 9",
        "on_init_failure: must be one of deny, fail",
        "labels.n: must be a string",
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        pytest.param({"services": 3}, "services: must be an object", id="not an object"),
        pytest.param(
            {"services": [{"url": "http://x"}]}, "services[0]: must be an object with a name",
            id="unnamed service",
        ),
        pytest.param(
            {"bundles": {"b": {}}},
            "bundles.b.service: is required unless exactly one service is configured",
            id="no service",
        ),
        pytest.param(
            {"services": {"s": {"url": "http://s", "credentials": {"gcp_metadata": {"x": 1}}}}},
            "services.s.credentials.gcp_metadata: is not supported by this version",
            id="credentials that cannot be had",
        ),
        pytest.param(
            {"services": {"s": {"url": "http://s", "credentials": {"bearer": {}}}}},
            "services.s.credentials.bearer.token: "
            "there must be exactly one of token and token_path",
            id="bearer without token",
        ),
        pytest.param(
            {"decision_logs": {"console": True, "audit_key": "k", "audit_key_path": "/k"}},
            "decision_logs.audit_key: must not be given together with audit_key_path",
            id="two audit keys",
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(document, problem):
    assert problem in problems_of(document)


def test_identity_says_whose_tokens_count():
    issuer = {"issuer": "https://i/", "audiences": ["a"], "jwks_url": "https://i/keys"}
    identity = parse_config({"identity": {"issuers": {"i": issuer}}}).identity
    assert identity.issuers["i"].algorithms == ("RS256",)
    assert (identity.required, identity.header, identity.input_field) == (True, "authorization", ())
    field = {"issuers": {"i": issuer}, "input_field": "a.b", "required": False}
    identity = parse_config({"identity": field}).identity
    assert (identity.required, identity.header, identity.input_field) == (False, "", ("a", "b"))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        pytest.param({}, "issuer: is required", id="no issuer"),
        pytest.param(
            {"audiences": []}, "audiences: must name at least one audience", id="no audience"
        ),
        pytest.param(
            {"algorithms": ["none"]}, "algorithms: must be among ES256, ES384", id="none"
        ),
        pytest.param(
            {"algorithms": ["RS256", "HS256"]}, "algorithms: HS* must stand alone", id="confusion"
        ),
        pytest.param(
            {"algorithms": ["HS256"], "jwks_url": "https://i/k"}, "algorithms: HS* must stand",
            id="secrets over the net",
        ),
        pytest.param({"jwks": {"keys": []}, "jwks_url": "https://i/k"},
                     "jwks_url: there must be exactly one", id="two sources"),
        pytest.param({"jwks_url": ""}, "jwks_url: there must be exactly one", id="no source"),
        pytest.param({"jwks_url": "http://i/k"}, "jwks_url: must be an https URL", id="plain http"),
        pytest.param({"jwks_url": "", "jwks": []}, "jwks: must be a JSON Web Key Set", id="jwks"),
    ],
)  # fmt: skip
def test_an_issuer_that_would_weaken_the_check_is_refused(settings, problem):
    good = {"audiences": ["a"], "jwks_url": "https://i/keys", "algorithms": ["RS256"]}
    issuer = {**good, **({"issuer": "https://i/"} if settings else {}), **settings}
    problems = problems_of({"identity": {"issuers": {"i": issuer}}})
    assert any(each.startswith(f"identity.issuers.i.{problem}") for each in problems)


def test_the_ports_token_is_made_or_given():
    server = parse_config({"server": {"port_token": {}}, "persistence_directory": "/state"}).server
    assert server.port_token == PortTokenSource("/state/port-token")
    assert parse_config({}).server.port_token is None
    for secret in ("", "${AWS_SESSION_TOKEN}"):
        assert problems_of({"server": {"port_token": {"secret": secret}}}) == [
            "server.port_token.secret: is empty or an environment variable that is not set"
        ]
    assert problems_of({"server": {"port_token": {"secret": "s", "path": "/p"}}}) == [
        "server.port_token.path: must not be given together with secret"
    ]


def test_a_caller_is_identified_in_one_way():
    issuer = {"issuer": "https://i/", "audiences": ["a"], "jwks": {"keys": []}}
    issuers = {"i": issuer, "j": issuer}
    wrong = {"issuers": issuers, "header": "a b", "input_field": "identity.token"}
    assert problems_of({"identity": wrong}) == [
        "identity.issuers.j.issuer: is the issuer of another entry, too",
        "identity.input_field: must be keys joined by dots, not below identity",
        "identity.input_field: cannot stand beside header",
        "identity.header: must be the name of a header",
    ]
    assert problems_of({"identity": {}}) == ["identity.issuers: is required"]


def test_mirrors_have_the_resource_of_the_bundle_unless_they_say_otherwise():
    services = {name: {"url": f"http://{name}"} for name in ("a", "b", "c")}
    bundle = {
        "service": "a",
        "resource": "r.tar.gz",
        "mirrors": [{"service": "b"}, {"service": "c", "resource": "copies/r.tar.gz"}],
        "packaged": "/opt/r.tar.gz",
        "polling": {"long_polling_timeout_seconds": 10},
    }
    config = parse_config({"services": services, "bundles": {"r": bundle}})
    source = config.bundles["r"]
    mirrors = [(mirror.service.name, mirror.resource) for mirror in source.mirrors]
    assert mirrors == [("b", "r.tar.gz"), ("c", "copies/r.tar.gz")]
    assert (source.packaged, source.long_poll_seconds) == ("/opt/r.tar.gz", 10)


@pytest.mark.parametrize(
    ("bundle", "problem"),
    [
        ({"mirrors": {"service": "a"}}, "bundles.r.mirrors: must be a list of objects"),
        ({"mirrors": [{"service": "z"}]}, "bundles.r.mirrors[0].service: is not among services"),
        ({"mirrors": ["b"]}, "bundles.r.mirrors[0]: must be an object"),
        (
            {"resource": "file:///r", "packaged": "/r"},
            "bundles.r.resource: a file has neither mirrors nor a packaged copy",
        ),
        (
            {"polling": {"long_polling_timeout_seconds": 0}},
            "bundles.r.polling.long_polling_timeout_seconds: must be at least 1",
        ),
    ],
)
def test_a_wrong_source_of_a_bundle_is_named(bundle, problem):
    assert problem in problems_of(
        {"services": {"a": {"url": "http://a"}}, "bundles": {"r": bundle}}
    )


def test_freshness_needs_an_age_and_a_service():
    services = {"services": {"s": {"url": "http://s"}}}
    fresh = {"max_age_seconds": 60, "on_stale": "wait", "wait_ms": 100}
    config = parse_config({**services, "bundles": {"b": fresh}})
    assert config.bundles["b"].freshness == Freshness(60, "wait", 100)
    assert problems_of({**services, "bundles": {"b": {"on_stale": "deny"}}}) == [
        "bundles.b.max_age_seconds: is required with on_stale and wait_ms"
    ]
    assert problems_of({"bundles": {"b": {"resource": "file:///b", "max_age_seconds": 1}}}) == [
        "bundles.b.max_age_seconds: needs a service: a file has no age"
    ]


def test_problems_never_show_the_value():
    problems = problems_of({"services": {"s": {"url": "hunter2"}}, "keys": {"k": {"key": 7}}})
    assert "hunter2" not in "".join(problems)


def test_unknown_keys_are_warnings():
    config = parse_config({"servces": {}, "labels": {}, "caching": {"x": 1}})
    assert config.warnings == (
        "caching: has no effect in policy-agent",
        "servces: unknown configuration option",
    )


def test_sets_are_merged_over_the_file(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("services: {s: {url: 'http://a'}}\nlabels: {a: x}\n")
    sets = ["services.s.url=${URL},labels.b=y", r"labels.c\.d=1\,2", "decision_logs.console=true"]
    document = read_document({"URL": "http://b"}, str(file), sets)
    assert document == {
        "services": {"s": {"url": "http://b"}},
        "labels": {"a": "x", "b": "y", "c.d": "1,2"},
        "decision_logs": {"console": True},
    }


def test_unset_variables_stay_as_they_are():
    assert read_document({"POLICY_AGENT_CONFIG": '{"labels": {"a": "${NOPE}"}}'}) == {
        "labels": {"a": "${NOPE}"}
    }


def test_a_packaged_file_is_found(tmp_path):
    (tmp_path / "policy-agent.json").write_text('{"labels": {"a": "b"}}')
    assert read_document({"LAMBDA_TASK_ROOT": str(tmp_path)}) == {"labels": {"a": "b"}}
    assert read_document({"LAMBDA_TASK_ROOT": str(tmp_path / "nowhere")}) == {}


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    file = tmp_path / "c.yaml"
    for content, message in (("a: [", "line 2"), ("- a", "must be an object")):
        file.write_text(content)
        with pytest.raises(ConfigError, match=f"{file}: .*{message}"):
            read_document({}, str(file))
    with pytest.raises(ConfigError, match=r"missing\.yaml: cannot be read"):
        read_document({"POLICY_AGENT_CONFIG": str(tmp_path / "missing.yaml")})
    with pytest.raises(ConfigError, match="--set a: must have the form key=value"):
        read_document({}, None, ["a"])


def test_a_bundle_path_becomes_a_file_bundle(tmp_path):
    config = with_bundle_path(parse_config({}), tmp_path / "orders.tar.gz")
    source = config.bundles["orders.tar.gz"]
    assert source.resource == f"file://{tmp_path}/orders.tar.gz"
    assert source.service is None


def test_sinks_beside_opas_have_rules_and_services_of_their_own():
    logs = parse_config(
        {
            "services": {"s": {"url": "http://s"}, "t": {"url": "http://t"}},
            "decision_logs": {
                "service": "s",
                "mask_decision": "/my/mask",
                "sinks": {
                    "archive": {"type": "s3", "service": "t", "prefix": "/log/"},
                    "events": {"type": "firehose", "service": "t", "stream": "decisions"},
                    "copy": {"type": "file", "path": "/var/log/d", "mask_decision": "/strict"},
                    "out": {"type": "console"},
                },
            },
        }
    ).decision_logs
    sinks = logs.destinations
    assert list(sinks) == ["", "archive", "events", "copy", "out"]
    assert (sinks[""].kind, sinks[""].target, sinks[""].rules.mask) == ("http", "/logs", "my/mask")
    assert (sinks["archive"].service.name, sinks["archive"].target) == ("t", "log")
    assert (sinks["events"].target, sinks["events"].rules.mask) == ("decisions", "my/mask")
    assert (sinks["copy"].service, sinks["copy"].rules.mask) == (None, "strict")
    assert sinks["out"].kind == "console"


def test_sinks_alone_need_no_other_service():
    document = {"decision_logs": {"sinks": {"copy": {"type": "file", "path": "/x"}}}}
    logs = parse_config(document).decision_logs
    assert list(logs.destinations) == ["copy"]


@pytest.mark.parametrize(
    ("sink", "problem"),
    [
        ({"type": "file"}, "decision_logs.sinks.a.path: is required"),
        ({"type": "firehose", "service": "s"}, "decision_logs.sinks.a.stream: is required"),
        ({"type": "kafka"}, "decision_logs.sinks.a.type: must be one of http, s3"),
        ({"type": "s3", "service": "x"}, "decision_logs.sinks.a.service: is not among services"),
    ],
)
def test_a_sink_that_lacks_something_is_named(sink, problem):
    document = {"services": {"s": {"url": "http://s"}}, "decision_logs": {"sinks": {"a": sink}}}
    assert problems_of(document)[0].startswith(problem)
