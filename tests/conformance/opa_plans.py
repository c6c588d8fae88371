"""Plans that OPA itself makes of conformance cases, kept from run to run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.conformance.cases import OPA_VERSION, Case
from tests.support import OPA

_KEPT = Path(tempfile.gettempdir()) / f"policy-agent-opa-plans-{os.getuid()}"


def plan_of(case: Case) -> bytes | None:
    """Return OPA's `plan.json` for a case's document, None where OPA cannot plan it."""
    assert case.document is not None
    entrypoint = "/".join(case.document[0])
    content = json.dumps([OPA_VERSION, case.syntax, case.modules, entrypoint])
    kept = _KEPT / hashlib.sha256(content.encode()).hexdigest()
    if not kept.exists():
        _KEPT.mkdir(mode=0o700, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(_build(case, entrypoint))
        fresh.replace(kept)
    return kept.read_bytes() or None


def _build(case: Case, entrypoint: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="policy-agent-plan-") as directory:
        work = Path(directory)
        for number, module in enumerate(case.modules):
            (work / f"test-{number}.rego").write_text(module)
        bundle = work / "bundle.tar.gz"
        command = [str(OPA), "build", "-t", "plan", "-e", entrypoint, "-o", str(bundle), directory]
        if case.syntax == "v0":
            command.append("--v0-compatible")
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return b""
        with tarfile.open(bundle) as archive:
            member = archive.extractfile("/plan.json")
            assert member is not None
            return member.read()
