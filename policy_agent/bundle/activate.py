"""Put several bundles side by side: one set of modules and one tree of base documents.

Pure. Follows OPA v1.22 v1/bundle/store.go: roots of different bundles must not overlap, each module
is named after its bundle, and manifests and ETags are readable at `data.system.bundles`. Whether
rules and data collide is for the engine to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from msgspec import Struct, field

from policy_agent.bundle import documents, roots
from policy_agent.errors import BundleActivationError
from policy_agent.late_json import opened
from policy_agent.model import Bundle, JsonObject, Manifest


class Combined(Struct, frozen=True):
    """What the engine compiles.

    Attributes:
        modules: `<bundle name>/<path in the bundle>` -> Rego source.
        data: the base documents of all bundles, large ones perhaps as `LateJson`; it shares parts
            with them, so it is not changed but for reading those.
        plan: what the modules are as OPA's `plan.json`, None when they have to be compiled: a plan
            knows the rules of its own bundle only.
        rego_versions: module -> the version of Rego it is in, where a manifest says so.
    """

    modules: dict[str, str]
    data: JsonObject
    plan: bytes | None = None
    rego_versions: Mapping[str, int] = field(default_factory=dict)


def combine(bundles: Mapping[str, Bundle]) -> Combined:
    """Return all bundles as one.

    Raises:
        BundleActivationError: their roots overlap.
    """
    _check_roots(bundles)
    modules: dict[str, str] = {}
    versions: dict[str, int] = {}
    data: JsonObject = {}
    about: JsonObject = {}
    for name, bundle in sorted(bundles.items()):
        modules |= {f"{name}/{path}": source for path, source in bundle.modules.items()}
        versions |= {f"{name}/{path}": each for path, each in bundle.rego_versions.items()}
        both = documents.merged(data, bundle.data)
        if both is None:
            # The reader holds data to the roots, so only bundles made by hand get here.
            raise BundleActivationError(f"data of bundle {name} conflicts with another bundle's")
        data = both
        about[name] = {"manifest": _manifest_document(bundle.manifest), "etag": bundle.etag or ""}
    plan = next(iter(bundles.values())).plan if len(bundles) == 1 else None
    return Combined(modules, _with_about(data, about), plan, versions)


def _check_roots(bundles: Mapping[str, Bundle]) -> None:
    conflicts = sorted(_conflicts(bundles))
    if not conflicts:
        return
    colliding = ", ".join(sorted({name for one, other, _ in conflicts for name in (one, other)}))
    empty = [name for name, bundle in sorted(bundles.items()) if "" in bundle.manifest.roots]
    if empty:
        raise BundleActivationError(
            f"bundles [{colliding}] have overlapping roots and cannot be activated simultaneously "
            f"because bundle(s) [{', '.join(empty)}] specify empty root paths ('') "
            "which overlap with any other bundle root"
        )
    reasons = ", ".join(sorted({reason for _, _, reason in conflicts}))
    raise BundleActivationError(
        f"detected overlapping roots in manifests for these bundles: [{colliding}] ({reasons})"
    )


def _conflicts(bundles: Mapping[str, Bundle]) -> Iterator[tuple[str, str, str]]:
    for (one, first), (other, second) in combinations(sorted(bundles.items()), 2):
        for mine in first.manifest.roots:
            for theirs in second.manifest.roots:
                if mine == theirs:
                    yield one, other, f"root {mine} is in multiple bundles"
                elif roots.overlap(mine, theirs):
                    shorter, longer = sorted((mine, theirs))
                    yield one, other, f"{shorter} overlaps {longer}"


def _manifest_document(manifest: Manifest) -> JsonObject:
    document: JsonObject = {"revision": manifest.revision, "roots": list(manifest.roots)}
    if manifest.rego_version is not None:
        document["rego_version"] = manifest.rego_version
    if manifest.file_rego_versions:
        document["file_rego_versions"] = dict(manifest.file_rego_versions)
    if manifest.metadata:
        document["metadata"] = dict(manifest.metadata)
    return document


def _with_about(data: JsonObject, about: JsonObject) -> JsonObject:
    """Return `data` with what is known of the bundles; a bundle's own account of it loses."""
    system = opened(data.get("system"))
    system = system if isinstance(system, dict) else {}
    return {**data, "system": {**system, "bundles": about}}
