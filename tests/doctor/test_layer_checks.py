"""What the doctor says of layers: each fault that Lambda would meet is one finding."""

import stat
import zipfile
from pathlib import Path

import msgspec
import pytest

from policy_agent.doctor.finding import Level
from policy_agent.doctor.layer_checks import check_layer, is_layer
from policy_agent.doctor.package import read_package

LAUNCHER = b"#!/bin/sh\nexec true\n"
BINARY = next(Path(msgspec.__file__).parent.glob("_core*.so")).read_bytes()
E_MACHINE = 18  # offset in an ELF header
AARCH64 = 183


def layer(tmp_path, files, *, mode=0o755):
    """A zip with these files, the launcher with that mode."""
    path = tmp_path / "layer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            bits = mode if name.startswith("extensions/") else 0o644
            entry.external_attr = bits << 16
            archive.writestr(entry, data)
    return path


def findings(path, *, zip_bytes=1000, architecture=""):
    files = read_package(path)
    assert is_layer(files)
    return check_layer(files, zip_bytes, architecture)


def faults(path, **options):
    return [
        (finding.subject, finding.message)
        for finding in findings(path, **options)
        if finding.level is not Level.OK
    ]


def library(name, version="3.13"):
    return f"policy-agent/python{version}/{name}"


def test_a_good_layer_has_no_fault(tmp_path):
    files = {
        "extensions/policy-agent": LAUNCHER,
        library("m.py"): b"",
        library("__pycache__/m.cpython-313.pyc"): b"",
        library("m.so"): BINARY,
    }
    assert faults(layer(tmp_path, files), architecture="x86_64") == []


@pytest.mark.parametrize("mode", [0o644, 0])
def test_a_launcher_that_is_not_executable(tmp_path, mode):
    path = layer(tmp_path, {"extensions/policy-agent": LAUNCHER}, mode=mode)
    [(subject, message)] = faults(path)
    assert subject == "extensions/policy-agent"
    assert "not executable" in message


def test_a_launcher_with_windows_line_ends(tmp_path):
    path = layer(tmp_path, {"extensions/policy-agent": LAUNCHER.replace(b"\n", b"\r\n")})
    [(_, message)] = faults(path)
    assert "Windows line ends" in message


def test_a_file_in_extensions_that_is_no_program(tmp_path):
    path = layer(tmp_path, {"extensions/readme.txt": b"hello"})
    [(subject, message)] = faults(path)
    assert (subject, "starts every file" in message) == ("extensions/readme.txt", True)


def test_a_folder_zipped_in_place_of_its_contents(tmp_path):
    [(subject, message)] = faults(layer(tmp_path, {"layer/extensions/policy-agent": LAUNCHER}))
    assert subject == "layer/extensions/policy-agent"
    assert "not at the top" in message


def test_more_extensions_than_lambda_starts(tmp_path):
    path = layer(tmp_path, {f"extensions/e{number}": LAUNCHER for number in range(11)})
    assert [message for _, message in faults(path)] == [
        "11 files; Lambda starts at most 10 extensions"
    ]


def test_another_architecture_than_the_functions(tmp_path):
    path = layer(tmp_path, {"extensions/e": LAUNCHER, "lib/m.so": BINARY})
    [(subject, message)] = faults(path, architecture="aarch64")
    assert (subject, "exec format error" in message) == ("lib/m.so", True)


def test_several_architectures_in_one_layer(tmp_path):
    other = BINARY[:E_MACHINE] + AARCH64.to_bytes(2, "little") + BINARY[E_MACHINE + 2 :]
    path = layer(tmp_path, {"extensions/e": LAUNCHER, "a.so": BINARY, "b.so": other})
    [(_, message)] = faults(path)
    assert message == "of several architectures: x86_64 (a.so), aarch64 (b.so)"


@pytest.mark.parametrize(
    ("version", "needed", "refused"),
    [("3.13", b"34", False), ("3.13", b"35", True), ("3.11", b"26", False), ("3.11", b"27", True)],
)
def test_a_newer_c_library_than_the_runtimes(tmp_path, version, needed, refused):
    newer = BINARY.replace(b"GLIBC_2.14", b"GLIBC_2." + needed)
    assert newer != BINARY
    path = layer(tmp_path, {"extensions/e": LAUNCHER, library("m.so", version): newer})
    assert bool(faults(path)) is refused
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("policy-agent/interpreter/lib/libc.so.6", b"")
    assert faults(path) == []


def test_modules_without_byte_code(tmp_path):
    path = layer(tmp_path, {"extensions/e": LAUNCHER, library("a.py"): b"", library("b.py"): b""})
    [(subject, message)] = faults(path)
    assert subject == library("a.py")
    assert message.startswith("2 modules without byte code")


@pytest.mark.parametrize(("zip_bytes", "count"), [(52_428_800, 0), (52_428_801, 1)])
def test_a_zip_too_large_to_upload(tmp_path, zip_bytes, count):
    path = layer(tmp_path, {"extensions/e": LAUNCHER})
    assert len(faults(path, zip_bytes=zip_bytes)) == count


def test_a_folder_is_looked_at_like_a_zip(tmp_path):
    launcher = tmp_path / "extensions" / "policy-agent"
    launcher.parent.mkdir()
    launcher.write_bytes(LAUNCHER)
    launcher.chmod(stat.S_IRUSR)
    [(subject, message)] = faults(tmp_path)
    assert (subject, "mode 0400" in message) == ("extensions/policy-agent", True)


def test_every_fault_says_what_to_do(tmp_path):
    path = layer(tmp_path, {"extensions/e": b"\r\n", library("m.py"): b""}, mode=0o600)
    for finding in findings(path, zip_bytes=60_000_000, architecture="aarch64"):
        assert bool(finding.remedy) is (finding.level is not Level.OK)
