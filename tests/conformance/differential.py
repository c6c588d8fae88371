"""Compare the engine with `opa` over random policies; `python -m` this for a longer run."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings

from policy_agent.codec import decode_json
from policy_agent.errors import EvaluationError, PolicyError
from policy_agent.model import UNDEFINED
from policy_agent.rego import Policy
from policy_agent.rego.values import equal
from tests.conformance.generator import Generated, policies
from tests.conformance.opa_server import OpaError, OpaServer, opa_server
from tests.support import OPA


@dataclass(frozen=True, slots=True)
class Refused:
    """Errors instead of values, compared by their codes: messages are compared elsewhere."""

    codes: tuple[str, ...]
    text: str = field(compare=False, default="")


_BROKEN = Refused(("eval_internal_error",))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A policy, and by question what the engine and what OPA answer; None: did not come to it."""

    example: Generated
    answers: dict[str, tuple[Any, Any]]

    @property
    def kinds(self) -> set[tuple[str, str]]:
        """Return what kinds of answers differ: reducing must not turn it into something else."""
        return {(_kind(ours), _kind(theirs)) for ours, theirs in self.different.values()}

    @property
    def different(self) -> dict[str, tuple[Any, Any]]:
        """Return the answers that differ and should not."""
        refused = self.answers.get("")
        if refused is not None and _excused(*refused):
            return {}
        return {
            name: both
            for name, both in self.answers.items()
            if not _same(*both) and not _excused(*both)
        }

    @property
    def excused(self) -> bool:
        """Return whether answers differ that may."""
        return any(not _same(*both) and _excused(*both) for both in self.answers.values())

    def __str__(self) -> str:
        lines = [text for name, text in self.example.modules.items() if self.example.rules[name]]
        lines += [f"data: {json.dumps(self.example.data)}"]
        lines += [f"input {n}: {json.dumps(value)}" for n, value in enumerate(self.example.inputs)]
        for name, (ours, theirs) in self.different.items():
            lines += [f"{name or 'compiling'}:", f"  ours: {ours!r}", f"  opa:  {theirs!r}"]
        return "\n".join(lines)


@dataclass(slots=True)
class Tally:
    """What was compared.

    Attributes:
        outcomes: how many documents had values, were undefined or failed.
        excused: in how many policies answers differ that may.
        different: in how many policies an answer differs.
        given_up: over how many policies OPA crashed or fell silent; they are not counted.
    """

    policies: int = 0
    excused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    different: int = 0
    given_up: int = 0

    def add(self, found: Comparison) -> None:
        """Count one policy."""
        self.policies += 1
        self.outcomes.update(_kind(theirs) for _, theirs in found.answers.values())
        self.excused += found.excused
        self.different += bool(found.different)


def answers(example: Generated) -> dict[str, Any]:
    """Return the engine's answer for each document and input."""
    try:
        policy = _compiled(example)
    except PolicyError as exc:
        return {"": Refused(tuple(sorted({problem.code for problem in exc.problems})), str(exc))}
    found = {}
    with policy:
        for name, path, number in _questions(example):
            try:
                found[name] = policy.evaluate(path, exact(example.inputs[number]))
            except EvaluationError as exc:
                found[name] = Refused((exc.problem.code,), str(exc))
    return found


def _compiled(example: Generated) -> Policy:
    """Compile as OPA's policies API does, which takes one module at a time."""
    data, modules = exact(example.data), example.modules
    try:
        return Policy.from_modules(modules, data, deadline_seconds=20)
    except PolicyError:
        first = next(iter(modules))
        Policy.from_modules({first: modules[first]}, data).close()
        raise


def opa_answers(example: Generated, opa: OpaServer) -> dict[str, Any]:
    """Return OPA's answer for each document and input."""
    try:
        opa.load(example.modules, example.data)
    except OpaError as exc:
        return {"": Refused(tuple(exc.codes), str(exc))}
    found = {}
    for name, path, number in _questions(example):
        try:
            found[name] = opa.evaluate(path, example.inputs[number])
        except OpaError as exc:
            found[name] = Refused(tuple(exc.codes), str(exc))
    return found


def _questions(example: Generated) -> list[tuple[str, str, int]]:
    """Return name, path and input's number of each question: single rules, then packages."""
    paths = [
        f"{file.removesuffix('.rego')}/{name}"
        for file, rules in example.rules.items()
        for name in sorted({text.removeprefix("default ").split()[0] for text in rules})
        if name.isalnum()
    ]
    return [
        (f"{path} with input {number}", path, number)
        for path in [*paths, "a", "b"]
        for number in range(len(example.inputs))
    ]


def exact(value: Any) -> Any:
    """Return a document as it is when read from JSON."""
    return decode_json(json.dumps(value).encode())


def _excused(ours: Any, theirs: Any) -> bool:
    """Return whether answers may differ.

    OPA's interpreter fails on some sets and objects of variables, and says that it did.
    """
    return bool(theirs == _BROKEN)


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Refused) and isinstance(theirs, Refused):
        return ours == theirs
    if isinstance(ours, Refused) or isinstance(theirs, Refused):
        return False
    if any(answer is UNDEFINED or answer is None for answer in (ours, theirs)):
        return ours is theirs
    return equal(ours, theirs)


def compared(example: Generated, opa: OpaServer) -> Comparison:
    """Ask both sides everything."""
    ours, theirs = answers(example), opa_answers(example, opa)
    names = sorted(ours.keys() | theirs.keys())
    return Comparison(example, {name: (ours.get(name), theirs.get(name)) for name in names})


def reduced(found: Comparison, opa: OpaServer) -> Comparison:
    """Return it without the rules and lines that the difference does not need."""
    smaller: Comparison | None = found
    while smaller is not None:
        found = smaller
        candidates = (compared(candidate, opa) for candidate in found.example.smaller())
        smaller = next((one for one in candidates if one.kinds == found.kinds), None)
    return found


def examples(count: int, *, seed_number: int = 0) -> list[Generated]:
    """Return so many different policies; the same ones for a seed each time."""
    found: dict[str, Generated] = {}

    @seed(seed_number)
    @settings(
        max_examples=2 * count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(policies())
    def collect(example: Generated) -> None:
        if len(found) < count:
            found[str(example.modules)] = example

    collect()
    return list(found.values())


def _kind(answer: Any) -> str:
    if answer is None:
        return "nothing"
    if isinstance(answer, Refused):
        return ",".join(answer.codes)
    return "undefined" if answer is UNDEFINED else "value"


def main() -> int:
    """Compare, print every difference and the tally; 1 when there is a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="policies")
    parser.add_argument("--seed", type=int, default=0, help="of the policies")
    arguments = parser.parse_args()
    assert OPA is not None, "set OPA_BIN or put opa on the PATH"
    started = time.monotonic()
    tally = Tally()
    # What was compared until an interrupt counts.
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as running:
        opa = running.enter_context(opa_server())
        for example in examples(arguments.count, seed_number=arguments.seed):
            try:
                found = compared(example, opa)
            except httpx.TransportError as exc:
                # It has crashed, or no longer answers: the next policies get another.
                print(
                    f"opa gave up ({exc}):\n{example}", end="\n\n" + "=" * 70 + "\n\n", flush=True
                )
                running.close()
                opa = running.enter_context(opa_server())
                tally.given_up += 1
                continue
            tally.add(found)
            if found.different:
                print(reduced(found, opa), end="\n\n" + "=" * 70 + "\n\n", flush=True)
    print(f"{time.monotonic() - started:.0f} s: {tally}")
    return 1 if tally.different else 0


if __name__ == "__main__":
    sys.exit(main())
