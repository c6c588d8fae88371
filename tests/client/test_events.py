import base64
import json

import pytest

from policy_agent.client.events import header, input_of, subject_of, token_of

CLAIMS = {"sub": "alice", "scope": "orders"}


def http_api(authorizer=None, **context):
    return {
        "version": "2.0",
        "routeKey": "GET /orders/{id}",
        "rawPath": "/orders/1",
        "headers": {"authorization": "Bearer t.o.k"},
        "queryStringParameters": {"full": "1"},
        "pathParameters": {"id": "1"},
        "requestContext": {
            "http": {"method": "GET", "path": "/orders/1"},
            "stage": "$default",
            **({"authorizer": authorizer} if authorizer else {}),
            **context,
        },
    }


def rest_api(authorizer=None, **identity):
    return {
        "resource": "/orders/{id}",
        "path": "/orders/1",
        "httpMethod": "GET",
        "headers": {"Authorization": "bearer t.o.k"},
        "multiValueHeaders": {"Authorization": ["bearer t.o.k"]},
        "queryStringParameters": None,
        "pathParameters": {"id": "1"},
        "requestContext": {
            "authorizer": authorizer,
            "identity": {"sourceIp": "1.2.3.4", **identity},
        },
    }


def load_balancer(**headers):
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn"}},
        "httpMethod": "GET",
        "path": "/orders/1",
        "queryStringParameters": {},
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }


def signed(claims):
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()) for each in ({}, claims)]
    return b".".join([*parts, b"sig"]).decode()


CERTIFICATE = {"subjectDN": "CN=till", "issuerDN": "CN=ca", "serialNumber": "7"}
TOLD = {"subject": "CN=till", "issuer": "CN=ca", "serial": "7"}
MTLS = {f"x_amzn_mtls_clientcert_{key}": value for key, value in
        {"subject": "CN=till", "issuer": "CN=ca", "serial_number": "7"}.items()}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "subject"),
    [
        pytest.param(
            http_api({"jwt": {"claims": CLAIMS, "scopes": ["orders"]}}),
            {"kind": "jwt", "id": "alice", "claims": CLAIMS, "scopes": ["orders"]},
            id="HTTP API, JWT",
        ),
        pytest.param(
            http_api({"jwt": {"claims": {}, "scopes": None}}),
            {"kind": "jwt", "claims": {}, "scopes": []}, id="HTTP API, JWT without subject",
        ),
        pytest.param(
            http_api({"iam": {"userArn": "arn:u", "accountId": "1"}}),
            {"kind": "iam", "id": "arn:u", "account": "1"}, id="HTTP API, IAM",
        ),
        pytest.param(
            http_api({"lambda": {"role": "admin"}}),
            {"kind": "lambda", "claims": {"role": "admin"}}, id="HTTP API, Lambda authorizer",
        ),
        pytest.param(
            http_api(authentication={"clientCert": CERTIFICATE}),
            {"kind": "mtls", "id": "CN=till", "certificate": TOLD}, id="HTTP API, mTLS",
        ),
        pytest.param(http_api(), {"kind": "anonymous"}, id="HTTP API, nobody"),
        pytest.param(
            rest_api({"claims": CLAIMS}),
            {"kind": "cognito", "id": "alice", "claims": CLAIMS}, id="REST API, Cognito",
        ),
        pytest.param(
            rest_api({"principalId": "p", "role": "admin"}),
            {"kind": "lambda", "id": "p", "claims": {"principalId": "p", "role": "admin"}},
            id="REST API, Lambda authorizer",
        ),
        pytest.param(
            rest_api(userArn="arn:u", accountId="1", cognitoIdentityId="eu:1"),
            {"kind": "iam", "id": "arn:u", "account": "1", "cognito_identity": "eu:1"},
            id="REST API, IAM",
        ),
        pytest.param(
            rest_api({"claims": CLAIMS}, clientCert=CERTIFICATE),
            {"kind": "cognito", "id": "alice", "claims": CLAIMS, "certificate": TOLD},
            id="REST API, Cognito and mTLS",
        ),
        pytest.param(
            load_balancer(x_amzn_oidc_identity="alice", x_amzn_oidc_data=signed(CLAIMS)),
            {"kind": "alb", "id": "alice", "claims": CLAIMS}, id="ALB, OpenID Connect",
        ),
        pytest.param(
            load_balancer(**MTLS),
            {"kind": "mtls", "id": "CN=till", "certificate": TOLD}, id="ALB, mTLS",
        ),
        pytest.param(load_balancer(x_amzn_oidc_data="x"), {"kind": "anonymous"}, id="ALB, nobody"),
        pytest.param({}, {"kind": "anonymous"}, id="no event of a gateway's"),
        pytest.param(
            {**http_api(), "headers": load_balancer(
                x_amzn_oidc_data=signed(CLAIMS), **MTLS)["headers"]},
            {"kind": "anonymous"}, id="a load balancer's headers from elsewhere",
        ),
    ],
)  # fmt: skip
def test_the_subject_is_whom_the_gateway_has_verified(event, subject):
    assert subject_of(event) == subject


@pytest.mark.parametrize("event", [http_api(), rest_api()], ids=["HTTP API", "REST API"])
def test_the_action_is_the_route(event):
    found = input_of(event)
    assert found["action"] == "GET /orders/{id}"
    assert found["resource"]["path"] == "/orders/1"
    assert found["resource"]["parameters"] == {"id": "1"}
    assert token_of(event) == "t.o.k"
    assert "t.o.k" not in json.dumps(found)


def test_without_routes_the_action_is_the_path():
    assert input_of(load_balancer())["action"] == "GET /orders/1"
    event = {**http_api(), "routeKey": "$default"}
    assert input_of(event)["action"] == "GET /orders/1"


def test_headers_have_any_case():
    event = {"headers": {"X-Name": "a"}, "multiValueHeaders": {"X-NAME": ["b", "c"]}}
    assert header(event, "x-name") == "c"
    assert header({"headers": {"X-Name": "a"}, "multiValueHeaders": None}, "x-name") == "a"
    assert header({"headers": None}, "x-name") == token_of({}) == ""
    assert token_of({"headers": {"Authorization": "Basic x"}}) == ""
