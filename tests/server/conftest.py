"""An application on a real socket, over an engine that is a table."""

import asyncio
import contextlib
import socket
import threading

import httpx
import pytest

from policy_agent.config import Server
from policy_agent.decision.decisions import Decisions
from policy_agent.errors import EvaluationError, Location, PolicyProblem
from policy_agent.explaining import Explainer
from policy_agent.model import Bundle, Manifest, Snapshot
from policy_agent.server.app import App
from policy_agent.server.serve import serving
from policy_agent.server.services import Services
from policy_agent.status import BundleStatus, State
from tests.server.beside_opa import ports
from tests.support import TableEvaluator

__all__ = ["ports"]

LIMITS = Server(max_request_bytes=2000, max_gzip_bytes=3000, gzip_min_length=100)


def conflict(input):
    problem = PolicyProblem("eval_conflict_error", "two values", Location("a.rego", 3))
    raise EvaluationError(problem)


class Harness:
    """One app on a real socket, with what it recorded."""

    def __init__(self) -> None:
        self.decisions = Decisions(self._record, lambda: "id-1")
        self.bundle_statuses = {"main": BundleStatus("main", "r1", loads=2)}
        self.decision_log_status = None
        self.own_cost: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        self.recorded = []
        self.record_error = None
        self.failure = ""
        self.max_age_seconds = None
        self.refusal = None
        self.evaluator = TableEvaluator(
            {
                "orders/allow": lambda value: value == {"user": "bob"},
                "orders/echo": lambda value: value,
                "orders/text": "a<b",
                "orders/big": "x" * 200,
                "orders/fails": conflict,
                "orders/list/1": 20,
                "system/main": "default",
            }
        )
        bundle = Bundle("main", Manifest("r1", ("orders",)), {}, {})
        self.decisions.snapshot = Snapshot(self.evaluator, {"main": bundle})

    def _record(self, decision, policy):
        if self.record_error:
            raise self.record_error
        self.recorded.append(decision)

    def health_failure(self, *, bundles, plugins, excluded, max_age_seconds):
        self.max_age_seconds = max_age_seconds
        return self.failure if bundles or plugins else ""

    def plugin_states(self):
        return {"bundle": State.OK}

    def were_plugins_ready(self):
        return True

    def status(self):
        return None

    def config(self):
        return {"default_decision": "/system/main"}

    def syntax_tree(self, name, text, rego_version):
        return {"package": name}

    def is_stale(self):
        return self.refusal is not None

    async def freshen(self):
        return self.refusal


@pytest.fixture
def harness(served):
    served[0].reset()
    return served[0]


@pytest.fixture
def client(served, harness):
    return served[1]


@pytest.fixture(scope="module")
def served():
    harness = Harness()
    app = App(
        Services(
            decisions=harness.decisions,
            overview=harness,
            freshness=harness,
            limits=LIMITS,
            default_decision="system/main",
            show_decision_ids=True,
            explainer=Explainer(1),
        )
    )
    with running(app) as url, httpx.Client(base_url=url) as client:
        yield harness, client


@contextlib.contextmanager
def running(app):
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        async with serving(app, [listener]):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(5)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
