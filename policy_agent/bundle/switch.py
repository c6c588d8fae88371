"""Compile the active bundles together with the ones that changed, as many of them as will go.

All at once is the normal case; only when that fails is each changed bundle tried by itself, so that
a bad one does not hold up the others. Nothing is switched here: the caller gets a new snapshot or
none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from policy_agent.bundle.activate import combine
from policy_agent.errors import BundleActivationError, BundleError, PolicyError
from policy_agent.model import Bundle, Evaluator, JsonObject, Snapshot

log = logging.getLogger(__name__)

NO_VERSIONS: Final[Mapping[str, int]] = MappingProxyType({})


class CompilePolicy(Protocol):
    """Makes a policy of modules by id and base documents, by their plan where there is one."""

    def __call__(
        self,
        modules: Mapping[str, str],
        data: JsonObject,
        /,
        *,
        plan: bytes | None = None,
        rego_versions: Mapping[str, int] = NO_VERSIONS,
    ) -> Evaluator:
        """Return the policy, or raise PolicyError."""


Failure = BundleError | PolicyError


class Outcome(Struct, frozen=True):
    """What came of compiling.

    Attributes:
        snapshot: None when no changed bundle could be compiled.
        activated: the changed bundles that are in the snapshot.
        failures: why each of the others is not.
    """

    snapshot: Snapshot | None
    activated: frozenset[str]
    failures: Mapping[str, Failure]


def compile_changed(
    active: Mapping[str, Bundle], changed: Mapping[str, Bundle], compile_policy: CompilePolicy
) -> Outcome:
    """Compile `active` with `changed` in place of their older versions.

    A bundle that only works beside another changed one is tried again after that one got in.
    """
    try:
        return Outcome(_compiled({**active, **changed}, compile_policy), frozenset(changed), {})
    except (BundleError, PolicyError) as exc:
        failures: dict[str, Failure] = dict.fromkeys(changed, exc)
    if len(changed) == 1:
        return Outcome(None, frozenset(), failures)
    return _compile_singly(active, changed, compile_policy)


async def unless_cancelled(compiling: Awaitable[Outcome]) -> Outcome:
    """Wait for a compilation; when cancelled, see to it that its policy is closed all the same."""
    task = asyncio.ensure_future(compiling)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_discard)
        raise


def _discard(task: asyncio.Future[Outcome]) -> None:
    if task.cancelled() or task.exception() is not None:
        return
    snapshot = task.result().snapshot
    if snapshot is not None:
        snapshot.policy.close()


def _compile_singly(
    active: Mapping[str, Bundle], changed: Mapping[str, Bundle], compile_policy: CompilePolicy
) -> Outcome:
    best: Snapshot | None = None
    failures: dict[str, Failure] = {}
    waiting = sorted(changed)
    while True:
        refused = []
        for name in waiting:
            base = best.bundles if best else active
            try:
                snapshot = _compiled({**base, name: changed[name]}, compile_policy)
            except (BundleError, PolicyError) as exc:
                failures[name] = exc
                refused.append(name)
                continue
            if best is not None:
                best.policy.close()
            best = snapshot
        if refused == waiting:
            break
        waiting = refused
    activated = frozenset(changed) - frozenset(waiting)
    return Outcome(best, activated, {name: failures[name] for name in waiting})


def _compiled(bundles: Mapping[str, Bundle], compile_policy: CompilePolicy) -> Snapshot:
    combined = combine(bundles)
    try:
        policy = compile_policy(
            combined.modules,
            combined.data,
            plan=combined.plan,
            rego_versions=combined.rego_versions,
        )
        return Snapshot(policy, bundles)
    except (BundleError, PolicyError):
        raise
    except Exception as exc:
        # A defect of the engine must not end the agent: the old policy keeps serving.
        log.exception("the policy engine failed on bundles %s", ", ".join(sorted(bundles)))
        raise BundleActivationError(f"the policy engine failed: {type(exc).__name__}") from exc
