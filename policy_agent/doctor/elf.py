"""What a compiled file asks of the machine that runs it (ELF, System V gABI chapters 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from policy_agent.errors import DoctorError

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64"}


@dataclass(frozen=True, slots=True)
class Binary:
    """One compiled file.

    Attributes:
        architecture: `x86_64`, `aarch64`, or ELF's own name of another.
        libraries: file names of the shared libraries that it needs.
        glibc: the newest version of the GNU C library that it needs, (0, 0) for none.
    """

    architecture: str
    libraries: tuple[str, ...]
    glibc: tuple[int, int]


def read_binary(path: Path) -> Binary | None:
    """Return what the file needs, None when it is not an ELF file."""
    with path.open("rb") as file:
        return parse_binary(file)


def parse_binary(file: IO[bytes]) -> Binary | None:
    """Return what the open file needs, None when it is not an ELF file.

    Raises:
        DoctorError: the package that reads such files is not installed.
    """
    try:
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
    except ModuleNotFoundError as exc:
        msg = "not installed: pyelftools; run pip install 'policy-agent[publish]'"
        raise DoctorError(msg) from exc
    try:
        elf = ELFFile(file)
        machine = elf["e_machine"]
        return Binary(
            MACHINES.get(machine, str(machine)),
            tuple(_needed(elf)),
            max(_glibc_versions(elf), default=(0, 0)),
        )
    except ELFError:
        return None


def _needed(elf: ELFFile) -> Iterator[str]:
    from elftools.elf.dynamic import DynamicSection

    for section in elf.iter_sections():
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags("DT_NEEDED"):
                yield tag.needed  # type: ignore[attr-defined] # set by its name


def _glibc_versions(elf: ELFFile) -> Iterator[tuple[int, int]]:
    from elftools.elf.gnuversions import GNUVerNeedSection

    for section in elf.iter_sections():
        if not isinstance(section, GNUVerNeedSection):
            continue
        for _, versions in section.iter_versions():
            for version in versions:
                library, _, number = version.name.partition("_")
                if library == "GLIBC" and number[:1].isdigit():
                    major, minor = number.split(".")[:2]
                    yield int(major), int(minor)
