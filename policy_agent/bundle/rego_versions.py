"""Tell in which version of Rego a bundle's modules are written.

Pure. Follows OPA v1.22 v1/bundle/bundle.go (RegoVersionForFile): of the patterns that match
a file the first counts, then the manifest's `rego_version`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from policy_agent.errors import BundleFormatError
from policy_agent.glob_pattern import GlobError, translate
from policy_agent.model import Manifest

_SPECIAL: Final = re.compile(r"[*?\\[\]{}]")


def rego_versions(manifest: Manifest, paths: Iterable[str]) -> dict[str, int]:
    """Return path -> version of Rego, for the files whose version the manifest states.

    Args:
        paths: in the archive, without leading slash, which the patterns have.

    Raises:
        BundleFormatError: a pattern is malformed.
    """
    patterns = [
        (_matcher(pattern), version)
        for pattern, version in sorted(manifest.file_rego_versions.items())
    ]
    found = {}
    for path in paths:
        named = (version for matches, version in patterns if matches(f"/{path}"))
        version = next(named, manifest.rego_version)
        if version is not None:
            found[path] = version
    return found


def _matcher(pattern: str) -> Callable[[str], bool]:
    if not _SPECIAL.search(pattern):
        # What `opa build` writes; most bundles need no regular expressions.
        return pattern.__eq__
    # Late: a manifest's patterns are untrusted, and RE2 matches in linear time.
    import re2  # type: ignore[import-untyped]

    try:
        expression = translate(pattern, "")
    except GlobError as exc:
        raise BundleFormatError(f"failed to compile glob pattern {pattern}: {exc}") from exc
    compiled = re2.compile(expression)
    return lambda path: compiled.fullmatch(path) is not None
