"""Write coverage as OPA does (OPA v1.22 v1/cover).

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from policy_agent.publisher.ordered_json import in_order
from policy_agent.rego.extents import Position
from policy_agent.rego.tracing.coverage import FileCoverage
from policy_agent.rego.tracing.places import Range

Files = Mapping[str, FileCoverage]


def coverage_percent(files: Files) -> float:
    """Return how many of the lines that can be covered are, in percent."""
    covered = sum(each.covered_lines for each in files.values())
    return _percent(covered, sum(each.not_covered_lines for each in files.values()))


def coverage_json(files: Files, supplementary: Mapping[str, Files]) -> msgspec.Raw:
    """Return OPA's JSON report.

    Args:
        files: file -> coverage of the tests as they run.
        supplementary: `index_excluded`, `early_exit` -> coverage when the tests run without that
            optimization, which explains why a range is not covered.
    """
    shown = {
        file: _file_json(coverage, {kind: other[file] for kind, other in supplementary.items()})
        for file, coverage in sorted(files.items())
    }
    return in_order(
        {
            "files": shown,
            "covered_lines": sum(each.covered_lines for each in files.values()),
            "not_covered_lines": sum(each.not_covered_lines for each in files.values()),
            "coverage": _number(coverage_percent(files)),
        }
    )


def threshold_text(files: Files, threshold: float, *, verbose: bool) -> str:
    """Return the sentence for a coverage below its threshold, with the lines if `verbose`."""
    got = coverage_percent(files)
    lines = [f"Code coverage threshold not met: got {got:.2f} instead of {threshold:.2f}"]
    if verbose and files:
        lines.append("Lines not covered:")
        for file, coverage in sorted(files.items()):
            for first, last in _row_spans(coverage.not_covered):
                lines.append(f"\t{file}:{first}" + (f"-{last}" if last != first else ""))
    return "".join(f"{line}\n" for line in lines)


def _file_json(coverage: FileCoverage, others: Mapping[str, FileCoverage]) -> msgspec.Raw:
    document: dict[str, object] = {}
    if coverage.covered:
        document["covered"] = [_range_json(each) for each in coverage.covered]
    if coverage.not_covered:
        document["not_covered"] = [
            _range_json(each, [kind for kind, other in others.items() if other.covers(each)])
            for each in coverage.not_covered
        ]
    if covered := coverage.covered_lines:
        document["covered_lines"] = covered
    if missing := coverage.not_covered_lines:
        document["not_covered_lines"] = missing
    if percent := _percent(covered, missing):
        document["coverage"] = _number(percent)
    return in_order(document)


def _range_json(range_: Range, kinds: Sequence[str] = ()) -> msgspec.Raw:
    document: dict[str, object] = {"start": _position(range_[0]), "end": _position(range_[1])}
    if kinds:
        document["kinds"] = kinds
    return in_order(document)


def _position(position: Position) -> msgspec.Raw:
    return in_order({"row": position[0], "col": position[1]})


def _percent(covered: int, missing: int) -> float:
    return 100.0 * covered / (covered + missing) if covered + missing else 0.0


def _number(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _row_spans(ranges: Sequence[Range]) -> list[tuple[int, int]]:
    """Return the first and last rows of each block of rows that ranges touch."""
    rows = sorted({row for start, end in ranges for row in range(start[0], end[0] + 1)})
    if not rows:
        return []
    breaks = [(one, other) for one, other in pairwise(rows) if other != one + 1]
    firsts = [rows[0], *(other for _, other in breaks)]
    lasts = [*(one for one, _ in breaks), rows[-1]]
    return list(zip(firsts, lasts, strict=True))
