"""What Lambda's execution environments offer (Lambda developer guide: runtimes, quotas)."""

from __future__ import annotations

from typing import Final

# Extensions and layers that one function can have.
MAX_EXTENSIONS: Final = 10
# Code and all layers together, unpacked.
MAX_UNPACKED_BYTES: Final = 250 * 1024 * 1024
# A zip that is published directly; larger ones go through S3.
MAX_DIRECT_UPLOAD_BYTES: Final = 50 * 1024 * 1024
AMAZON_LINUX_2_GLIBC: Final = (2, 26)
AMAZON_LINUX_2023_GLIBC: Final = (2, 34)
# Python runtimes on Amazon Linux 2; newer ones are on Amazon Linux 2023.
PYTHON_ON_AMAZON_LINUX_2: Final = frozenset({"3.8", "3.9", "3.10", "3.11"})


def glibc_of(python: str) -> tuple[int, int]:
    """Return the version of the C library beside a Python runtime such as `3.13`."""
    if python in PYTHON_ON_AMAZON_LINUX_2:
        return AMAZON_LINUX_2_GLIBC
    return AMAZON_LINUX_2023_GLIBC
