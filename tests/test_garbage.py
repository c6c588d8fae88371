import gc

import pytest

from policy_agent.garbage import uncollected


def test_the_collector_rests_inside_and_works_afterwards():
    def fail() -> None:
        with uncollected():
            assert not gc.isenabled()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off():
    with uncollected():
        with uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
