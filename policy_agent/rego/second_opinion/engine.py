"""Keep one child loaded with a policy; after a crash or a hang start a new one when needed."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping

from policy_agent.errors import EvaluationError, PolicyError, PolicyProblem
from policy_agent.rego.second_opinion import wording
from policy_agent.rego.second_opinion.child import Child

# Compiling is part of no decision, but must end: regopy hangs on some policies. Lambda gives Init
# 10 s (AWS Lambda, "Lambda execution environment lifecycle").
COMPILE_DEADLINE_SECONDS = 10.0
MAX_PREPARED_QUERIES = 100


class Engine:
    """A policy as regopy holds it. Requests of several threads are answered one after the other."""

    def __init__(self, modules: Mapping[str, str], data: bytes, *, deadline_seconds: float) -> None:
        """Keep what a child is loaded with; the first request starts one.

        Args:
            modules: file -> text.
            data: the base documents as JSON.
            deadline_seconds: limit for one evaluation.
        """
        self._modules = [
            (file, wording.one_spelling(file, source)) for file, source in sorted(modules.items())
        ]
        self._data = data
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        # Query -> name under which the child holds it compiled, the longest unused first.
        self._prepared: OrderedDict[str, bytes] = OrderedDict()
        self._names = itertools.count()
        self._child: Child | None = None
        self._is_loaded = False
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Return the child's process id, None while there is no child."""
        return self._child.pid if self._child else None

    def unknown_builtins(self, names: Collection[str]) -> frozenset[str]:
        """Return those of the names that are no built-ins of regopy.

        Raises:
            PolicyError: the child cannot be asked.
        """
        if not names:
            return frozenset()
        with self._lock:
            request = [b"unknown", *(name.encode() for name in names)]
            unknown = self._compile(request, "starting")
        return frozenset(name.decode() for name in unknown)

    def load(self) -> None:
        """Compile all modules.

        Raises:
            PolicyError: regopy refuses them, crashes or hangs.
        """
        with self._lock:
            self._load()

    def run(self, query: str, term: bytes) -> str:
        """Evaluate a query and return regopy's text of the answer.

        Raises:
            PolicyError: the query cannot be compiled.
            EvaluationError: evaluating it failed; the next one is unaffected.
        """
        with self._lock:
            if not self._is_loaded:
                self._load()
            if query not in self._prepared:
                self._prepare(query)
            self._prepared.move_to_end(query)
            request = [b"evaluate", self._prepared[query], term]
            verdict, *answer = self._ask(request, self._deadline_seconds, "evaluating")
        if verdict == b"failed":
            code, message = answer
            raise wording.evaluation_error(code.decode(), message.decode())
        if verdict == b"refused":
            problem = wording.read_refusal(answer[0].decode(), self._modules).problems[0]
            raise EvaluationError(PolicyProblem("eval_internal_error", problem.message))
        return answer[0].decode()

    def close(self) -> None:
        """End the child; the engine cannot be used afterwards."""
        with self._lock:
            self._is_closed = True
            self._drop_child()

    def _load(self) -> None:
        sources = (source.encode("utf-8", "replace") for _, source in self._modules)
        self._compile([b"load", self._data, *sources], "compiling")
        self._is_loaded = True

    def _prepare(self, query: str) -> None:
        # Names are not used again: one that outlived its query would answer for another.
        name = str(next(self._names)).encode()
        self._compile([b"prepare", name, query.encode()], "compiling the query")
        self._prepared[query] = name
        if len(self._prepared) > MAX_PREPARED_QUERIES:
            _, oldest = self._prepared.popitem(last=False)
            self._compile([b"forget", oldest], "forgetting a query")

    def _compile(self, request: list[bytes], doing: str) -> list[bytes]:
        try:
            verdict, *answer = self._ask(request, COMPILE_DEADLINE_SECONDS, doing)
        except EvaluationError as exc:
            problem = PolicyProblem("rego_compile_error", exc.problem.message)
            raise PolicyError([problem]) from exc
        if verdict == b"refused":
            raise wording.read_refusal(answer[0].decode(), self._modules)
        if verdict == b"failed":
            raise PolicyError([PolicyProblem("rego_compile_error", answer[1].decode())])
        return answer

    def _ask(self, request: list[bytes], deadline_seconds: float, doing: str) -> list[bytes]:
        if self._is_closed:
            message = "the policy has been closed"
            raise EvaluationError(PolicyProblem("eval_internal_error", message))
        try:
            if self._child is None:
                self._child = Child()
            return self._child.ask(request, deadline_seconds=deadline_seconds, doing=doing)
        except BaseException:
            # Also when interrupted: an answer left unread would be taken for the next one's.
            self._drop_child()
            raise

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.close()
        self._child = None
        self._is_loaded = False
        self._prepared.clear()
