"""What hostile bundles are made of, and what must hold of every one of them.

Each target makes inputs and checks that they end in a value or in one of our own errors. The short
run is `test_fuzz_bundles.py`; a long one, in bounded memory:

    nice -n 10 python -m tests.fuzz.bundles archive --seconds 600
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import hashlib
import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_agent.bundle.delta import applied, read_delta
from policy_agent.bundle.manifest import parse_manifest
from policy_agent.bundle.reader import read_bundle
from policy_agent.bundle.verify import verify
from policy_agent.config import Key, Signing
from policy_agent.errors import BundleError
from policy_agent.model import Bundle, Manifest
from tests.bundle.archives import entry, tar_of
from tests.bundle.signing import listed, signature_file, token

MEMORY_BYTES = 1 << 30
EXAMPLE_SECONDS = 20
KEYS = {name: Key(name, f"secret of {name}", "HS256") for name in ("a", "b")}
DATA = {"a": {"list": [1, {"x": 2}], "text": "t", "": {}}, "b": None}
SIGNED = {"a/p.rego": b"package a\n", "notes.txt": b"n", "x/y": b""}

SEED_FILES = {
    ".manifest": b'{"revision": "r", "roots": ["a", "b"], "metadata": {"n": 1.0}}',
    "a/p.rego": b"package a\n\nallow := true\n",
    "a/data.json": b'{"n": [1, 2.50, "\\u00e9"]}',
    "b/data.yaml": b"k: &v {n: 5}\nl: *v\n",
    "patch.json": b'{"data": [{"op": "upsert", "path": "/a/x", "value": 1}]}',
}
_TARS = [
    tar_of([entry(path, SEED_FILES[path]) for path in SEED_FILES if path != "patch.json"]),
    tar_of([entry(path, SEED_FILES[path]) for path in (".manifest", "patch.json")]),
    tar_of([entry("d" * 90 + "/" + "e" * 90 + "/é", b"x", mtime=1.5)]),
]

NUMBERS = st.sampled_from([b"1e999999999", b"-0", b"1" * 400, b"0.1E-99", b"1.", b"01", b"NaN"])
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
)


def _json(keys: list[str]) -> st.SearchStrategy[bytes]:
    names = st.sampled_from(keys) | st.text(max_size=4)
    values = st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
        max_leaves=12,
    )
    text = st.dictionaries(names, values, max_size=6).map(lambda value: json.dumps(value).encode())
    deep = st.tuples(st.sampled_from([b"[", b'{"a":']), st.integers(1, 200_000)).map(
        lambda pair: pair[0] * pair[1]
    )
    return text | mutated(text) | deep | st.binary(max_size=64) | NUMBERS


@st.composite
def mutated(draw: st.DrawFn, sources: st.SearchStrategy[bytes]) -> bytes:
    """Bytes with a few places overwritten, cut out, doubled or filled in."""
    raw = bytearray(draw(sources))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.sampled_from([0, 1, 2, 8, 512, 1024])))
        raw[start:end] = draw(
            st.sampled_from([b"", bytes(raw[start:end]) * 2, b"\0" * (end - start)])
            | st.binary(max_size=12)
        )
    return bytes(raw)


def _packed(raw: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from(
        [raw, gzip.compress(raw, 1), gzip.compress(gzip.compress(raw, 1), 1),
         gzip.compress(raw[:700], 1) + gzip.compress(raw[700:], 1),
         gzip.compress(raw, 1) + b"trailing"]
    )  # fmt: skip


ARCHIVES = mutated(st.sampled_from(_TARS)).flatmap(_packed) | mutated(
    st.sampled_from([gzip.compress(tar, 1) for tar in _TARS])
)


def check_archive(raw: bytes) -> None:
    base = Bundle("b", Manifest(roots=("a", "b")), {}, dict(DATA))
    bundle = read_bundle("b", raw, size_limit_bytes=1 << 20, base=base)
    assert all(not path.startswith("/") and ".." not in path for path in bundle.modules)


def check_manifest(raw: bytes) -> None:
    manifest = parse_manifest(raw)
    assert all(isinstance(root, str) for root in manifest.roots)


def check_patch(raw: bytes) -> None:
    before = json.dumps(DATA)
    base = Bundle("b", Manifest(), {}, DATA)
    try:
        after = applied(read_delta({"patch.json": raw}), base, etag=None, size_bytes=1)
        assert isinstance(after.data, dict)
    finally:
        assert json.dumps(DATA) == before, "the active data was changed"


CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "files": st.lists(
            st.sampled_from([*listed(SIGNED), *listed({"/a/p.rego": b"package a\n"})])
            | st.fixed_dictionaries(
                {"name": st.sampled_from([*SIGNED, "../a", ""]) | st.text(max_size=5)},
                optional={"hash": st.text(max_size=5), "algorithm": LEAVES},
            )
            | LEAVES,
            max_size=5,
        )
        | LEAVES
        | st.just(listed(SIGNED)),
        "scope": LEAVES,
        "keyid": st.sampled_from(["a", "b", "", None]),
        "exp": LEAVES,
        "nbf": LEAVES,
        "version": LEAVES,
    },
)
HEADERS = st.fixed_dictionaries(
    {"alg": st.sampled_from(["HS256", "none", "RS256", ""])},
    optional={"kid": st.sampled_from(["a", "b", "c"]) | LEAVES, "crit": LEAVES, "jwk": LEAVES},
)
TOKENS = st.builds(
    lambda claims, header, signer: token(claims, header=header, secret=f"secret of {signer}"),
    CLAIMS | LEAVES,
    HEADERS | LEAVES.filter(lambda value: value is not None),
    st.sampled_from(["a", "b", "c"]),
)
SIGNATURES = st.lists(
    TOKENS | mutated(TOKENS.map(str.encode)).map(lambda raw: raw.decode("utf-8", "replace")),
    max_size=4,
).map(lambda tokens: signature_file(*tokens))


def check_signature(raw: bytes) -> None:
    vouched = verify({**SIGNED, ".signatures.json": raw}, signing=Signing(), keys=KEYS, now=1.7e9)
    assert vouched.key_ids, "what has a signature file is accepted by its signature only"
    genuine = {hashlib.sha256(content).hexdigest() for content in SIGNED.values()}
    for text in json.loads(raw)["signatures"]:
        payload = text.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if isinstance(claims, dict) and isinstance(claims.get("files"), list):
            hashes = {entry.get("hash") for entry in claims["files"] if isinstance(entry, dict)}
            if genuine <= hashes:
                return
    raise AssertionError("no token lists the digests of the files")


@dataclass(frozen=True)
class Target:
    """Inputs, and the check of one; a check may end in a `BundleError`."""

    inputs: st.SearchStrategy[bytes]
    check: Callable[[bytes], None]


TARGETS = {
    "archive": Target(ARCHIVES, check_archive),
    "manifest": Target(
        _json(["revision", "roots", "rego_version", "file_rego_versions", "metadata", "wasm"]),
        check_manifest,
    ),
    "patch": Target(
        st.lists(
            st.fixed_dictionaries(
                {
                    "op": st.sampled_from(["upsert", "replace", "remove", "add"]),
                    "path": st.sampled_from(
                        ["/a/list/0", "/a/list/-", "/a/list/1/x/y", "/a//z", "a/text/x", "/", "%2f",
                         "/a/~1/~0", "/a/list/" + "9" * 30, "/" + "d/" * 500]
                    ) | st.text(max_size=8),
                },
                optional={"value": LEAVES},
            ),
            max_size=6,
        ).map(lambda data: json.dumps({"data": data}).encode())
        | _json(["data", "op", "path", "value"]),
        check_patch,
    ),
    "signature": Target(SIGNATURES | _json(["signatures", "plugin"]), check_signature),
}  # fmt: skip


def fuzz(target: Target, examples: int, *, derandomize: bool = True) -> None:
    """Try so many inputs; the first that breaks a rule is shrunk and raised."""

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def one(raw: bytes) -> None:
        with contextlib.suppress(BundleError):
            target.check(raw)

    one()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=600)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    target = TARGETS[arguments.target]
    tried = 0

    def timed(raw: bytes) -> None:
        nonlocal tried
        tried += 1
        signal.alarm(EXAMPLE_SECONDS)
        try:
            target.check(raw)
        finally:
            signal.alarm(0)

    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        fuzz(Target(target.inputs, timed), 1000, derandomize=False)
    sys.stdout.write(f"{arguments.target}: {tried} inputs, no finding\n")


if __name__ == "__main__":
    main()
