import os
import sys

import pytest

from policy_agent.emulator import preflight
from policy_agent.emulator.sandbox import LocalLambda
from policy_agent.errors import EmulatorError


async def enter(settings):
    async with LocalLambda(settings):
        pass


def test_a_whole_function_and_layer_pass(bench, run):
    bench.extension("agent")
    run(enter(bench.settings()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"handler": "missing.handler"}, "missing.py does not exist", id="module"),
        pytest.param({"handler": "app"}, "must be module.function", id="no-function"),
        pytest.param({"python": "/nowhere/python3"}, "cannot be executed", id="no-interpreter"),
        pytest.param({"python": "/bin/false"}, "not a working Python", id="no-python"),
    ],
)
def test_what_is_missing_is_named(bench, run, changes, message):
    with pytest.raises(EmulatorError, match=message):
        run(enter(bench.settings(**changes)))


def test_a_missing_function_directory_is_named(bench, run, tmp_path):
    with pytest.raises(EmulatorError, match="nowhere: no such function directory"):
        run(enter(bench.settings(function_dir=tmp_path / "nowhere")))


def test_a_layer_without_extensions_is_refused(bench, run, tmp_path):
    with pytest.raises(EmulatorError, match="extensions: a layer with an extension needs"):
        run(enter(bench.settings(layer_dir=tmp_path / "scratch")))


def test_an_interpreter_without_awslambdaric_is_refused(bench, run, tmp_path):
    bare = tmp_path / "python3"
    # -S keeps this interpreter's own site-packages, where awslambdaric is, out of sight.
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(EmulatorError, match=r"awslambdaric is not installed for .*python3"):
        run(enter(bench.settings(python=str(bare))))


def test_a_handler_in_a_package_or_in_the_layer_is_found(bench):
    (bench.function / "shop").mkdir()
    (bench.function / "shop" / "orders.py").write_text("")
    (bench.layer / "python" / "shared").mkdir(parents=True)
    (bench.layer / "python" / "shared" / "__init__.py").write_text("")
    for handler in ("shop.orders.handler", "shop/orders.handler", "shared.handler"):
        preflight.check_files(bench.settings(handler=handler))


def test_every_regular_file_of_the_layer_is_an_extension_and_no_directory(bench):
    bench.extension("b")
    bench.extension("a").chmod(0o644)
    os.mkdir(bench.layer / "extensions" / "modules")
    assert [path.name for path in preflight.extension_files(bench.settings())] == ["a", "b"]
    assert preflight.extension_files(bench.settings(layer_dir=None)) == []
