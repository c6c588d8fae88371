"""Turn the bytes of an archive into a `Bundle` that passed every check needing no other bundle.

Pure. Order matters: limits first, then the signature, and only verified files are interpreted.
Which file is what, and the words of refusals, follow OPA v1.22 v1/bundle/bundle.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from policy_agent.bundle import archive, documents, roots
from policy_agent.bundle.claims import earliest
from policy_agent.bundle.delta import PATCH_NAME, applied, is_delta, read_delta
from policy_agent.bundle.manifest import read_manifest
from policy_agent.bundle.package_name import package_name
from policy_agent.bundle.rego_versions import rego_versions
from policy_agent.bundle.verify import verify
from policy_agent.config import DEFAULT_BUNDLE_LIMIT_BYTES, Key, Signing
from policy_agent.errors import BundleDeltaError, BundleFormatError
from policy_agent.garbage import making
from policy_agent.model import Bundle, JsonObject, Manifest

NO_KEYS: Final[Mapping[str, Key]] = MappingProxyType({})
PLAN_NAME: Final = "plan.json"


def read_bundle(  # noqa: PLR0913 - what a bundle is, what it must satisfy, and where it leads on from
    name: str,
    raw: bytes,
    *,
    size_limit_bytes: int = DEFAULT_BUNDLE_LIMIT_BYTES,
    signing: Signing | None = None,
    keys: Mapping[str, Key] = NO_KEYS,
    etag: str | None = None,
    base: Bundle | None = None,
    now: float | None = None,
    lazily: bool = False,
) -> Bundle:
    """Unpack, verify and read a bundle archive.

    Args:
        name: the bundle's key in the configuration.
        raw: a tar archive, gzip'd or plain.
        size_limit_bytes: of one unpacked file.
        signing: None when no signature is asked for.
        keys: key id -> verification key.
        etag: as the source sent it.
        base: the active version, which a delta changes.
        now: seconds since the epoch, None for this moment.
        lazily: large documents may be `LateJson`; the caller knows of it.

    Raises:
        BundleFormatError: the bytes are not a well-formed bundle.
        BundleVerificationError: the signature is missing or does not match.
        BundleDeltaError: it is a delta that does not lead on from `base`.
    """
    files = archive.unpack(raw, size_limit_bytes=size_limit_bytes)
    if is_delta(files):
        return _next_version(
            files, base, signing=signing, keys=keys, etag=etag, now=now, size_bytes=len(raw)
        )
    return read_files(
        name, files, signing=signing, keys=keys, etag=etag, raw=raw, now=now, lazily=lazily
    )


def _next_version(
    files: Mapping[str, bytes],
    base: Bundle | None,
    *,
    signing: Signing | None,
    keys: Mapping[str, Key],
    now: float | None,
    etag: str | None,
    size_bytes: int,
) -> Bundle:
    if signing is not None and signing.allow_unsigned_deltas:
        signing = replace(signing, required=False)
    vouched = verify(files, signing=signing, keys=keys, now=now)
    try:
        delta = read_delta(files)
        if base is None:
            raise BundleDeltaError("a delta bundle came, and there is no bundle that it can change")
        bundle = applied(delta, base, etag=etag, size_bytes=size_bytes)
    except RecursionError as exc:
        raise BundleFormatError("bundle load failed: data is nested too deeply") from exc
    return replace(
        bundle,
        # An unsigned one, where that is allowed, says nothing of either.
        version=vouched.version if vouched.key_ids else base.version,
        expires_at=earliest(base.expires_at, vouched.expires_at),
    )


def read_files(  # noqa: PLR0913 - as `read_bundle`
    name: str,
    files: Mapping[str, bytes],
    *,
    signing: Signing | None = None,
    keys: Mapping[str, Key] = NO_KEYS,
    etag: str | None = None,
    raw: bytes = b"",
    now: float | None = None,
    lazily: bool = False,
) -> Bundle:
    """Verify and read a bundle's files, wherever they came from.

    Args:
        files: path below the bundle's root -> content.
        raw: the archive they were in, empty when there was none.
        now: seconds since the epoch, None for this moment.
        lazily: large documents may be `LateJson`; the caller knows of it.

    Raises:
        BundleFormatError: the files are not a well-formed bundle.
        BundleVerificationError: the signature is missing or does not match.
    """
    if is_delta(files):
        raise BundleFormatError(f"{PATCH_NAME}: a delta bundle must come from a service")
    try:
        vouched = verify(files, signing=signing, keys=keys, now=now)
        manifest = read_manifest(files)
        modules = _modules(files, manifest)
        return Bundle(
            name=name,
            manifest=manifest,
            modules=modules,
            data=_data(files, manifest, lazily=lazily),
            etag=etag,
            plan=files.get(PLAN_NAME),
            rego_versions=rego_versions(manifest, modules),
            size_bytes=len(raw),
            raw=raw,
            version=vouched.version,
            expires_at=vouched.expires_at,
        )
    except RecursionError as exc:
        raise BundleFormatError("bundle load failed: data is nested too deeply") from exc


def _modules(files: Mapping[str, bytes], manifest: Manifest) -> dict[str, str]:
    modules = {}
    for path in sorted(path for path in files if path.endswith(".rego")):
        try:
            source = files[path].decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise BundleFormatError(f"{path}: is not UTF-8 at byte {exc.start}") from exc
        package = package_name(source)
        if package is None:
            raise BundleFormatError(f"{path}: package expected")
        if not any(roots.is_below(package, root) for root in manifest.roots):
            raise BundleFormatError(
                f"manifest roots {roots.shown(manifest.roots)} do not permit "
                f"'package {'.'.join(package)}' in module '{path}'"
            )
        modules[path] = source
    return modules


def _data(files: Mapping[str, bytes], manifest: Manifest, *, lazily: bool) -> JsonObject:
    paths = sorted(path for path in files if _basename(path) in documents.DATA_NAMES)
    with making(sum(len(files[path]) for path in paths)):
        return _merged_data(paths, files, manifest, lazily=lazily)


def _merged_data(
    paths: Sequence[str], files: Mapping[str, bytes], manifest: Manifest, *, lazily: bool
) -> JsonObject:
    data: JsonObject = {}
    owned = manifest.roots if lazily else None
    for path in paths:
        value = documents.parse_data_file(path, files[path], owned)
        directory = tuple(path.split("/")[:-1])
        _check_place(value, directory, path, manifest)
        both = documents.merged(data, documents.tree_at(directory, value))
        if both is None:
            raise BundleFormatError(
                f"bundle load failed on {path}: failed to insert data file "
                f"from path {'/'.join(directory)}"
            )
        data = both
    return data


def _check_place(value: object, directory: tuple[str, ...], path: str, manifest: Manifest) -> None:
    if not directory and not isinstance(value, dict):
        raise BundleFormatError(f"bundle load failed on {path}: root value must be object")
    # Like OPA, an object is judged by its members, so that the message names the stray one.
    members = value.items() if isinstance(value, dict) else ()
    places = [((*directory, key), member) for key, member in members] or [(directory, value)]
    for place, member in places:
        outside = documents.outside_roots(member, place, manifest.roots)
        if outside is not None:
            raise BundleFormatError(
                f"manifest roots {roots.shown(manifest.roots)} do not permit data at path "
                f"'{outside}' (hint: check bundle directory structure)"
            )


def _basename(path: str) -> str:
    return path.rpartition("/")[2]
