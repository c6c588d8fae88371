import gc

import pytest

from policy_agent.garbage import LARGE_BYTES, making, uncollected


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


@pytest.mark.parametrize(("size", "passed_by"), [(LARGE_BYTES, True), (LARGE_BYTES - 1, False)])
def test_the_collector_passes_by_what_is_large(size, passed_by):
    gc.unfreeze()
    with making(size):
        document = {"list": [{"n": n} for n in range(10)]}
    try:
        assert (gc.get_freeze_count() > 0) == passed_by
        assert any(each is document for each in gc.get_objects()) != passed_by
    finally:
        gc.unfreeze()
    assert gc.isenabled()


def test_the_collector_keeps_nothing_that_could_not_be_made():
    gc.unfreeze()
    with pytest.raises(KeyError), making(LARGE_BYTES):
        raise KeyError
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()
