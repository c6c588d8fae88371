"""The client for asyncio: the same names, awaited. Handlers may be coroutine functions."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from policy_agent.client import port_token, wire
from policy_agent.client.decisions import (
    AgentUnavailableError,
    Decision,
    credentials,
    data_path,
    decision_of,
)
from policy_agent.client.obligations import (
    Fulfilment,
    check,
    fulfilment_path,
    is_on_record,
    not_on_record,
)

if TYPE_CHECKING:
    from policy_agent.client.decisions import Obligation

T = TypeVar("T")

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# Idle connections: a coroutine that asks has one to itself.
_idle: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Connection]] = WeakKeyDictionary()


async def decide(path: str, input: Mapping[str, Any], *, token: str = "") -> Decision:  # noqa: A002
    """Ask for the decision at `path`; see `policy_agent.client.decide`."""
    answer = await _post(data_path(path), {"input": input}, credentials(token))
    return decision_of(path, answer)


async def enforce(
    decision: Decision,
    handlers: Mapping[str, Callable[[Obligation, Any], Any]],
    act: Callable[[], Awaitable[T]],
    *,
    before: Mapping[str, Callable[[Obligation], object]] | None = None,
) -> T:
    """Act if the decision allows it, fulfil its obligations; see `policy_agent.client.enforce`."""
    first = before or {}
    check(decision, handlers, first)
    fulfilment = Fulfilment(decision)
    try:
        for obligation in decision.obligations:
            if obligation["type"] in first:
                await _fulfil(fulfilment, obligation, first[obligation["type"]])
        outcome = await act()
        for obligation in decision.obligations:
            if obligation["type"] in handlers:
                handler = handlers[obligation["type"]]
                outcome = await _fulfil(fulfilment, obligation, handler, outcome)
    finally:
        if fulfilment.outcomes:
            await report_fulfilment(decision.decision_id, fulfilment.outcomes)
    return outcome


async def _fulfil(
    fulfilment: Fulfilment, obligation: Obligation, handler: Callable[..., Any], *outcome: Any
) -> Any:
    try:
        changed = handler(obligation, *outcome)
        if inspect.isawaitable(changed):
            changed = await changed
    except Exception as exc:
        fulfilment.note(obligation, exc)
        raise
    fulfilment.note(obligation, None)
    return changed


async def report_fulfilment(decision_id: str, outcomes: list[dict[str, str]]) -> bool:
    """Tell the agent what has become of obligations; see `policy_agent.client`."""
    if not decision_id:
        return False
    try:
        answer = await _post(fulfilment_path(decision_id), {"obligations": outcomes}, {})
    except AgentUnavailableError as exc:
        return not_on_record(decision_id, str(exc))
    return is_on_record(decision_id, answer)


async def close() -> None:
    """Close the idle connections of this event loop."""
    for _, writer in _idle.pop(asyncio.get_running_loop(), []):
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _post(path: str, body: Any, headers: Mapping[str, str]) -> wire.Answer:
    answer = await _send(wire.request(path, body, {**port_token.headers(), **headers}))
    if answer.status == 401:
        old = port_token.headers()
        port_token.reread()
        if port_token.headers() != old:
            answer = await _send(wire.request(path, body, {**port_token.headers(), **headers}))
    return answer


async def _send(request: bytes) -> wire.Answer:
    idle = _idle.setdefault(asyncio.get_running_loop(), [])
    try:
        async with asyncio.timeout(wire.TIMEOUT_SECONDS):
            while idle:
                # As in `connection`: only what got not one byte back is sent again.
                connection, reader = idle.pop(), wire.Reader()
                try:
                    return await _exchange(connection, request, reader, idle)
                except (OSError, wire.MalformedAnswerError) as exc:
                    if reader.has_begun or isinstance(exc, TimeoutError):
                        raise
                # All of them slept through the same freeze.
                _close_all(idle)
            fresh = await asyncio.open_connection(*wire.address())
            return await _exchange(fresh, request, wire.Reader(), idle)
    except (OSError, ValueError, wire.MalformedAnswerError) as exc:
        host, port = wire.address()
        reason = str(exc) or "timed out"
        msg = f"the policy agent at {host}:{port} cannot be reached: {reason}"
        raise AgentUnavailableError(msg) from exc


async def _exchange(
    connection: _Connection, request: bytes, reader: wire.Reader, idle: list[_Connection]
) -> wire.Answer:
    stream, writer = connection
    keep = False
    try:
        writer.write(request)
        await writer.drain()
        while (answer := reader.feed(await stream.read(wire.READ_BYTES))) is None:
            pass
        keep = not answer.is_last
        return answer
    finally:
        # A cancelled call leaves its answer behind: nobody else may read it.
        if keep:
            idle.append(connection)
        else:
            writer.close()


def _close_all(idle: list[_Connection]) -> None:
    for _, writer in idle:
        writer.close()
    idle.clear()
