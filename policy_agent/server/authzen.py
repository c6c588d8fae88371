"""Read AuthZEN's requests and word the answers (OpenID Authorization API 1.0).

Pure. A policy gets the request as it is, `{"subject", "action", "resource", "context"}`, and may
answer with a boolean, with `{"allow": ..., "obligations": [...], "reasons": [...]}`, or in the form
of AuthZEN, `{"decision": ..., "context": {...}}`. Whatever else it says is a denial.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from msgspec import Struct

from policy_agent.codec import decode_json
from policy_agent.errors import DocumentError, RequestError
from policy_agent.model import UNDEFINED, JsonObject
from policy_agent.server.obligation_profile import profiled

# Entity -> the fields that it must have.
ENTITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "subject": ("type", "id"),
    "action": ("name",),
    "resource": ("type", "id"),
}
_OPTIONAL: Final = "context"
SEMANTICS: Final = ("execute_all", "deny_on_first_deny", "permit_on_first_permit")


class Verdict(Struct, frozen=True):
    """What is answered to one evaluation."""

    decision: bool
    context: JsonObject

    def to_json(self) -> JsonObject:
        """Return AuthZEN's decision object."""
        return {"decision": self.decision} | ({"context": self.context} if self.context else {})


def read_object(body: bytes, content_type: str, parsed: Any = UNDEFINED) -> JsonObject:
    """Return the request's object.

    Args:
        parsed: the body as authorization has parsed it, UNDEFINED where it has not.

    Raises:
        RequestError: it is none, or the content type is not JSON's.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise RequestError("the content type must be application/json")
    if parsed is UNDEFINED:
        try:
            parsed = decode_json(body)
        except DocumentError as exc:
            raise RequestError(f"the body is not JSON: {exc}") from exc
    if not isinstance(parsed, dict):
        raise RequestError("the body must be an object")
    return parsed


def read_evaluation(
    request: Mapping[str, Any], defaults: Mapping[str, Any] | None = None, *, searched: str = ""
) -> JsonObject:
    """Return what a policy is asked: subject, action, resource and, if there is one, context.

    Args:
        request: of an evaluation or search, or an item of several evaluations.
        defaults: what an item leaves out. An entity replaces the default as a whole, but for the
            fields it must have.
        searched: the entity that a search asks for, which needs no id; an action none at all.

    Raises:
        RequestError: an entity or one of its fields is missing, or not what it should be.
    """
    defaults = defaults or {}
    question: JsonObject = {}
    for name, fields in ENTITIES.items():
        if name == searched == "action":
            continue
        wanted = ("type",) if name == searched else fields
        question[name] = _entity(name, request.get(name), defaults.get(name), wanted)
        if name == searched:
            question[name].pop("id", None)
    context = request.get(_OPTIONAL, defaults.get(_OPTIONAL))
    if context is not None:
        if not isinstance(context, dict):
            raise RequestError("context must be an object")
        question[_OPTIONAL] = context
    return question


def _entity(name: str, value: Any, default: Any, fields: tuple[str, ...]) -> JsonObject:
    if value is None:
        value, default = default, None
    if value is None:
        raise RequestError(f"{name} is missing")
    if not isinstance(value, dict):
        raise RequestError(f"{name} must be an object")
    entity = dict(value)
    for key in fields:
        text = entity.get(key)
        if text is None and isinstance(default, dict):
            text = default.get(key)
        if not isinstance(text, str) or not text:
            fault = "is missing" if text is None else "must be a string that is not empty"
            raise RequestError(f"{name}.{key} {fault}")
        entity[key] = text
    if not isinstance(entity.get("properties", {}), dict):
        raise RequestError(f"{name}.properties must be an object")
    return entity


def read_evaluations(request: Mapping[str, Any]) -> tuple[list[Any], str]:
    """Return the items of several evaluations, none for a single one, and how to run them.

    Raises:
        RequestError: they are no list, or the semantic is unknown.
    """
    items = request.get("evaluations")
    if not isinstance(items, list | None):
        raise RequestError("evaluations must be a list")
    options = request.get("options")
    if not isinstance(options, dict | None):
        raise RequestError("options must be an object")
    semantic = (options or {}).get("evaluations_semantic", SEMANTICS[0])
    if semantic not in SEMANTICS:
        raise RequestError(f"options.evaluations_semantic must be one of {', '.join(SEMANTICS)}")
    return items or [], semantic


def verdict_of(value: Any, question: Mapping[str, Any], supported: Collection[str]) -> Verdict:
    """Return what is answered when the policy says `value`.

    Args:
        question: as `read_evaluation` gives it.
        supported: the obligation types that policies may ask for.
    """
    if isinstance(value, bool):
        return Verdict(value, {})
    if value is UNDEFINED:
        return refused("the policy has no decision about this")
    allow = value.get("decision", value.get("allow")) if isinstance(value, dict) else None
    context = value.get(_OPTIONAL, {}) if isinstance(value, dict) else {}
    if not isinstance(allow, bool) or not isinstance(context, dict):
        return refused("the policy's decision is neither a boolean nor an object with one", 500)
    context = dict(context)
    for key in ("reasons", "obligations"):
        if key in value:
            context[key] = value[key]
    obligations = profiled(context.pop("obligations", []))
    if obligations is None:
        return refused("the policy's obligations are not objects with a type", 500)
    if allow and (unmet := _unmet(obligations, question, supported)):
        return refused(f"an obligation is not supported: {', '.join(unmet)}")
    if obligations:
        context["obligations"] = obligations
    return Verdict(allow, context)


def refused(reason: str, status: int = 0) -> Verdict:
    """Return a denial that comes from the agent.

    Args:
        status: of the HTTP answer that a single evaluation would have had; 0 for a plain denial.
    """
    if status:
        return Verdict(False, {"error": {"status": status, "message": reason}})
    return Verdict(False, {"reasons": [reason]})


def _unmet(
    obligations: list[JsonObject], question: Mapping[str, Any], supported: Collection[str]
) -> list[str]:
    """Return the types that the caller cannot fulfil, or that nobody said there would be."""
    known = set(supported)
    declared = question.get(_OPTIONAL, {}).get("supported_obligations")
    if isinstance(declared, list):
        known &= {each for each in declared if isinstance(each, str)}
    return sorted({each["type"] for each in obligations} - known)
