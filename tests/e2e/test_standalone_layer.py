"""The layer that brings its own interpreter, in a root directory that holds nothing but a shell."""

import asyncio
import os
import shutil

import pytest

from layer.debian_python import DebianPython
from layer.tree import ROOT, build_tree
from policy_agent.doctor.elf import read_binary
from tests.support import make_bundle

MACHINE = os.uname().machine
EMULATOR = shutil.which("qemu-aarch64-static") or ""
SHELL = shutil.which("busybox") or ""
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root"),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt"),
    pytest.mark.skipif(not SHELL, reason="needs Debian's busybox-static"),
]
ALLOW_ALL = {"app.rego": 'package app\n\nallow if regex.match("^u", input.user)\n'}
# Each would keep an interpreter that heeds it from starting.
HOSTILE = {
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/tmp/hostile",
    "LD_LIBRARY_PATH": "/tmp/hostile",
    "LD_PRELOAD": "/tmp/hostile/libc.so.6",
}


@pytest.fixture(scope="module", params=["x86_64", "aarch64"])
def jail(request, tmp_path_factory):
    """A root directory with the layer of one architecture at /opt, a shell, and /tmp."""
    if request.param != MACHINE and not EMULATOR:
        pytest.skip("needs Debian's qemu-user-static")
    root = tmp_path_factory.mktemp("jail")
    build = ROOT / "build"
    carried = DebianPython(request.param, build)
    compiler = DebianPython(MACHINE, build).command
    build_tree(root / "opt", request.param, carried.version, compiler, carried)
    (root / "bin").mkdir()
    shutil.copy(SHELL, root / "bin" / "sh")
    hostile = root / "tmp" / "hostile"
    hostile.mkdir(parents=True)
    (hostile / "msgspec.py").write_text("raise SystemExit('the function was imported')")
    for name in ("libc.so.6", "libz.so.1", "libssl.so.3"):
        (hostile / name).write_bytes(b"not a library")
    if request.param != MACHINE:
        emulate(root)
    return root


def emulate(root):
    """Let the layer's loader run on this machine's processor."""
    shutil.copy(EMULATOR, root / "emulator")
    loader = root / "opt" / "policy-agent" / "interpreter" / "lib" / "ld.so"
    loader.rename(loader.with_name("emulated.so"))
    own = f"/{loader.with_name('emulated.so').relative_to(root)}"
    loader.write_text(f'#!/bin/sh\nexec /emulator {own} "$@"\n')
    loader.chmod(0o755)


@pytest.fixture
def confined(jail, tmp_path):
    """An unpacked layer whose extension runs in the jail with hostile variables."""
    layer = tmp_path / "layer"
    (layer / "extensions").mkdir(parents=True)
    (layer / "python").symlink_to(jail / "opt" / "python")
    chroot = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
    # Set inside the jail, whose shell needs no library: the launcher is the first to heed them.
    variables = " ".join(f"{name}={value}" for name, value in HOSTILE.items())
    inside = f"export {variables}; exec /opt/extensions/policy-agent"
    launcher = layer / "extensions" / "policy-agent"
    launcher.write_text(f"#!/bin/sh\nexec {chroot} {jail} /bin/sh -c '{inside}'\n")
    launcher.chmod(0o755)
    return layer


def test_it_decides_where_there_is_no_python_and_no_c_library(confined, local_lambda, plane):
    plane.bundles["main"] = make_bundle(ALLOW_ALL, revision="r1")

    async def scenario():
        settings = {"layer_dir": confined, "timeout_seconds": 30.0, "init_limit_seconds": 30.0}
        async with local_lambda(config={"persistence_directory": "/tmp/state"}, **settings) as env:
            invocation = await env.invoke({"paths": ["app/allow"], "input": {"user": "u"}})
            await invocation.completed()
            [answer] = invocation.response
            assert answer["allow"], answer
            report = await env.shutdown()
            assert report.extensions["policy-agent"].exit_code == 0
            assert not [line for line in env.logs if "cannot be preloaded" in line.text]
        assert plane.ids == [answer["id"]]

    asyncio.run(scenario())


def test_every_library_it_needs_is_its_own(jail):
    home = jail / "opt" / "policy-agent"
    brought = {path.name for path in home.rglob("*.so*")} | {"ld.so"}
    binaries = [read_binary(path) for path in home.rglob("*") if path.is_file()]
    needed = {name for binary in binaries if binary for name in binary.libraries}
    assert {name for name in needed if not name.startswith("ld-linux")} <= brought
    assert needed


def test_all_of_it_is_of_one_architecture(jail):
    home = jail / "opt" / "policy-agent"
    binaries = [read_binary(path) for path in home.rglob("*.so*") if path.is_file()]
    assert len({binary.architecture for binary in binaries if binary}) == 1


def test_its_modules_are_compiled_ahead(jail):
    home = jail / "opt" / "policy-agent"
    for source in home.rglob("*.py"):
        cached = source.parent / "__pycache__"
        assert list(cached.glob(f"{source.stem}.cpython-*.pyc")), source


def test_tracebacks_name_the_files_as_lambda_unpacks_them(jail):
    compiled = next(jail.rglob("policy_agent/lifecycle/__pycache__/bootstrap.*.pyc")).read_bytes()
    assert b"/opt/policy-agent/python" in compiled
    assert str(jail).encode() not in compiled
