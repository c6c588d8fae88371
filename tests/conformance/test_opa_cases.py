"""OPA's conformance cases, run from text to result by our engine.

A case passes or is listed with its reason, and one that is listed must fail: so the set of passing
cases only grows.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance import cases, runner
from tests.conformance.known_failures import COUNTS, KNOWN_FAILURES

LEAST_SHARE = {"v0": 0.98, "v1": 0.995}

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.skipif(
        cases.directory() is None,
        reason=f"no conformance cases: `go mod download {cases.OPA_MODULE}` brings them",
    ),
]


def folders():
    root = cases.directory()
    if root is None:
        return []
    return [
        pytest.param(syntax, folder.name, id=f"{syntax}/{folder.name}")
        for syntax in COUNTS
        for folder in sorted((root / syntax).iterdir())
        if folder.is_dir()
    ]


@pytest.mark.parametrize(("syntax", "folder"), folders())
# Two of OPA's cases have certificates that `cryptography` is going to refuse.
@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
def test_cases_give_opas_results(syntax, folder):
    problems = {case.name: runner.failure(case) for case in cases.load(syntax, folder)}
    wrong = {name: problem for name, problem in problems.items() if problem}
    assert not {name: wrong[name] for name in wrong if name not in KNOWN_FAILURES}
    passing = [name for name in problems if name in KNOWN_FAILURES and name not in wrong]
    assert not passing, "these pass now: remove them from KNOWN_FAILURES"


def test_every_case_is_counted_and_every_known_failure_is_a_case():
    names = [case.name for syntax in COUNTS for case in cases.load(syntax)]
    assert Counter(name.partition("/")[0] for name in names) == COUNTS
    assert KNOWN_FAILURES.keys() <= set(names)


def test_enough_cases_pass():
    failing = Counter(name.partition("/")[0] for name in KNOWN_FAILURES)
    shares = {syntax: 1 - failing[syntax] / count for syntax, count in COUNTS.items()}
    assert all(shares[syntax] >= least for syntax, least in LEAST_SHARE.items()), shares
