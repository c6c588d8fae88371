"""The documents say what the program does."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from policy_agent.cli import COMMANDS
from policy_agent.config import parse_config
from policy_agent.config.section import Section

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text("utf-8")
ISSUER = {"issuer": "https://i/", "audiences": ["a"], "jwks": {"keys": []}}
# A document that leads the reader into every section.
EVERY_SECTION = {
    "services": {
        "s": {"url": "http://s", "credentials": {"bearer": {"token": "t"}}, "tls": {}},
        "t": {"url": "http://t", "credentials": {"client_tls": {"cert": "c", "private_key": "k"}}},
        "o": {
            "url": "http://o",
            "credentials": {
                "oauth2": {"token_url": "https://t", "client_id": "c", "client_secret": "s"}
            },
        },
        "a": {
            "url": "http://a",
            "credentials": {
                "s3_signing": {
                    "environment_credentials": {},
                    "profile_credentials": {},
                    "metadata_credentials": {"aws_region": "r"},
                    "web_identity_credentials": {},
                    "assume_role_credentials": {"aws_signing": {"environment_credentials": {}}},
                }
            },
        },
    },
    "keys": {"k": {"key": "x"}},
    "bundles": {
        "b": {
            "service": "s",
            "polling": {"long_polling_timeout_seconds": 1},
            "signing": {"keyid": "k"},
        }
    },
    "decision_logs": {
        "service": "s",
        "reporting": {},
        "spool": {},
        "sinks": {"a": {"service": "s"}},
    },
    "discovery": {"service": "s", "resource": "d", "signing": {"keyid": "k"}},
    "status": {"service": "s"},
    "decision_cache": {},
    "identity": {"issuers": {"i": ISSUER}},
    "authzen": {"decision": "a/b", "search": {}},
    "server": {"port_token": {"path": "/p"}, "decoding": {"gzip": {}}, "encoding": {"gzip": {}}},
}
# Of which the bundles' rows speak as well.
LIKE_BUNDLES = r"^discovery\.(?=mirrors|packaged|persist|polling|signing|size_limit|trigger)"
SECTIONS = {
    "services",
    "keys",
    "bundles",
    "decision_logs",
    "status",
    "server",
    "identity",
    "decision_cache",
}


def settings_that_are_read(monkeypatch):
    read, without_effect = set(), set()
    get = Section._get

    def note(section, key):
        read.add(section.name(key))
        return get(section, key)

    def note_without_effect(section, *keys):
        without_effect.update(section.name(key) for key in keys)

    monkeypatch.setattr(Section, "_get", note)
    monkeypatch.setattr(Section, "ignore", note_without_effect)
    monkeypatch.setattr(Section, "refuse", note_without_effect)
    parse_config(EVERY_SECTION)
    named = {
        re.sub(r"^(services|keys|bundles|decision_logs\.sinks)\.\w+", r"\1.<name>", key)
        .replace("keys.<name>", "keys.<id>")
        .replace("issuers.i", "issuers.<name>")
        for key in read - without_effect
    }
    named = {re.sub(LIKE_BUNDLES, "bundles.<name>.", key) for key in named}
    return {key for key in named if not any(other.startswith(key + ".") for other in named)}


def test_every_setting_is_documented_and_every_documented_setting_is_read(monkeypatch):
    documented = set(re.findall(r"^\| `([a-z0-9_.<>]+)` \|", CONFIGURATION, re.M))
    expected = (
        settings_that_are_read(monkeypatch)
        - SECTIONS
        - {
            "decision_logs.sinks.<name>.name",
            "services.<name>.name",
            "identity.issuers.<name>",
            "identity.issuers.<name>.name",
        }
    )
    assert documented == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_explain_itself(name):
    module = importlib.import_module(COMMANDS[name][0])
    parser = argparse.ArgumentParser()
    module.configure(parser)
    assert parser.format_help()
    assert f"policy-agent {name}" in (ROOT / "README.md").read_text("utf-8") or name == "demo"


def test_the_flags_of_run_are_documented():
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module("policy_agent.run_command").configure(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert flags == set(re.findall(r"`(--?[a-z0-9-]+)`[,| ]", CONFIGURATION)) - {"--set key"}


def test_links_in_the_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_nothing_names_the_machine_it_was_made_on():
    pattern = re.compile(r"/(?:root|home/\w+)/")
    for folder in ("policy_agent", "docs", "bundles", "samples", "layer", "benchmarks"):
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".md", ".rego", ".json", ".yaml"):
                assert not pattern.search(file.read_text("utf-8")), file


def test_every_test_that_the_table_of_lifecycles_names_exists():
    text = (ROOT / "docs" / "lifecycles.md").read_text("utf-8")
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"\btest_\w+(?!\w|\.py)\b", text))
    assert len(named) > 15
    assert [name for name in named if f"def {name}(" not in tests] == []
    for path in re.findall(r"tests/[\w/]+\.py", text):
        assert (ROOT / path).is_file()
