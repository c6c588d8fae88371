"""A short, repeatable run over every parser of bundles; `bundles.py` says how to run for longer."""

import gzip
import time

import pytest

from policy_agent.errors import BundleError
from tests.fuzz.bundles import TARGETS, check_archive, check_manifest, check_patch, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_bytes_end_only_in_our_own_errors(name):
    fuzz(TARGETS[name], 120)


@pytest.mark.parametrize("check", [check_manifest, check_patch], ids=["manifest", "patch"])
@pytest.mark.parametrize("opening", [b"[", b'{"data":', b'{"roots":['])
def test_deep_json_is_refused(check, opening):
    with pytest.raises(BundleError):
        check(opening * 300_000)


def test_a_bomb_is_refused_before_it_costs_much():
    bomb = gzip.compress(gzip.compress(b"\0" * (256 << 20), 1), 9)
    before = time.process_time()
    with pytest.raises(BundleError):
        check_archive(bomb)
    assert time.process_time() - before < 10
