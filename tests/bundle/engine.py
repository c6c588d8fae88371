"""A policy engine for tests: it knows words instead of Rego."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policy_agent.bundle.switch import NO_VERSIONS
from policy_agent.errors import Location, PolicyError, PolicyProblem
from policy_agent.model import JsonObject
from tests.support import TableEvaluator


@dataclass
class Engine:
    """Compiles anything but modules that say `# bad`, `# crash` or `# needs <text>` in vain.

    The first `refused` attempts fail, whatever they say.
    """

    compiled: list[TableEvaluator] = field(default_factory=list)
    refused: int = 0
    may_finish: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_finish.set()

    def compile(
        self,
        modules: Mapping[str, str],
        data: JsonObject,
        *,
        plan: bytes | None = None,
        rego_versions: Mapping[str, int] = NO_VERSIONS,
    ) -> TableEvaluator:
        self.started.set()
        self.may_finish.wait(10)
        if self.refused:
            self.refused -= 1
            raise PolicyError([PolicyProblem("rego_type_error", "not this time")])
        for path, source in sorted(modules.items()):
            if "# crash" in source:
                raise KeyError(path)
            if "# bad" in source:
                problem = PolicyProblem(
                    "rego_unsafe_var_error", "var x is unsafe", Location(path, 2)
                )
                raise PolicyError([problem])
            needed = re.search(r"# needs (\S+)", source)
            if needed and not any(needed[1] in key for key in modules):
                raise PolicyError([PolicyProblem("rego_type_error", f"undefined {needed[1]}")])
        documents: dict[str, Any] = dict.fromkeys(modules, True)
        evaluator = TableEvaluator({**documents, "data": data})
        self.compiled.append(evaluator)
        return evaluator

    @property
    def still_open(self) -> list[TableEvaluator]:
        return [evaluator for evaluator in self.compiled if not evaluator.closed]
