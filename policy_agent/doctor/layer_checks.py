"""Whether Lambda can start what is in a layer. Pure: files in, findings out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from io import BytesIO

from policy_agent.doctor.elf import Binary, parse_binary
from policy_agent.doctor.finding import Finding, error, ok, warning
from policy_agent.doctor.package import PackedFile
from policy_agent.doctor.runtimes import (
    MAX_DIRECT_UPLOAD_BYTES,
    MAX_EXTENSIONS,
    MAX_UNPACKED_BYTES,
    glibc_of,
)

_EXTENSIONS = "extensions/"
_OWN = "policy-agent/"
_INTERPRETER = f"{_OWN}interpreter/"
_LIBRARY = re.compile(rf"{_OWN}python(3\.\d+)/")


def is_layer(files: Sequence[PackedFile]) -> bool:
    """Tell a layer with an extension from a function's code."""
    return any(f"/{_EXTENSIONS}" in f"/{file.name}" for file in files)


def check_layer(files: Sequence[PackedFile], zip_bytes: int, architecture: str) -> list[Finding]:
    """Return what is right and wrong with a layer.

    Args:
        zip_bytes: size of the archive, 0 for a directory.
        architecture: the function's, `x86_64` or `aarch64`; "" when not known.
    """
    findings = list(_check_launchers(files))
    if any(file.name.startswith(_OWN) for file in files):
        findings += _check_agent(files)
    findings += _check_binaries(files, architecture)
    findings += _check_size(files, zip_bytes)
    return findings


def _check_launchers(files: Sequence[PackedFile]) -> Iterator[Finding]:
    launchers = [file for file in files if file.name.startswith(_EXTENSIONS)]
    if not launchers:
        [misplaced, *_] = [file for file in files if f"/{_EXTENSIONS}" in file.name]
        yield error(
            misplaced.name,
            "extensions/ is not at the top, so Lambda finds no extension",
            "zip the contents of the folder, not the folder",
        )
        return
    for file in launchers:
        yield from _check_launcher(file)
    if len(launchers) > MAX_EXTENSIONS:
        yield error(
            _EXTENSIONS,
            f"{len(launchers)} files; Lambda starts at most {MAX_EXTENSIONS} extensions",
            "keep only launchers in extensions/, modules elsewhere",
        )


def _check_launcher(file: PackedFile) -> Iterator[Finding]:
    problems = 0
    if file.name.count("/") > 1:
        return
    if file.mode is None or not file.mode & 0o111:
        problems += 1
        mode = "no mode bits" if file.mode is None else f"mode {file.mode:04o}"
        yield error(
            file.name,
            f"{mode}: not executable, so Lambda refuses to start (Extension.LaunchError)",
            "set mode 0755 and zip on Linux or macOS, or with `make layer`",
        )
    head = file.read()[:256]
    first_line = head.split(b"\n", 1)[0]
    if head.startswith(b"#!") and first_line.endswith(b"\r"):
        problems += 1
        yield error(
            file.name,
            "has Windows line ends: the kernel looks for an interpreter that ends in CR",
            "convert it to LF, and keep it so with `* text=auto eol=lf` in .gitattributes",
        )
    if not head.startswith((b"#!", b"\x7fELF")):
        problems += 1
        yield error(
            file.name,
            "is neither a script with #! nor a program, and Lambda starts every file here",
            "move it out of extensions/",
        )
    if not problems:
        yield ok(file.name, "can be started")


def _check_agent(files: Sequence[PackedFile]) -> Iterator[Finding]:
    versions = {match[1] for file in files if (match := _LIBRARY.match(file.name))}
    carried = any(file.name.startswith(_INTERPRETER) for file in files)
    if not versions:
        yield error(_OWN, "holds no python3.N folder", "build the layer with `make layer`")
    for version in sorted(versions):
        users = "any runtime" if carried else f"functions on the runtime python{version}"
        yield ok(f"{_OWN}python{version}", f"for {users}")
    names = {file.name for file in files}
    missing = sorted(
        name
        for name in names
        if name.endswith(".py") and _LIBRARY.match(name) and not _has_byte_code(name, names)
    )
    if missing:
        yield warning(
            missing[0],
            f"{len(missing)} modules without byte code are compiled at every cold start",
            "build the layer with `make layer`",
        )


def _has_byte_code(name: str, names: set[str]) -> bool:
    folder, _, module = name.rpartition("/")
    match = _LIBRARY.match(name)
    tag = match[1].replace(".", "") if match else ""
    return f"{folder}/__pycache__/{module.removesuffix('.py')}.cpython-{tag}.pyc" in names


def _check_binaries(files: Sequence[PackedFile], architecture: str) -> Iterator[Finding]:
    by_architecture: dict[str, list[str]] = defaultdict(list)
    carried = any(file.name.startswith(_INTERPRETER) for file in files)
    for file in files:
        if ".so" not in file.name and file.mode is not None and not file.mode & 0o111:
            continue
        binary = parse_binary(BytesIO(file.read()))
        if binary is None:
            continue
        by_architecture[binary.architecture].append(file.name)
        if not carried:
            yield from _check_glibc(file.name, binary)
    if len(by_architecture) > 1:
        listed = ", ".join(f"{name} ({names[0]})" for name, names in by_architecture.items())
        yield error("compiled files", f"of several architectures: {listed}", "build one layer each")
    for found, names in by_architecture.items():
        if architecture and found != architecture:
            yield error(
                names[0],
                f"is for {found}, the function for {architecture} (exec format error)",
                f"build with ARCHITECTURE={architecture}",
            )
        else:
            yield ok("compiled files", f"{len(names)} for {found}")


def _check_glibc(name: str, binary: Binary) -> Iterator[Finding]:
    match = _LIBRARY.match(name)
    offered = glibc_of(match[1] if match else "")
    if binary.glibc > offered:
        needed = ".".join(map(str, binary.glibc))
        has = ".".join(map(str, offered))
        yield error(
            name,
            f"needs glibc {needed}, where the runtime has {has}",
            "install a wheel for an older platform tag, or use the standalone layer",
        )


def _check_size(files: Sequence[PackedFile], zip_bytes: int) -> Iterator[Finding]:
    unpacked = sum(file.size_bytes for file in files)
    shown = f"{unpacked / 1e6:.1f} MB unpacked"
    if unpacked > MAX_UNPACKED_BYTES:
        yield error(
            "size",
            f"{shown}; function and layers together may have {MAX_UNPACKED_BYTES / 1e6:.0f} MB",
            "leave out what the function does not need",
        )
    elif zip_bytes > MAX_DIRECT_UPLOAD_BYTES:
        yield warning(
            "size",
            f"{zip_bytes / 1e6:.1f} MB zipped, where an upload may have "
            f"{MAX_DIRECT_UPLOAD_BYTES / 1e6:.0f} MB",
            "publish the layer from S3",
        )
    else:
        zipped = f", {zip_bytes / 1e6:.1f} MB zipped" if zip_bytes else ""
        yield ok("size", shown + zipped)
