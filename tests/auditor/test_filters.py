from datetime import UTC, datetime, timedelta

import pytest

from policy_agent.auditor.filters import parse_moment
from policy_agent.errors import AuditError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("30s", NOW - timedelta(seconds=30), id="seconds"),
        pytest.param("15m", NOW - timedelta(minutes=15), id="minutes"),
        pytest.param("24h", NOW - timedelta(hours=24), id="hours"),
        pytest.param("7d", NOW - timedelta(days=7), id="days"),
        pytest.param("2w", NOW - timedelta(weeks=2), id="weeks"),
        pytest.param("2026-11-21T12:00:00Z", NOW, id="UTC"),
        pytest.param("2026-11-21T13:00:00.5+01:00", NOW + timedelta(seconds=0.5), id="zone"),
    ],
)
def test_moments(text, moment):
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("yesterday", id="word"),
        pytest.param("2026-11-21", id="date"),
        pytest.param("2026-11-21T12:00:00", id="no zone"),
        pytest.param("-5m", id="negative"),
        pytest.param("99999999d", id="too long"),
        pytest.param("9" * 400 + "d", id="far too long"),
        pytest.param("0001-01-01T00:00:00+05:00", id="too early"),
    ],
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(AuditError):
        parse_moment(text, NOW)
