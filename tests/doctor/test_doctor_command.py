"""`policy-agent doctor` over functions and layers, as a person calls it."""

import json
import sys

import pytest

from policy_agent.cli import main
from tests.support import control_plane, make_bundle


@pytest.fixture
def function(tmp_path, monkeypatch):
    """A factory of function folders with a configuration."""
    monkeypatch.delenv("POLICY_AGENT_CONFIG", raising=False)

    def make(config=None):
        (tmp_path / "handler.py").write_text("def handle(event, context): ...\n")
        if config is not None:
            (tmp_path / "policy-agent.json").write_text(json.dumps(config))
        return str(tmp_path)

    return make


def doctor(capsys, *words):
    status = main(["doctor", *words, "--format", "json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    return status, {finding["subject"]: finding for finding in found}


def test_a_function_whose_bundle_can_be_had(function, capsys):
    with control_plane() as plane:
        plane.bundles["main"] = make_bundle({"app.rego": "package app\n"}, revision="r7")
        config = {
            "services": {"plane": {"url": plane.url}},
            "bundles": {"main": {}},
            "decision_logs": {"service": "plane"},
        }
        status, found = doctor(capsys, function(config))
        assert status == 0
        assert found["bundles.main"]["message"] == "fetched and active, r7"
        # A check-up leaves no trace in the auditor's store.
        assert plane.events == []


def test_a_bundle_that_cannot_be_had_is_named_with_the_reason(function, capsys):
    with control_plane() as plane:
        config = {"services": {"plane": {"url": plane.url}}, "bundles": {"main": {}}}
        status, found = doctor(capsys, function(config))
    assert status == 1
    assert "Not Found" in found["bundles.main"]["message"]
    assert found["decision_logs"]["level"] == "warning"


def test_nothing_is_fetched_offline(function, capsys):
    config = {"services": {"s": {"url": "http://127.0.0.1:1"}}, "bundles": {"main": {}}}
    status, found = doctor(capsys, function(config), "--offline")
    assert (status, "bundles.main" in found) == (0, False)


def test_every_wrong_setting_is_named(function, capsys):
    status, found = doctor(capsys, function({"services": {"s": {"url": "ftp://x"}}, "labels": 1}))
    assert status == 1
    assert {"services.s.url", "labels"} <= set(found)


def test_a_function_without_configuration(function, capsys):
    status, found = doctor(capsys, function())
    assert status == 1
    [finding] = found.values()
    assert "policy-agent.yaml" in finding["remedy"]


def test_what_is_no_package_is_an_error(tmp_path, capsys):
    path = tmp_path / "x.zip"
    path.write_text("no zip")
    assert main(["doctor", str(path)]) == 1
    assert f"{path}: neither a directory nor a zip archive" in capsys.readouterr().err


def test_text_has_the_remedy_below_each_fault(function, capsys):
    assert main(["doctor", function()]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("error    ")
    assert second.startswith("         add one of policy-agent.yaml")


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    tmp_path, capsys, monkeypatch
):
    launcher = tmp_path / "extensions" / "policy-agent"
    launcher.parent.mkdir()
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    monkeypatch.setitem(sys.modules, "elftools.common.exceptions", None)
    assert main(["doctor", str(tmp_path)]) == 1
    assert "pip install 'policy-agent[publish]'" in capsys.readouterr().err
