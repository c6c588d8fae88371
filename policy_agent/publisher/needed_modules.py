"""Tell which modules a package can reach, by the references in their rules.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

from policy_agent.rego import ast
from policy_agent.rego.compile.nodes import DATA, descend

Path = tuple[str, ...]


def needed_modules(modules: Sequence[ast.Module], file: str) -> frozenset[str]:
    """Return the files that the package of one file needs, that package's own included.

    Args:
        modules: as parsed, before their imports are resolved.
        file: one of theirs.
    """
    packages = {module.file: module.package for module in modules}
    reached: set[Path] = set()
    pending = [packages[file]]
    while pending:
        package = pending.pop()
        if package in reached:
            continue
        reached.add(package)
        for module in modules:
            if module.package == package:
                pending += _met(_references(module), packages.values())
    return frozenset(file for file, package in packages.items() if package in reached)


def _references(module: ast.Module) -> list[Path]:
    """Return the constant beginnings of all references to `data`, imports included."""
    nodes = [each.path for each in module.imports]
    nodes += (node for rule in module.rules for node in descend(rule) if isinstance(node, ast.Ref))
    return [_constant_part(node) for node in nodes if node.head == ast.Var(DATA)]


def _constant_part(reference: ast.Ref) -> Path:
    constants = takewhile(lambda part: isinstance(part, ast.Scalar), reference.path)
    return tuple(str(part.value) for part in constants if isinstance(part, ast.Scalar))


def _met(references: Sequence[Path], packages: Iterable[Path]) -> list[Path]:
    """Return the packages that lie above or below what is referred to."""
    return [
        package
        for package in packages
        if any(
            all(ours == theirs for ours, theirs in zip(package, path, strict=False))
            for path in references
        )
    ]
