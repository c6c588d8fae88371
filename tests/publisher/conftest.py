import pytest

from tests.bundle.signing import write_key_pair

CURVES = ("ES256", "ES384", "ES512")


@pytest.fixture(scope="session")
def key_of(tmp_path_factory):
    """A function from an algorithm to its (private, public) keys as a command line names them."""
    directory = tmp_path_factory.mktemp("keys")
    made = {}
    for algorithm in ("RS256", *CURVES):
        private, public = write_key_pair(directory, algorithm)
        path = directory / f"{algorithm}.pub.pem"
        path.write_text(public)
        made[algorithm] = str(private), str(path)

    def find(algorithm: str) -> tuple[str, str]:
        if algorithm.startswith("HS"):
            return ("a shared secret",) * 2
        return made.get(algorithm, made["RS256"])

    return find
