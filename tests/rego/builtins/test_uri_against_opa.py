"""`uri.parse` and `uri.is_valid` on a corpus of good and odd URIs, beside the real OPA."""

import json
import subprocess

import pytest

from policy_agent.rego.builtins.go_text import printable
from policy_agent.rego.builtins.registry import BuiltinError
from policy_agent.rego.builtins.uri import is_valid, parse
from tests.support import OPA

URIS = [
    "",
    "*",
    "/",
    "//",
    "///a",
    "a:b",
    ":a",
    "a/b:c",
    "a:b/c",
    "http:",
    "http://",
    "HTTP://Ex.com/A?b#c",
    "http://h:80",
    "http://h:",
    "http://h:8a/",
    "http://a:b:c/",
    "ftp://a:b:1/",
    "http://u:p@h/",
    "http://u@v@h/",
    "http://u%zz@h/",
    "http://u<@h/",
    "http://[::1]",
    "http://[::1]:9/x",
    "http://[::1",
    "http://[1.2.3.4]/",
    "http://[fe80::1%25en0]/",
    "http://[fe80::1%25e%20n]/",
    "http://[fe80::1%25%0a]/",
    "http://a[b/",
    "http://a]b/",
    "http://[zz]/",
    "http://h%20/",
    "http://h%C3%A9/",
    "http://hé/",
    "http://h /",
    "http://h\t/",
    "http://h{/",
    "/a%2Fb",
    "/a%2fb",
    "/%",
    "/%4",
    "/%zz",
    "/a b",
    "/ü",
    "/a%C3%BC",
    "/%FF",
    "/a?b?c",
    "/a?",
    "?",
    "?a=b",
    "#f",
    "#%zz",
    "/a#b%20c",
    "mailto:x@y",
    "urn:a:b#c",
    "1http://h",
    "h-t+p.1://h",
    "h_t://h",
    "http://h/\x7f",
    "//h/p",
    "https://example.com/a%28b%29",
    "https://example.com/a%21b",
    "http://h:٣/",
    "http://ex%6dple/",
    "\\\\h",
    "a b:c",
]


@pytest.mark.opa
@pytest.mark.skipif(OPA is None, reason="no opa")
def test_every_uri_is_read_as_opa_reads_it(tmp_path):
    data = tmp_path / "data.json"
    data.write_text(json.dumps({"uris": URIS}), "utf-8")
    query = (
        "x := [[v, p] | some u in data.uris; v := uri.is_valid(u);"
        " p := object.union_n([r | r := uri.parse(u)])]"
    )
    assert OPA is not None
    command = [OPA, "eval", "--format", "json", "--data", str(data), query]
    result = subprocess.run(command, capture_output=True, check=True)
    expected = json.loads(result.stdout)["result"][0]["bindings"]["x"]
    assert printable([[is_valid(uri), parsed(uri)] for uri in URIS]) == expected


def parsed(uri):
    try:
        return parse(uri)
    except BuiltinError:
        return {}


def test_errors_are_gos():
    for uri, message in {
        "http://exa%6dple.com/": 'parse "http://exa%6dple.com/": invalid URL escape "%6d"',
        "http://a<b@e.com/": 'parse "http://a<b@e.com/": net/url: invalid userinfo',
        ":x": 'parse ":x": missing protocol scheme',
    }.items():
        with pytest.raises(BuiltinError) as caught:
            parse(uri)
        assert str(caught.value) == message
