"""Patterns as in Go's filepath.Match."""

import pytest

from policy_agent.bundle.file_glob import matches


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        pytest.param("a.json", "a.json", True, id="plain"),
        pytest.param("a.json", "axjson", False, id="a dot is a dot"),
        pytest.param("*.json", "a.json", True, id="star"),
        pytest.param("*.json", "d/a.json", False, id="star stays in its directory"),
        pytest.param("*/a.json", "d/a.json", True, id="star for a directory"),
        pytest.param("**", "d/a", False, id="two stars are one"),
        pytest.param("?", "é", True, id="question mark is a character"),
        pytest.param("a?b", "a/b", False, id="question mark is no slash"),
        pytest.param("[a-c]x", "bx", True, id="range"),
        pytest.param("[^a-c]x", "bx", False, id="negated range"),
        pytest.param("[^a-c]x", "dx", True, id="outside negated range"),
        pytest.param("[!a]x", "!x", True, id="an exclamation mark is itself"),
        pytest.param("[!a]x", "bx", False, id="an exclamation mark does not negate"),
        pytest.param("a[^x]b", "a/b", False, id="a set is no slash"),
        pytest.param(r"\*", "*", True, id="escape"),
        pytest.param(r"\*", "a", False, id="escaped star"),
        pytest.param(r"[\]]", "]", True, id="escape in a set"),
        pytest.param("[", "[", False, id="malformed set"),
        pytest.param("[a-]", "-", False, id="open range"),
        pytest.param("[z-a]", "b", False, id="malformed range"),
        pytest.param("a\\", "a\\", False, id="malformed escape"),
        pytest.param("", "", True, id="empty"),
        pytest.param("a", "a\n", False, id="whole text"),
    ],
)
def test_patterns(pattern, path, expected):
    assert matches(path, pattern) is expected
