"""Which paths below `data` a bundle owns (OPA v1.22 v1/bundle/bundle.go, RootPathsContain).

Pure. A root is a slash-separated path without outer slashes; "" owns everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def segments(root: str) -> tuple[str, ...]:
    """Return a root's segments, none for the root that owns everything."""
    return tuple(root.split("/")) if root else ()


def is_below(path: Sequence[str], root: str) -> bool:
    """Tell whether `root` owns the document at `path`."""
    owner = segments(root)
    return tuple(path[: len(owner)]) == owner


def is_above(path: Sequence[str], root: str) -> bool:
    """Tell whether `path` is on the way to `root`, so that an object there is needed."""
    return segments(root)[: len(path)] == tuple(path)


def overlap(one: str, other: str) -> bool:
    """Tell whether one of two roots owns the other."""
    return is_below(segments(one), other) or is_below(segments(other), one)


def shown(roots: Iterable[str]) -> str:
    """Return roots as OPA's messages print them: `[a b/c]`."""
    return f"[{' '.join(roots)}]"
