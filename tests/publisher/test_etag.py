import pytest

from policy_agent.publisher.etag import is_known, strong_etag

TAG = strong_etag(b"one")


def test_an_etag_names_its_bytes_and_is_strong():
    assert strong_etag(b"one") == TAG
    assert strong_etag(b"two") != TAG
    assert TAG.startswith('"')
    assert TAG.endswith('"')


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(TAG, id="the tag"),
        pytest.param(f"W/{TAG}", id="weak"),
        pytest.param(f'"new", {TAG},"a,b"', id="in a list, as with superseded tags"),
        pytest.param(" * ", id="any"),
    ],
)
def test_a_client_that_has_the_content_is_recognised(header):
    assert is_known(TAG, header)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="no header"),
        pytest.param("", id="empty"),
        pytest.param(TAG.strip('"'), id="unquoted"),
        pytest.param(f'"x{TAG[1:]}', id="a longer tag"),
        pytest.param('"*"', id="a quoted star"),
        pytest.param(f'{strong_etag(b"two")}, "', id="other tags"),
    ],
)
def test_a_client_that_lacks_the_content_gets_it(header):
    assert not is_known(TAG, header)
