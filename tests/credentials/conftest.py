import pytest

from tests.real_servers import moto


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """The URL of moto: STS, ECR and S3."""
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield url
