"""The flags about coverage, and how a policy runs once more for each reason not to be covered.

Pure.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from policy_agent.rego.tracing.instrument import Detail

# Kind of a range that is not covered -> how to run to find it.
SUPPLEMENTARY: Final[Mapping[str, Detail]] = {
    "index_excluded": Detail(indexing=False),
    "early_exit": Detail(early_exit=False),
}


def add_coverage_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare what is reported of coverage; `names` are those of the flag that asks for it."""
    parser.add_argument(*names, action="store_true", help="report coverage as JSON")
    parser.add_argument(
        "--coverage-runs",
        type=_kinds,
        metavar="KINDS",
        help="why a range is not covered: run again without these (default index_excluded,"
        "early_exit; may be empty)",
    )


def coverage_kinds(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return why a range may not be covered; naming some asks for coverage."""
    arguments.coverage = arguments.coverage or arguments.coverage_runs is not None
    if not arguments.coverage:
        return ()
    return tuple(SUPPLEMENTARY) if arguments.coverage_runs is None else arguments.coverage_runs


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(filter(None, text.split(",")))
    for kind in kinds:
        if kind not in SUPPLEMENTARY:
            known = " or ".join(SUPPLEMENTARY)
            raise argparse.ArgumentTypeError(f"{kind}: must be {known}")
    return kinds
