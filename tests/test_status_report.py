import asyncio
import json

import pytest

from policy_agent.config import Service, StatusReports
from policy_agent.errors import TransportError
from policy_agent.status_report import StatusReporter
from tests.support import http_server, reply


def status(revision="r1", **bundle):
    return {
        "labels": {"id": "i"},
        "bundles": {"main": {"name": "main", "active_revision": revision, **bundle}},
        "decision_logs": {"metrics": {"shipped": 1}},
        "plugins": {"bundle": {"state": "OK"}},
    }


def test_a_status_is_reported_when_it_says_something_new():
    seen = []

    def handle(request, body):
        seen.append((request.path, json.loads(body)))
        reply(request, 200)

    with http_server(handle) as url:
        reporter = StatusReporter(StatusReports(Service("s", url), "/status/p"))
        assert reporter.is_due(status())
        asyncio.run(reporter.report(status(), 5))
    assert seen == [("/status/p", status())]
    assert not reporter.is_due(status(last_request="2026-01-01T00:00:00Z"))
    assert not reporter.is_due({**status(), "decision_logs": {"metrics": {"shipped": 2}}})
    assert reporter.is_due(status("r2"))
    assert reporter.is_due(status(code="bundle_error", message="m"))
    assert reporter.is_due({**status(), "decision_logs": {"code": "decision_log_error"}})


def test_a_refused_report_stays_due():
    with http_server(lambda request, body: reply(request, 500)) as url:
        reporter = StatusReporter(StatusReports(Service("s", url)))
        with pytest.raises(TransportError, match="HTTP 500"):
            asyncio.run(reporter.report(status(), 5))
    assert reporter.is_due(status())


def test_without_a_service_nothing_is_due():
    reporter = StatusReporter(StatusReports(None))
    assert not reporter.is_due(status())
    asyncio.run(reporter.report(status(), 5))
