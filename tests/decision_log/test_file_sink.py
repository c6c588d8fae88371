from __future__ import annotations

import asyncio
import resource

import pytest

from policy_agent.decision_log.batch import Batch
from policy_agent.decision_log.sinks.file import FileSink
from policy_agent.errors import ShipError


def send(path, body):
    asyncio.run(FileSink(path).send(Batch("b", body, body), 1))


def test_batches_are_appended_and_only_the_owner_reads_them(tmp_path):
    path = tmp_path / "deep" / "log.jsonl"
    send(path, b"1\n")
    send(path, b"2\n")
    assert path.read_bytes() == b"1\n2\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_rotated_away_is_made_again(tmp_path):
    path = tmp_path / "log.jsonl"
    send(path, b"1\n")
    path.rename(tmp_path / "log.1")
    send(path, b"2\n")
    assert path.read_bytes() == b"2\n"


def test_a_batch_that_does_not_fit_leaves_nothing_of_itself(tmp_path):
    path = tmp_path / "log.jsonl"
    send(path, b"1\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ShipError, match="cannot be written: File too large"):
            send(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"1\n"
