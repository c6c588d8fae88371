"""Which modules a package can reach."""

import pytest

from policy_agent.publisher.needed_modules import needed_modules
from policy_agent.rego.parse import parse_module

MODULES = {
    "a.rego": "package app.a\n\nimport data.lib.one\n\nok if one.yes\n",
    "a_more.rego": "package app.a\n\nmore if data.lib.two.yes\n",
    "one.rego": "package lib.one\n\nyes if data.lib.three.yes\n",
    "two.rego": "package lib.two\n\nyes if true\n",
    "three.rego": "package lib.three\n\nyes if true\n",
    "every.rego": "package every\n\nnames contains name if data.lib[name].yes\n",
    "whole.rego": "package whole\n\nall := data\n",
    "nested.rego": "package lib.one.deep\n\nyes if data.settings.on\n",
    "alone.rego": "package alone\n\nyes if input.x\n",
}


@pytest.mark.parametrize(
    ("file", "needed"),
    [
        ("alone.rego", {"alone.rego"}),
        ("nested.rego", {"nested.rego"}),
        ("one.rego", {"one.rego", "three.rego"}),
        (
            "a.rego",
            {"a.rego", "a_more.rego", "one.rego", "two.rego", "three.rego", "nested.rego"},
        ),
        (
            "every.rego",
            {"every.rego", "one.rego", "two.rego", "three.rego", "nested.rego"},
        ),
        ("whole.rego", set(MODULES)),
    ],
)
def test_a_package_needs_what_its_references_can_reach(file, needed):
    modules = [parse_module(*each) for each in MODULES.items()]
    assert needed_modules(modules, file) == needed
