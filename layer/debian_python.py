"""A Python interpreter that needs nothing of the machine it runs on, from Debian's packages.

apt fetches and verifies packages of either architecture into a folder of their own; nothing is
installed. The interpreter is started through the dynamic loader that comes with it, so it has its
own C library wherever it runs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cached_property
from pathlib import Path

from policy_agent.doctor.elf import read_binary

DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# What compilers link into dependencies written in C++ and Rust.
COMPILER_LIBRARIES = ("libgcc-s1", "libstdc++6")
# Parts of the standard library that no agent imports.
LEFT_OUT_MODULES = (
    *("__pycache__", "curses", "dbm", "distutils", "ensurepip", "idlelib", "lib2to3"),
    *("pydoc_data", "sqlite3", "test", "tkinter", "turtle.py", "turtledemo", "unittest", "venv"),
    *("wsgiref", "xmlrpc"),
)
LEFT_OUT_EXTENSIONS = re.compile(
    r"(_bz2|_codecs_\w+|_crypt|_curses\w*|_dbm|_gdbm|_lzma|_sqlite3|_test\w*|_tkinter|_xx\w+"
    r"|audioop|nis|ossaudiodev|readline|resource_test|xx\w+)\."
)


class DebianPython:
    """The newest Python that Debian's sources on this machine offer for an architecture."""

    def __init__(self, architecture: str, cache: Path) -> None:
        """Fetch nothing yet.

        Args:
            architecture: `x86_64` or `aarch64`.
            cache: a folder for what apt fetches.
        """
        self._architecture = DEBIAN_ARCHITECTURES[architecture]
        self._cache = cache / f"debian-{self._architecture}"

    @cached_property
    def version(self) -> str:
        """Such as `3.11`."""
        self._apt("apt-get", "update")
        match = re.search(r"Depends: python(3\.\d+)-minimal", self._depends("python3-minimal"))
        if match is None:
            raise SystemExit("a standalone layer needs apt to offer Debian's python3-minimal")
        return match[1]

    @property
    def command(self) -> list[str]:
        """Start this interpreter here; its architecture must be the machine's."""
        return self._start(self._root / "usr" / "bin" / f"python{self.version}")

    def copy_to(self, home: Path, *, serving: Path) -> None:
        """Lay out the interpreter with every library that it and the folder `serving` need."""
        standard = home / "lib" / f"python{self.version}"
        ignore = shutil.ignore_patterns(*LEFT_OUT_MODULES)
        shutil.copytree(self._root / "usr" / "lib" / standard.name, standard, ignore=ignore)
        for extension in (standard / "lib-dynload").iterdir():
            if LEFT_OUT_EXTENSIONS.match(extension.name):
                extension.unlink()
        (home / "bin").mkdir()
        program = home / "bin" / "python3"
        shutil.copy(self._root / "usr" / "bin" / f"python{self.version}", program)
        shutil.copy(self._find("ld-linux-*.so.*"), home / "lib" / "ld.so")
        self._copy_libraries(home / "lib", [program, *home.rglob("*.so"), *serving.rglob("*.so*")])

    def _copy_libraries(self, target: Path, users: list[Path]) -> None:
        brought = {path.name for path in users}
        pending = list(users)
        while pending:
            binary = read_binary(pending.pop())
            for name in binary.libraries if binary else ():
                if name in brought or name.startswith("ld-linux"):
                    continue
                brought.add(name)
                shutil.copy(self._find(name), target / name)
                pending.append(target / name)

    @cached_property
    def _root(self) -> Path:
        """Where the packages are unpacked."""
        root = self._cache / "root"
        shutil.rmtree(root, ignore_errors=True)
        packages = [f"{kind}{self.version}-minimal" for kind in ("python", "libpython")]
        packages.append(f"libpython{self.version}-stdlib")
        libraries = re.findall(r"Depends: (z?lib[a-z0-9.+-]+)", self._depends(*packages))
        archives = self._cache / "archives"
        shutil.rmtree(archives, ignore_errors=True)
        archives.mkdir(parents=True)
        wanted = sorted({*packages, *libraries, *COMPILER_LIBRARIES})
        self._apt("apt-get", "download", *wanted, folder=archives)
        for archive in archives.iterdir():
            subprocess.run(["dpkg-deb", "--extract", archive, root], check=True)
        return root

    def _find(self, pattern: str) -> Path:
        return next(path for path in self._root.rglob(pattern) if path.is_file())

    def _depends(self, *packages: str) -> str:
        return self._apt("apt-cache", "depends", *packages)

    def _apt(self, program: str, *words: str, folder: Path | None = None) -> str:
        """Run one of apt's programs with a state of its own; the machine's is left alone."""
        state, cache = self._cache / "state", self._cache / "cache"
        for needed in (state / "lists" / "partial", cache / "archives" / "partial"):
            needed.mkdir(parents=True, exist_ok=True)
        options = {
            "Dir::State": str(state),
            "Dir::State::status": "/dev/null",
            "Dir::Cache": str(cache),
            "APT::Architecture": self._architecture,
            "APT::Architectures": self._architecture,
            "APT::Sandbox::User": "root",
        }
        flags = [f"-o{name}={value}" for name, value in options.items()]
        command = [program, "-qq", *flags, *words]
        try:
            done = subprocess.run(
                command, cwd=folder, check=True, text=True, stdout=subprocess.PIPE
            )
        except FileNotFoundError:
            raise SystemExit(f"a standalone layer needs {program}, of Debian or Ubuntu") from None
        return done.stdout

    def _start(self, program: Path) -> list[str]:
        folders = {path.parent for path in self._root.rglob("*.so.*")}
        search = ":".join(str(folder) for folder in sorted(folders))
        return [str(self._find("ld-linux-*.so.*")), "--library-path", search, str(program)]
