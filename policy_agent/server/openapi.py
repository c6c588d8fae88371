"""The OpenAPI document of all that the agent serves.

Pure. Loaded only when somebody asks for it.
"""

from __future__ import annotations

from typing import Any, Final

from policy_agent import __version__
from policy_agent.model import JsonObject

_ANY: Final[JsonObject] = {}
_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_REASON: Final = {"type": "string", "minLength": 1}


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, schema: Any, media_type: str = "application/json") -> JsonObject:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _object(properties: JsonObject, *required: str, closed: bool = False) -> JsonObject:
    schema: JsonObject = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    if closed:
        schema["additionalProperties"] = False
    return schema


def _flag(name: str, description: str) -> JsonObject:
    schema = {"type": "string", "enum": ["", "true", "false"]}
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _parameter(name: str, description: str, schema: Any = _TEXT, **more: Any) -> JsonObject:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _path(description: str, pattern: str = "") -> JsonObject:
    schema: JsonObject = {"type": "string", "minLength": 1}
    if pattern:
        schema["pattern"] = pattern
    return {
        "name": "path",
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


_PRETTY: Final = _flag("pretty", "Indent the answer.")
_METRICS: Final = _flag("metrics", "Add how long each step took, in nanoseconds.")
_INSTRUMENT: Final = _flag("instrument", "As metrics.")
_PROVENANCE: Final = _flag("provenance", "Add the agent's version and the bundles' revisions.")
_STRICT: Final = _flag("strict-builtin-errors", "A failing built-in function is an error.")
_EXPLAIN: Final = _parameter(
    "explain",
    "Add how the answer came about.",
    {"enum": ["full", "notes", "fails", "debug"]},
)
_LABELS: Final = _flag("rule_labels", "Add the labels of the rules that held.")
_READING: Final = [_PRETTY, _METRICS, _INSTRUMENT, _PROVENANCE, _STRICT]
_DATA_PATH: Final = _path(
    "A path below `data`, such as `orders/authz/decision`; slashes are not escaped.",
    r"^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z0-9_]+)*$",
)
_BAD: Final = {"400": _answer("The request cannot be read.", _ref("Error"))}
_FAILED: Final = {"500": _answer("The policy could not be evaluated.", _ref("Error"))}
_REFUSED: Final = {"400": _answer("Writes are refused.", _ref("Error"))}


def _body(schema: Any, description: str, *, required: bool = False) -> JsonObject:
    content = {"application/json": {"schema": schema}}
    return {"description": description, "required": required, "content": content}


_SCHEMAS: Final[JsonObject] = {
    "Error": _object(
        {"code": _REASON, "message": _TEXT, "errors": {"type": "array", "items": _OBJECT}},
        "code",
        "message",
        closed=True,
    ),
    "Warning": _object({"code": _REASON, "message": _TEXT}, "code", "message", closed=True),
    "Decision": _object(
        {
            "decision_id": {"type": "string", "description": "Where decisions are logged."},
            "provenance": _OBJECT,
            "explanation": {"type": "array"},
            "metrics": _OBJECT,
            "result": {"description": "The document's value; absent when it is undefined."},
            "rule_labels": {"type": "array", "items": _OBJECT},
            "warning": _ref("Warning"),
        },
        closed=True,
    ),
    "BatchItem": _object(
        {
            "decision_id": _TEXT,
            "http_status_code": {"type": "string", "enum": ["200", "500"]},
            "result": _ANY,
            "code": _TEXT,
            "message": _TEXT,
            "errors": {"type": "array", "items": _OBJECT},
        }
    ),
    "Batch": _object(
        {
            "batch_decision_id": _TEXT,
            "responses": {"type": "object", "additionalProperties": _ref("BatchItem")},
            "metrics": _OBJECT,
            "warning": _ref("Warning"),
        },
        "responses",
        closed=True,
    ),
    "Solutions": _object(
        {
            "explanation": {"type": "array"},
            "metrics": _OBJECT,
            "result": {"type": "array", "items": _OBJECT, "minItems": 1},
            "rule_labels": {"type": "array", "items": _OBJECT},
            "warning": _ref("Warning"),
        },
        closed=True,
    ),
    "Module": _object({"id": _TEXT, "raw": _TEXT, "ast": _OBJECT}, "id", "raw", "ast"),
    "Health": _object({}, closed=True),
    "Unhealthy": _object({"error": _REASON}, "error", closed=True),
    "Subject": _object({"type": _REASON, "id": _REASON, "properties": _OBJECT}, "type", "id"),
    "Action": _object({"name": _REASON, "properties": _OBJECT}, "name"),
    "Evaluation": _object(
        {
            "subject": _ref("Subject"),
            "action": _ref("Action"),
            "resource": _ref("Subject"),
            "context": _OBJECT,
        },
        "subject",
        "action",
        "resource",
    ),
    "Verdict": _object(
        {"decision": {"type": "boolean"}, "context": _OBJECT}, "decision", closed=True
    ),
    "Page": _object(
        {"next_token": _TEXT, "count": {"type": "integer"}, "total": {"type": "integer"}},
        "next_token",
    ),
    "Found": _object(
        {
            "results": {"type": "array", "items": _OBJECT},
            "page": _ref("Page"),
            "context": _OBJECT,
        },
        "results",
        closed=True,
    ),
}


def _operation(
    tag: str, summary: str, responses: JsonObject, *, parameters: Any = (), body: Any = None
) -> JsonObject:
    operation: JsonObject = {"tags": [tag], "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = body
    return operation


_INPUT: Final = _body(
    _object({"input": {"description": "What the policy sees as `input`."}}), "The question."
)
_DECIDED: Final = {"200": _answer("The decision.", _ref("Decision")), **_BAD, **_FAILED}


def _data(parameters: list[JsonObject]) -> JsonObject:
    given = {
        "name": "input",
        "in": "query",
        "description": "What the policy sees as `input`.",
        "content": {"application/json": {"schema": _ANY}},
    }
    refuse = _operation(
        "data", "Refused: data comes from bundles.", _REFUSED, parameters=parameters
    )
    return {
        "get": _operation(
            "data",
            "Decide.",
            _DECIDED,
            parameters=[*parameters, given, *_READING, _EXPLAIN, _LABELS],
        ),
        "post": _operation(
            "data",
            "Decide.",
            _DECIDED,
            parameters=[*parameters, *_READING, _EXPLAIN, _LABELS],
            body=_INPUT,
        ),
        "put": {**refuse, "requestBody": _body(_ANY, "Anything.")},
        "patch": {**refuse, "requestBody": _body({"type": "array"}, "Anything.")},
        **({"delete": refuse} if parameters else {}),
    }


def _bare(summary: str, parameters: list[JsonObject]) -> JsonObject:
    responses = {
        "200": _answer("The document's value.", _ANY),
        "404": _answer("The document is undefined.", _ref("Error")),
        **_BAD,
        **_FAILED,
    }
    return _operation(
        "data",
        summary,
        responses,
        parameters=[*parameters, _PRETTY],
        body=_body(_ANY, "The input."),
    )


_SOLVED: Final = {"200": _answer("The solutions.", _ref("Solutions")), **_BAD, **_FAILED}
_QUERY: Final = {"type": "string", "pattern": r"^[a-z1-9]"}
_QUERYING: Final = [_PRETTY, _METRICS, _INSTRUMENT, _EXPLAIN, _LABELS]
_HEALTHY: Final = {
    "200": _answer("Healthy.", _ref("Health")),
    "500": _answer("Not healthy.", _ref("Unhealthy")),
}
_MISSING: Final = {"404": _answer("There is none.", _ref("Error"))}
_REQUEST_ID: Final = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Comes back with the answer.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]+$"},
}

_UNSERVED: Final = {"404": _answer("It is not configured.", _TEXT, "text/plain")}


def _access(summary: str, schema: Any, answer: Any) -> JsonObject:
    responses = {"200": _answer("The answer.", answer), **_BAD, **_UNSERVED, **_FAILED}
    body = _body(schema, "The request.", required=True)
    return {"post": _operation("authzen", summary, responses, parameters=[_REQUEST_ID], body=body)}


def _search(entity: str) -> JsonObject:
    parts: JsonObject = {"subject": _ref("Subject"), "resource": _ref("Subject")}
    if entity != "action":
        parts["action"] = _ref("Action")
        parts[entity] = _object({"type": _REASON, "properties": _OBJECT}, "type")
    page = _object({"token": {"const": ""}, "limit": {"type": "integer", "minimum": 0}})
    schema = _object({**parts, "context": _OBJECT, "page": page}, *parts)
    return _access(f"Which {entity}s?", schema, _ref("Found"))


_PATHS: Final[JsonObject] = {
    "/v1/data": _data([]),
    "/v1/data/{path}": _data([_DATA_PATH]),
    "/v0/data": {"post": _bare("Decide; the body is the input.", [])},
    "/v0/data/{path}": {"post": _bare("Decide; the body is the input.", [_DATA_PATH])},
    "/": {
        "post": _bare("Ask the default decision.", []),
        "get": _operation(
            "about", "A page for browsers.", {"200": _answer("HTML.", _TEXT, "text/html")}
        ),
    },
    "/v1/batch/data/{path}": {
        "post": _operation(
            "data",
            "Decide about many inputs.",
            {
                "200": _answer("Every decision was made.", _ref("Batch")),
                "207": _answer("Some could not be evaluated.", _ref("Batch")),
                "500": _answer("None could be evaluated.", _ref("Batch")),
                **_BAD,
            },
            parameters=[_DATA_PATH, *_READING],
            body=_body(
                _object({"inputs": {"type": "object"}, "common_input": _ANY}),
                "Inputs by a key of the caller's; `common_input` lies under each.",
            ),
        )
    },
    "/v1/query": {
        "get": _operation(
            "query",
            "Ask a Rego query.",
            _SOLVED,
            parameters=[_parameter("q", "The query.", _QUERY, required=True), *_QUERYING],
        ),
        "post": _operation(
            "query",
            "Ask a Rego query.",
            _SOLVED,
            parameters=_QUERYING,
            body=_body(
                _object({"query": _QUERY, "input": _ANY}, "query"), "The query.", required=True
            ),
        ),
    },
    "/v1/policies": {
        "get": _operation(
            "policies",
            "List the active modules.",
            {
                "200": _answer(
                    "The modules.", _object({"result": {"type": "array", "items": _ref("Module")}})
                )
            },
            parameters=[_PRETTY],
        )
    },
    "/v1/policies/{path}": {
        "get": _operation(
            "policies",
            "Show a module.",
            {"200": _answer("The module.", _object({"result": _ref("Module")})), **_MISSING},
            parameters=[_path("The module's id."), _PRETTY],
        ),
        "put": _operation(
            "policies",
            "Refused: policies come from bundles.",
            _REFUSED,
            parameters=[_path("The module's id.")],
        ),
        "delete": _operation(
            "policies",
            "Refused: policies come from bundles.",
            {**_REFUSED, **_MISSING},
            parameters=[_path("The module's id.")],
        ),
    },
    "/v1/config": {
        "get": _operation(
            "about",
            "Show the settings, without secrets.",
            {"200": _answer("The settings.", _object({"result": _OBJECT}))},
            parameters=[_PRETTY],
        )
    },
    "/v1/status": {
        "get": _operation(
            "about",
            "Show how bundles and logs stand.",
            {
                "200": _answer("The status.", _object({"result": _OBJECT})),
                "500": _answer("No status is configured.", _ref("Error")),
            },
            parameters=[_PRETTY],
        )
    },
    "/v1/compile": {
        "post": _operation(
            "query",
            "Refused: there is no partial evaluation.",
            {"501": _answer("Not supported.", _ref("Error")), **_BAD},
            body=_body(_OBJECT, "Anything."),
        )
    },
    "/v1/obligations/{path}": {
        "post": _operation(
            "data",
            "Tell what became of a decision's obligations.",
            {"204": {"description": "Recorded."}, **_BAD, **_FAILED},
            parameters=[_path("The decision's id.", "^[0-9a-f-]{36}$")],
            body=_body(_object({"obligations": {"type": "array"}}), "See docs/client.md."),
        )
    },
    "/health": {
        "get": _operation(
            "about",
            "Whether the agent is healthy.",
            {**_HEALTHY, **_BAD},
            parameters=[
                _flag("bundles", "Only when every bundle has been activated."),
                _flag("bundle", "The same."),
                _flag("plugins", "Only when every component is OK."),
                _parameter("exclude-plugin", "A component that does not count."),
                _parameter(
                    "max-age",
                    "Only when every bundle was confirmed by its source within so many seconds.",
                    {"type": "integer", "minimum": 0},
                ),
            ],
        )
    },
    "/health/{path}": {
        "get": _operation(
            "about",
            "Whether the rule below `data.system.health` is true.",
            _HEALTHY,
            parameters=[_DATA_PATH],
        )
    },
    "/metrics": {
        "get": _operation(
            "about", "Metrics for Prometheus.", {"200": _answer("Text.", _TEXT, "text/plain")}
        )
    },
    "/metrics/alloc_bytes": {
        "get": _operation(
            "about", "The memory in use.", {"200": _answer("Bytes.", _TEXT, "text/plain")}
        )
    },
    "/openapi.json": {
        "get": _operation("about", "This document.", {"200": _answer("The document.", _OBJECT)})
    },
    "/access/v1/evaluation": _access("May they?", _ref("Evaluation"), _ref("Verdict")),
    "/access/v1/evaluations": _access(
        "May they, many times?",
        _object(
            {
                "subject": _ref("Subject"),
                "action": _ref("Action"),
                "resource": _ref("Subject"),
                "context": _OBJECT,
                "options": _object(
                    {
                        "evaluations_semantic": {
                            "enum": [
                                "execute_all",
                                "deny_on_first_deny",
                                "permit_on_first_permit",
                            ]
                        }
                    }
                ),
                "evaluations": {"type": "array", "items": _OBJECT, "minItems": 1},
            },
            "evaluations",
        ),
        _object({"evaluations": {"type": "array", "items": _ref("Verdict")}}, "evaluations"),
    ),
    **{
        f"/access/v1/search/{entity}": _search(entity)
        for entity in ("subject", "resource", "action")
    },
    "/.well-known/authzen-configuration": {
        "get": _operation(
            "authzen",
            "Where AuthZEN's endpoints are.",
            {"200": _answer("The metadata.", _OBJECT), **_UNSERVED},
        )
    },
}


def document() -> JsonObject:
    """Return the OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "policy-agent",
            "version": __version__,
            "description": "OPA's REST API for reading, batches, and OpenID AuthZEN. docs/api.md "
            "has an example of each.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _PATHS,
        "components": {"schemas": _SCHEMAS},
    }
