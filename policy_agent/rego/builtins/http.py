"""OPA's `http.send`.

Off unless the policy's capabilities list the host in `allow_net`. An answer stays the same within
an evaluation; with `cache` or `force_cache` it is kept for later ones as long as it says or the
request asks.

Source: OPA v1.22 v1/topdown/http.go.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from policy_agent.codec import decode_json, decode_yaml
from policy_agent.errors import DocumentError
from policy_agent.rego.builtins.go_text import from_bytes
from policy_agent.rego.builtins.http_options import Options, read_options, tls_context
from policy_agent.rego.builtins.http_request import need_request
from policy_agent.rego.builtins.net import check_host
from policy_agent.rego.builtins.nondeterminism import record
from policy_agent.rego.builtins.operands import need_object
from policy_agent.rego.builtins.registry import Builtin, BuiltinError
from policy_agent.rego.context import Context
from policy_agent.rego.values import Frozen, Value, freeze

if TYPE_CHECKING:
    import httpx

_NAME: Final = "http.send"
_NETWORK: Final = "eval_http_send_network_error"
_INTERNAL: Final = "eval_http_send_internal_error"
# RFC 7231 section 6.1.
_CACHEABLE: Final = frozenset((200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501))
_MAX_REDIRECTS: Final = 10  # Go's net/http default
_MAX_KEPT: Final = 256
_RETRY_SECONDS: Final = 0.1
_MAX_RETRY_SECONDS: Final = 60.0


class _NetworkError(BuiltinError):
    """No answer came back."""


class _Kept:
    """Answers kept between evaluations, the oldest dropped first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: OrderedDict[Frozen, tuple[float, Value]] = OrderedDict()

    def get(self, key: Frozen, now: float) -> Value | None:
        with self._lock:
            expires_at, answer = self._entries.get(key, (0.0, None))
            return answer if now < expires_at else None

    def put(self, key: Frozen, expires_at: float, answer: Value) -> None:
        with self._lock:
            self._entries[key] = (expires_at, answer)
            while len(self._entries) > _MAX_KEPT:
                self._entries.popitem(last=False)


_kept: Final = _Kept()


def _send(context: Context, operand: Value) -> Value:
    raise_error = need_object(operand, 1).get("raise_error", True)
    if type(raise_error) is not bool:
        raise BuiltinError("invalid value for raise_error field")
    try:
        request = need_request(operand, 1)
        answer = _answer(context, request)
    except BuiltinError as exc:
        if raise_error:
            raise
        is_network = isinstance(exc, _NetworkError)
        message = exc.message if is_network else f"{exc.code}: {exc.describe(_NAME)}"
        error = {"code": _NETWORK if is_network else _INTERNAL, "message": message}
        answer = {"status_code": 0, "error": error}
    return record(context, _NAME, [operand], answer)


def _answer(context: Context, request: dict[Frozen, Value]) -> Value:
    key = (_NAME, freeze(_cache_key(request)))
    known = context.memo.get(key)
    if isinstance(known, BuiltinError):
        raise known
    if known is not None:
        return known
    options = read_options(request)
    shared = not options.switches.isdisjoint(("cache", "force_cache"))
    answer = _kept.get(key, context.now_ns / 1e9) if shared else None
    if answer is None:
        try:
            response = _exchange(context, options)
        except BuiltinError as exc:
            context.memo[key] = exc
            raise
        answer = _as_value(response, options)
        if shared and response.status_code in _CACHEABLE:
            _kept.put(key, _expires_at(context, options, response), answer)
        if not shared and response.status_code not in _CACHEABLE:
            return answer
    context.memo[key] = answer
    return answer


def _cache_key(request: dict[Frozen, Value]) -> Value:
    ignored, headers = request.get("cache_ignored_headers"), request.get("headers")
    key = {**request, "cache_ignored_headers": None}
    if ignored is None or type(headers) is not dict:
        return key
    if type(ignored) is not list or any(type(name) is not str for name in ignored):
        raise BuiltinError("cache_ignored_headers must be an array of strings")
    kept = {name: text for name, text in headers.items() if name not in ignored}
    return {**key, "headers": kept}


def _check_url(context: Context, host: str) -> None:
    if context.allow_net is None:
        raise BuiltinError(f"host {host} is not listed in allow_net of the policy's capabilities")
    check_host(context, host)


def _exchange(context: Context, options: Options) -> httpx.Response:
    """Send a request, again after failures as often as it asks.

    Raises:
        BuiltinError: the host is not allowed, or no answer came back.
        EvaluationDeadlineError: the evaluation's time is up.
    """
    # Few policies send requests, and httpx costs 60 ms to import.
    import httpx

    _check_url(context, options.host)

    def check_redirect(request: httpx.Request) -> None:
        _check_url(context, request.url.host)

    transport = httpx.HTTPTransport(
        verify=tls_context(options.texts, options.switches), uds=options.socket_path or None
    )
    with httpx.Client(
        transport=transport,
        follow_redirects="enable_redirect" in options.switches,
        max_redirects=_MAX_REDIRECTS,
        event_hooks={"request": [check_redirect]},
    ) as client:
        for attempt in range(options.retries + 1):
            try:
                return _attempt(client, context, options)
            except (httpx.HTTPError, httpx.InvalidURL) as exc:
                context.check()
                if attempt == options.retries:
                    raise _failure(exc, options) from exc
            time.sleep(min(_RETRY_SECONDS * 2**attempt, _MAX_RETRY_SECONDS, _left(context)))
        raise AssertionError("a request is sent at least once")


def _left(context: Context) -> float:
    if context.deadline is None:
        return float("inf")
    return max(context.deadline - context.clock(), 0.0)


def _attempt(client: httpx.Client, context: Context, options: Options) -> httpx.Response:
    seconds = min(options.timeout_seconds or float("inf"), _left(context))
    extensions = {}
    server_name = options.texts.get("tls_server_name") or options.headers.get("Host")
    if server_name:
        extensions["sni_hostname"] = server_name
    return client.request(
        options.method,
        options.url,
        headers=options.headers,
        content=options.body or None,
        timeout=None if seconds == float("inf") else max(seconds, 0.001),
        extensions=extensions,
    )


def _failure(exc: Exception, options: Options) -> BuiltinError:
    import httpx

    what = f"{options.method.capitalize()} {options.url}"
    if isinstance(exc, httpx.TimeoutException):
        return _NetworkError(f"{what}: request timed out")
    return _NetworkError(f"{what}: {exc}")


def _as_value(response: httpx.Response, options: Options) -> dict[str, Value]:
    headers: dict[str, list[str]] = {}
    for name, text in response.headers.multi_items():
        headers.setdefault(name.lower(), []).append(text)
    return {
        "status": f"{response.status_code} {response.reason_phrase}".rstrip(),
        "status_code": response.status_code,
        "body": _decoded(response, options),
        "raw_body": from_bytes(response.content),
        "headers": headers,
    }


def _decoded(response: httpx.Response, options: Options) -> Any:
    """Return the body as a document, None for one that is none or is not said to be."""
    kind = response.headers.get("content-type", "")
    media_type = kind.partition(";")[0].strip().lower()
    is_json = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    try:
        if "force_json_decode" in options.switches or is_json:
            return decode_json(response.content)
        is_yaml = "application/yaml" in kind or "application/x-yaml" in kind
        if "force_yaml_decode" in options.switches or is_yaml:
            return decode_yaml(response.content)
    except DocumentError:
        return None
    return None


def _expires_at(context: Context, options: Options, response: httpx.Response) -> float:
    """Return when an answer is too old to be given again, in seconds since the epoch."""
    if options.force_cache_seconds:
        return context.now_ns / 1e9 + options.force_cache_seconds
    directives = {}
    for part in response.headers.get("cache-control", "").split(","):
        name, _, value = part.strip().partition("=")
        directives[name] = value
    if "no-store" in directives:
        return 0.0
    try:
        if "max-age" in directives:
            date = parsedate_to_datetime(response.headers["date"])
            return date.timestamp() + int(directives["max-age"])
        return parsedate_to_datetime(response.headers["expires"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return 0.0


BUILTINS: Final = {_NAME: Builtin(_NAME, _send, deterministic=False, needs_context=True)}
