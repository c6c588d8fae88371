import base64
import json

import pytest

from policy_agent.bundle.verify import verify
from policy_agent.config import Key, Signing
from policy_agent.errors import BundleFormatError, BundleVerificationError
from policy_agent.model import JsonObject
from policy_agent.publisher.signature import (
    Signature,
    Signer,
    read_signature,
    signature_file,
)
from policy_agent.publisher.signing_key import signing_function
from tests.bundle.signing import digest

SECRET = "a shared secret"
SIGN = signing_function(SECRET, "HS256")
FILES = {
    "app.rego": b"package app\n",
    "app/p&q.rego": b"package app\n",
    "app/data.json": b'{ "n": 1.0 }',
}


def token_parts(content: bytes) -> list[JsonObject]:
    token = json.loads(content)["signatures"][0]
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def signed(files: dict[str, bytes], **rest) -> dict[str, bytes]:
    return files | {".signatures.json": signature_file(files, Signer("HS256", SIGN, **rest))}


def check(files: dict[str, bytes], *, scope: str = "", key_id: str = "k") -> None:
    verify(
        files,
        signing=Signing((key_id,) if key_id else (), scope),
        keys={"k": Key("k", SECRET, "HS256")},
    )


def test_files_are_listed_in_the_order_of_a_walk_with_canonical_digests():
    _, payload = token_parts(signature_file(FILES, Signer("HS256", SIGN)))
    assert payload == {
        "files": [
            {"name": name, "hash": digest(content), "algorithm": "SHA-256"}
            for name, content in (
                ("app/data.json", b'{"n":1.0}'),
                ("app/p&q.rego", b"package app\n"),
                ("app.rego", b"package app\n"),
            )
        ]
    }


def test_the_order_in_which_files_are_given_does_not_matter():
    backwards = dict(reversed(FILES.items()))
    signer = Signer("HS256", SIGN)
    assert signature_file(FILES, signer) == signature_file(backwards, signer)


def test_an_earlier_signature_is_not_signed():
    signer = Signer("HS256", SIGN)
    again = signature_file(FILES | {".signatures.json": b"old"}, signer)
    assert again == signature_file(FILES, signer)


def test_claims_and_key_id_are_what_the_receiver_reads():
    files = signed(FILES, key_id="k", claims={"scope": "write", "iss": "team"})
    check(files, scope="write", key_id="")
    assert read_signature(files, "k") == Signature("k", "write", 3)
    assert token_parts(files[".signatures.json"])[1]["iss"] == "team"


def test_the_key_id_may_stand_in_the_payload():
    files = signed(FILES, claims={"keyid": "k"})
    check(files, key_id="")
    assert read_signature(files, "k") == Signature("k", "", 3)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"app.rego": b"package evil\n"}, "app.rego: digest mismatch", id="tampered"),
        pytest.param(
            {"app/data.json": b'{"n": 1}'}, "app/data.json: digest mismatch", id="literal"
        ),
        pytest.param({"x.rego": b""}, "file x.rego not included in bundle signature", id="added"),
        pytest.param({"app.rego": None}, r"file\(s\) \[app.rego\] specified", id="removed"),
    ],
)
def test_a_changed_file_set_does_not_verify(change, problem):
    changed = signed(FILES) | change
    files = {path: content for path, content in changed.items() if content is not None}
    with pytest.raises(BundleVerificationError, match=problem):
        check(files)


def test_layout_of_data_is_not_signed():
    check(signed(FILES) | {"app/data.json": b'{"n":1.0}\n'})


def test_a_malformed_data_file_is_named():
    with pytest.raises(BundleFormatError, match=r"^app/data.json: line 1"):
        signature_file({"app/data.json": b"{"}, Signer("HS256", SIGN))
