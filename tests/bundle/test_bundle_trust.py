"""What signatures say beyond OPA's: several signers, time limits, and no way back."""

import asyncio
import gzip
import io
import re
import tarfile
from tarfile import PAX_FORMAT, SYMTYPE

import pytest

from policy_agent.bundle.reader import read_bundle
from policy_agent.bundle.rollback import HighestVersion
from policy_agent.bundle.verify import verify
from policy_agent.config import Key, Signing, parse_config
from policy_agent.errors import BundleError, BundleVerificationError, ConfigError
from tests.bundle.archives import archive, entry, module, tar_of
from tests.bundle.serving import Answer, bundle_server
from tests.bundle.signing import listed, signature_file, token, write_key_pair
from tests.bundle.test_bundle_manager import START, Rig, sources

FILES = {"a/p.rego": module("a")}
NAME = ".signatures.json"
KEYS = {name: Key(name, f"secret of {name}", "HS256") for name in ("a", "b", "c")}
YEAR_2100 = 4102444800


def signed_by(*names, files=FILES, **claims):
    tokens = [
        token(
            {"files": listed(files), **claims},
            header={"alg": "HS256", "kid": name},
            secret=f"secret of {name}",
        )
        for name in names
    ]
    return {**files, NAME: signature_file(*tokens)}


ANY_KEY = Signing()


def refused(files, message, *, signing=ANY_KEY, keys=KEYS, now=START):
    with pytest.raises(BundleVerificationError, match=re.escape(message)):
        verify(files, signing=signing, keys=keys, now=now)


def test_while_keys_are_rotated_old_and_new_agents_accept_one_bundle():
    both = signed_by("a", "b")
    assert verify(both, signing=Signing(), keys={"a": KEYS["a"]}).key_ids == ("a",)
    assert verify(both, signing=Signing(), keys={"b": KEYS["b"]}).key_ids == ("b",)
    refused(both, "corresponding to ID a or b not found", keys={"c": KEYS["c"]})


def test_only_the_keys_that_a_bundle_names_may_sign_it():
    rotating = Signing(("a", "b"))
    verify(signed_by("a"), signing=rotating, keys=KEYS)
    verify(signed_by("b"), signing=rotating, keys=KEYS)
    refused(signed_by("c"), "corresponding to ID c not found", signing=rotating)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        pytest.param(("a", "b"), None, id="two of three"),
        pytest.param(("a",), "1 of 2 required signatures", id="one"),
        pytest.param(("a", "a"), "1 of 2 required signatures", id="one signer twice"),
        pytest.param(("a", "x"), "1 of 2 required signatures", id="one is a stranger"),
    ],
)
def test_a_threshold_counts_signers_that_are_known_and_differ(names, problem):
    if problem is None:
        verify(signed_by(*names), signing=Signing(threshold=2), keys=KEYS)
    else:
        refused(signed_by(*names), problem, signing=Signing(threshold=2))


def test_two_names_of_one_key_are_one_signer(tmp_path):
    secret = {**KEYS, "b": Key("b", KEYS["a"].key, "HS256")}
    twice = {
        **FILES,
        NAME: signature_file(
            *(
                token({"files": listed(FILES)}, header={"kid": name}, secret=KEYS["a"].key)
                for name in ("a", "b")
            )
        ),
    }
    refused(twice, "1 of 2 required signatures", signing=Signing(threshold=2), keys=secret)


def test_a_public_key_in_two_encodings_is_one_signer(tmp_path):
    from policy_agent.bundle.jws import signer_of

    path, public = write_key_pair(tmp_path, "RS256")
    padded = public.replace("\n", "\n\n", 1).strip()
    assert len({signer_of(Key("k", pem)) for pem in (public, padded, path.read_text())}) == 1


def test_every_counted_signature_must_cover_every_file():
    one = token({"files": listed(FILES)}, header={"kid": "a"}, secret=KEYS["a"].key)
    other = token({"files": []}, header={"kid": "b"}, secret=KEYS["b"].key)
    files = {**FILES, NAME: signature_file(one, other)}
    refused(files, "file a/p.rego not included", signing=Signing(threshold=2))


def test_a_bad_signature_beside_a_good_one_is_not_overlooked():
    good = token({"files": listed(FILES)}, header={"kid": "a"}, secret=KEYS["a"].key)
    bad = token({"files": listed(FILES)}, header={"kid": "b"}, secret="wrong")
    refused({**FILES, NAME: signature_file(good, bad)}, "failed to verify JWT signature")


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        pytest.param({"exp": START + 1, "nbf": START}, None, id="valid"),
        pytest.param({"exp": START}, "expired at 2023-11-14T22:13:20Z", id="expired"),
        pytest.param({"nbf": START + 1}, "not valid before 2023-11-14T22:13:21Z", id="early"),
        pytest.param({"nbf": 10**30}, f"not valid before {10**30:.0f}"[:40], id="never"),
        pytest.param({"exp": "2030-01-01"}, "exp must be a number", id="text"),
        pytest.param({"exp": True}, "exp must be a number", id="boolean"),
        pytest.param({"nbf": 10**400}, "nbf is out of range", id="out of range"),
        pytest.param({"version": -1}, "version must be a whole number", id="negative version"),
        pytest.param({"version": 1.5}, "version must be a whole number", id="broken version"),
        pytest.param({"version": "1"}, "version must be a whole number", id="version in text"),
        pytest.param({"version": 1 << 63}, "version must be a whole number", id="huge version"),
    ],
)
def test_when_a_signature_holds(claims, problem):
    if problem is None:
        verify(signed_by("a", **claims), signing=Signing(), keys=KEYS, now=START)
    else:
        refused(signed_by("a", **claims), problem)


def test_signatures_must_agree_on_the_version():
    tokens = [
        token({"files": listed(FILES), **claims}, header={"kid": name}, secret=KEYS[name].key)
        for name, claims in (("a", {"version": 2}), ("b", {}))
    ]
    refused({**FILES, NAME: signature_file(*tokens)}, "do not agree on a version")


def test_a_signature_is_asked_for_where_keys_are_configured():
    document = {
        "services": {"s": {"url": "http://s"}},
        "keys": {"k": {"key": "x", "algorithm": "HS256"}},
        "bundles": {"default": {}, "lax": {"signing": {"required": False}}},
    }
    bundles = parse_config(document).bundles
    assert bundles["default"].signing == Signing()
    verify(FILES, signing=bundles["lax"].signing, keys=KEYS)
    refused(FILES, "bundle missing .signatures.json file", signing=bundles["default"].signing)


def test_a_key_that_only_signs_asks_for_no_signature():
    document = {
        "services": {"s": {"url": "http://s"}},
        "keys": {"k": {"private_key": "x"}},
        "bundles": {"b": {}},
    }
    assert parse_config(document).bundles["b"].signing is None


def test_signing_that_can_never_hold_is_a_wrong_configuration():
    document = {
        "services": {"s": {"url": "http://s"}},
        "keys": {"k": {"key": "x"}},
        "bundles": {"b": {"signing": {"keyid": ["k", "l"]}}, "c": {"signing": {"threshold": 2}}},
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(document)
    assert caught.value.problems == [
        "bundles.b.signing.keyid: is not among keys",
        "bundles.c.signing.threshold: is more than there are keys",
    ]


def release(number, revision="", **claims):
    files = {**FILES, "about.txt": f"{number}{revision}".encode()}
    if number is not None:
        claims["version"] = number
    return archive(signed_by("a", files=files, **claims))


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


@pytest.mark.parametrize(
    ("older", "message"),
    [
        pytest.param(release(6), "version 6 is older than version 7", id="older"),
        pytest.param(release(None), "names no version, although version 7", id="no version"),
    ],
)
def test_no_bundle_comes_back_once_a_later_version_was_active(rig, tmp_path, older, message):
    facts = {"signing": Signing(), "persist": True}
    with bundle_server(authz=Answer(release(7), '"7"')) as server:
        wanted = sources(server.url, "authz", **facts)
        rig.build(wanted, keys=KEYS).start()
        server.answers["/bundles/authz"] = Answer(older, '"6"')
        rig.later()
        assert message in rig.status().message
        copy = tmp_path / "bundles" / "authz" / "bundle.tar.gz"
        copy.write_bytes(older)
        second = Rig(tmp_path).build(wanted, keys=KEYS)
        second.start()
        assert second.revisions is None
        assert "set aside" in second.status().copy_problem
        server.answers["/bundles/authz"] = Answer(release(8), '"8"')
        second.later()
    assert second.manager.snapshot.bundles["authz"].version == 8


def test_a_version_that_does_not_compile_does_not_close_the_way_back(rig):
    bad_files = {"a/p.rego": b"package a # bad"}
    bad = archive(signed_by("a", files=bad_files, version=9))
    with bundle_server(authz=Answer(release(7))) as server:
        rig.build(sources(server.url, "authz", signing=Signing()), keys=KEYS).start()
        server.answers["/bundles/authz"] = Answer(bad)
        rig.later()
        server.answers["/bundles/authz"] = Answer(release(8))
        rig.later()
    assert rig.manager.snapshot.bundles["authz"].version == 8


def test_two_agents_of_one_directory_keep_the_higher_version(tmp_path):
    one, other = HighestVersion(tmp_path, "b"), HighestVersion(tmp_path, "b")
    one.raise_to(5)
    other.raise_to(3)
    with pytest.raises(BundleVerificationError, match="names no version"):
        HighestVersion(tmp_path, "b").check(bundle_of(None))
    with pytest.raises(BundleVerificationError, match="older than version 5"):
        HighestVersion(tmp_path, "b").check(bundle_of(4))


def bundle_of(version):
    from policy_agent.model import Bundle, Manifest

    return Bundle("b", Manifest(), {}, {}, version=version)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": "9"}', b'{"version": -1}'])
def test_a_damaged_record_of_versions_is_told_and_begun_anew(tmp_path, caplog, content):
    HighestVersion(tmp_path, "b").raise_to(5)
    (tmp_path / "bundles" / "b" / "version.json").write_bytes(content)
    anew = HighestVersion(tmp_path, "b")
    anew.check(bundle_of(None))
    assert "record of its version cannot be read" in caplog.text


def test_a_bundle_stops_deciding_when_its_signature_expires(rig):
    with bundle_server(authz=Answer(release(1, exp=START + 100), '"1"')) as server:
        rig.build(sources(server.url, "authz", signing=Signing()), keys=KEYS).start()
        assert not rig.manager.is_stale()
        rig.later(100)
        assert rig.manager.is_stale()
        reason = asyncio.run(rig.manager.freshen())
        assert reason == "bundle authz: its signature expired at 2023-11-14T22:15:00Z"
        server.answers["/bundles/authz"] = Answer(release(1, "b", exp=START + 9000), '"2"')
        rig.later(150)
    assert not rig.manager.is_stale()


def test_the_copy_on_disk_does_not_outlive_its_signature(rig, tmp_path):
    facts = {"signing": Signing(), "persist": True}
    with bundle_server(authz=Answer(release(1, exp=START + 100))) as server:
        wanted = sources(server.url, "authz", **facts)
        rig.build(wanted, keys=KEYS).start()
    second = Rig(tmp_path, now=START + 101).build(wanted, keys=KEYS)
    second.start()
    assert second.revisions is None
    assert "the signature expired" in second.status().copy_problem


def test_a_key_that_only_signs_vouches_for_nothing():
    """Its empty public part would be a secret that everyone knows."""
    keys = {**KEYS, "o": Key("o", "", "HS256", private_key="for tokens")}
    forged = token({"files": listed(FILES)}, header={"alg": "HS256", "kid": "o"}, secret="")
    files = {**FILES, NAME: signature_file(forged)}
    refused(files, "verification key corresponding to ID o not found", keys=keys)


def read(files_or_entries, **facts):
    raw = files_or_entries if isinstance(files_or_entries, bytes) else archive(files_or_entries)
    return read_bundle("b", raw, signing=Signing(), keys=KEYS, now=START, **facts)


def packed(*entries):
    return tar_of(entry(path, content) for path, content in entries)


GENUINE = [*signed_by("a").items()]
FORGED = b"package a\n\nallow := false\n"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(archive(FILES), "missing .signatures.json", id="signature taken away"),
        pytest.param(
            archive(dict(FILES) | {".signatures.JSON": GENUINE[1][1]}),
            "missing .signatures.json",
            id="signature in capitals",
        ),
        pytest.param(
            archive(signed_by("a") | {"evil_signatures.json": b"{}"}),
            "file evil_signatures.json not included",
            id="name that ends like a signature's",
        ),
        pytest.param(
            archive(signed_by("a") | {"x.signatures.json/p.rego": FORGED}),
            "file x.signatures.json/p.rego not included",
            id="directory that is named like a signature",
        ),
        pytest.param(
            archive(signed_by("a") | {"A/p.rego": FORGED}),
            "file A/p.rego not included",
            id="same name in capitals",
        ),
        pytest.param(
            packed(*GENUINE, ("./a//p.rego", FORGED)), "is in the archive twice", id="second copy"
        ),
        pytest.param(
            packed(*GENUINE, ("b/../a/p.rego", FORGED)), "leads outside", id="way back up"
        ),
        pytest.param(
            archive(dict(GENUINE) | {"patch.json": b'{"data": []}'}),
            "file patch.json not included",
            id="snapshot made a delta",
        ),
        pytest.param(
            archive({"patch.json": b'{"data": []}'}),
            "missing .signatures.json",
            id="delta without signature",
        ),
        pytest.param(
            gzip.compress(packed(*GENUINE)) + gzip.compress(packed(("a/q.rego", FORGED))),
            "data behind the end",
            id="second archive behind the first",
        ),
        pytest.param(
            gzip.compress(packed(*GENUINE)) + b"PK", "archive read failed", id="trailing bytes"
        ),
        pytest.param(
            tar_of(
                [*(entry(*pair) for pair in GENUINE), entry("l", kind=SYMTYPE, linkname="/etc")]
            ),
            "only regular files",
            id="link",
        ),
        pytest.param(
            tar_of(
                [
                    *(entry(*pair) for pair in GENUINE),
                    entry("s", FORGED, pax_headers={"GNU.sparse.major": "1"}),
                ]
            ),
            "sparse files are not allowed",
            id="sparse file",
        ),
    ],
)
def test_a_signed_bundle_that_was_tampered_with_is_refused(raw, message):
    with pytest.raises(BundleError, match=re.escape(message)):
        read(raw)


def test_a_global_header_does_not_rename_what_was_signed():
    packed_with_header = io.BytesIO()
    with tarfile.open(
        fileobj=packed_with_header, mode="w", format=PAX_FORMAT, pax_headers={"path": "evil.rego"}
    ) as tar:
        for info, content in (entry(*pair) for pair in GENUINE):
            tar.addfile(info, io.BytesIO(content))
    assert set(read(packed_with_header.getvalue()).modules) == {"a/p.rego"}
