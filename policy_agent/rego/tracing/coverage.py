"""Which parts of modules evaluations came by, as ranges of their text.

Pure. Follows OPA v1.22 v1/cover: an expression is covered when it is tried, the head of a rule when
the rule holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from policy_agent.rego import ast
from policy_agent.rego.tracing.places import Places, Range
from policy_agent.rego.tracing.recorder import Recorder
from policy_agent.rego.tracing.sites import Moment


class FileCoverage(Struct, frozen=True):
    """What of one file is covered.

    Attributes:
        covered: ranges in order, some within others.
        not_covered: likewise, of what is in no covered range.
    """

    covered: tuple[Range, ...]
    not_covered: tuple[Range, ...]

    @property
    def covered_lines(self) -> int:
        """Return how many lines have something covered."""
        return _line_count(self.covered)

    @property
    def not_covered_lines(self) -> int:
        """Return how many lines have something that is not covered."""
        return _line_count(self.not_covered)

    def covers(self, range_: Range) -> bool:
        """Return whether a range is within a covered one."""
        return any(start <= range_[0] and range_[1] <= end for start, end in self.covered)


def coverage(places: Mapping[str, Places], recorder: Recorder) -> dict[str, FileCoverage]:
    """Return the coverage of every file by what a recorder saw.

    Args:
        places: file -> where its nodes are written.
        recorder: what watched the evaluations.
    """
    covered: dict[str, set[Range]] = {file: set() for file in places}
    for number in recorder.passed:
        site = recorder.sites[number]
        node = site.node
        if site.moment is Moment.EXIT and isinstance(node, ast.Rule):
            file = node.head.location.file
            covered[file].add(places[file].head(node.head))
        elif site.moment is Moment.EVAL and isinstance(node, ast.Expr):
            file = node.location.file
            # A query is in no file.
            if file in covered and (range_ := places[file].expression(node)) is not None:
                covered[file].add(range_)
    return {file: _of_file(covered[file], each.countable) for file, each in places.items()}


def _of_file(covered: set[Range], countable: set[Range]) -> FileCoverage:
    found = FileCoverage(tuple(sorted(covered)), ())
    missing = (each for each in countable if not found.covers(each))
    return FileCoverage(found.covered, tuple(sorted(missing)))


def _line_count(ranges: tuple[Range, ...]) -> int:
    return len({row for start, end in ranges for row in range(start[0], end[0] + 1)})
