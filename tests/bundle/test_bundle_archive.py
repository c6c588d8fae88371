"""Unpacking: what OPA's tools write is read, and nothing hostile gets through or blows up."""

import gzip
import io
import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_agent.bundle.archive import unpack
from policy_agent.bundle.tar import MAX_ENTRIES
from policy_agent.errors import BundleFormatError
from tests.bundle.archives import archive, entry, tar_of

LIMIT = 1 << 20
LONG_NAME = "d" * 90 + "/" + "e" * 90 + "/" + "f" * 90 + "/p.rego"


def refused(raw: bytes, message: str, *, size_limit_bytes: int = LIMIT) -> None:
    with pytest.raises(BundleFormatError, match=re.escape(message)):
        unpack(raw, size_limit_bytes=size_limit_bytes)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a/p.rego", id="relative"),
        pytest.param("/a/p.rego", id="leading slash, as OPA writes it"),
        pytest.param("./a/p.rego", id="leading dot, as tar writes it"),
        pytest.param("./a/./p.rego", id="dot inside"),
    ],
)
def test_names_are_normalised(name):
    assert unpack(archive({name: b"x"}), size_limit_bytes=LIMIT) == {"a/p.rego": b"x"}


@pytest.mark.parametrize(
    "tar_format",
    [
        pytest.param(tarfile.PAX_FORMAT, id="pax"),
        pytest.param(tarfile.GNU_FORMAT, id="gnu"),
        pytest.param(tarfile.USTAR_FORMAT, id="ustar"),
    ],
)
def test_long_names_are_read_in_every_format(tar_format):
    name = LONG_NAME if tar_format != tarfile.USTAR_FORMAT else "d" * 90 + "/" + "e" * 90
    raw = gzip.compress(tar_of([entry(name, b"x"), entry("é", b"y", mtime=1.5)], tar_format))
    assert unpack(raw, size_limit_bytes=LIMIT) == {name: b"x", "é": b"y"}


def test_directories_and_global_headers_are_passed_over():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", pax_headers={"comment": "c"}) as tar:
        for info, content in [entry("./", kind=tarfile.DIRTYPE), entry("a", b"x")]:
            tar.addfile(info, io.BytesIO(content))
    assert unpack(packed.getvalue(), size_limit_bytes=LIMIT) == {"a": b"x"}


def test_old_style_directories_are_passed_over():
    raw = tar_of([entry("d/", kind=tarfile.AREGTYPE), entry("a", b"x", kind=tarfile.AREGTYPE)])
    assert unpack(raw, size_limit_bytes=LIMIT) == {"a": b"x"}


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(lambda tar: tar, id="content encoding already undone"),
        pytest.param(lambda tar: gzip.compress(gzip.compress(tar)), id="encoded twice"),
        pytest.param(lambda tar: gzip.compress(tar[:700]) + gzip.compress(tar[700:]), id="members"),
        pytest.param(lambda tar: gzip.compress(tar) + bytes(100), id="padded with zeros"),
    ],
)
def test_what_servers_make_of_an_archive_is_read(pack):
    assert unpack(pack(tar_of([entry("a", b"x")])), size_limit_bytes=LIMIT) == {"a": b"x"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        pytest.param([entry("../a")], "../a: leads outside the bundle", id="parent"),
        pytest.param([entry("/a/../../b")], "/a/../../b: leads outside", id="absolute parent"),
        pytest.param(
            [entry("l", kind=tarfile.SYMTYPE, linkname="/etc/passwd")],
            "l: only regular files are allowed",
            id="symbolic link",
        ),
        pytest.param(
            [entry("a"), entry("l", kind=tarfile.LNKTYPE, linkname="a")],
            "l: only regular files",
            id="hard link",
        ),
        pytest.param([entry("d", kind=tarfile.CHRTYPE)], "d: only regular files", id="device"),
        pytest.param([entry("f", kind=tarfile.FIFOTYPE)], "f: only regular files", id="fifo"),
        pytest.param([entry("c", kind=tarfile.CONTTYPE)], "c: only regular files", id="other type"),
        pytest.param([entry("a/p"), entry("./a//p")], "a/p: is in the archive twice", id="twice"),
        pytest.param([entry("a\0b" + "c" * 100)], "not a file name", id="NUL"),
        pytest.param([entry("./")], "not a file name", id="no name"),
        pytest.param([entry("/".join("d" * 65))], "nested too deeply", id="deep"),
        pytest.param(
            [entry("a", pax_headers={"GNU.sparse.major": "1"})], "sparse files", id="sparse"
        ),
        pytest.param(
            [entry("acl/data.json", bytes(5009))],
            "bundle file acl/data.json size (5009 bytes) exceeds "
            "configured size_limit_bytes (4000 bytes)",
            id="file too large, in OPA's words",
        ),
    ],
)
def test_hostile_entries_are_refused_by_name(entries, message):
    refused(gzip.compress(tar_of(entries)), message, size_limit_bytes=4000)


def test_a_name_that_is_not_utf8_is_refused():
    raw = tar_of([entry("\udcff")], tarfile.USTAR_FORMAT)
    refused(raw, "the name is not UTF-8")


WHOLE = archive({"a": b"x" * 3000, "b": b"y" * 3000})
PLAIN = gzip.decompress(WHOLE)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"", "gzip: invalid header", id="empty"),
        pytest.param(b"<html>not found</html>", "gzip: invalid header", id="a web page"),
        pytest.param(WHOLE[: len(WHOLE) // 2], "archive read failed", id="gzip cut off"),
        pytest.param(WHOLE[:-8], "archive read failed", id="gzip checksum cut off"),
        pytest.param(WHOLE[:-8] + bytes(8), "archive read failed", id="gzip checksum wrong"),
        pytest.param(WHOLE + b"garbage", "archive read failed", id="bytes behind the gzip"),
        pytest.param(PLAIN[:2048], "a: the archive is cut off", id="content cut off"),
        pytest.param(
            gzip.compress(PLAIN[:5000]), "b: the archive is cut off", id="second file cut"
        ),
        pytest.param(PLAIN[:3550], "a: the archive is cut off", id="padding cut off"),
        pytest.param(PLAIN[:3584], "the archive is cut off", id="no end marker"),
        pytest.param(PLAIN[:3584] + bytes(100), "the archive is cut off", id="header cut off"),
        pytest.param(PLAIN[:3584] + b"?" * 512, "damaged tar header", id="damaged second header"),
        pytest.param(PLAIN.rstrip(b"\0") + b"\0" * 3072 + b"z", "behind the end", id="data behind"),
    ],
)
def test_broken_archives_are_refused_whole(raw, message):
    refused(raw, message)


def test_sizes_beyond_octal_digits_are_read_from_extended_headers():
    record = b"9 size=3\n"
    file = tarfile.TarInfo("a")
    raw = tar_of([entry("pax", record, kind=tarfile.XHDTYPE)])[:1024] + file.tobuf()
    raw += b"xyz".ljust(512, b"\0") + bytes(1024)
    assert unpack(raw, size_limit_bytes=LIMIT) == {"a": b"xyz"}


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(b"99 path=a\n", id="length beyond the header"),
        pytest.param(b"x path=a\n", id="no length"),
        pytest.param(b"7 path\n", id="no value"),
        pytest.param(b"11 size=-1\n", id="negative size"),
    ],
)
def test_damaged_pax_headers_are_refused(records):
    raw = tar_of([entry("pax", records, kind=tarfile.XHDTYPE), entry("a")])
    refused(raw, "damaged pax header")


def test_a_bomb_is_refused_before_it_fills_memory():
    bomb = gzip.compress(tar_of([entry(f"{n}", bytes(8 << 20)) for n in range(12)]), 9)
    assert len(bomb) < 200_000
    refused(bomb, "unpacks to too much", size_limit_bytes=1 << 30)


def test_a_bomb_inside_a_bomb_is_refused():
    refused(gzip.compress(gzip.compress(bytes(200 << 20))), "unpacks to too much")


def test_a_header_that_claims_a_huge_file_is_refused_by_its_claim():
    info = tarfile.TarInfo("a")
    info.size = 1 << 40
    refused(info.tobuf(tarfile.GNU_FORMAT), "exceeds configured size_limit_bytes")
    huge_extension = tarfile.TarInfo("x")
    huge_extension.type, huge_extension.size = tarfile.XHDTYPE, 1 << 30
    refused(huge_extension.tobuf(), "damaged tar header")


def test_too_many_entries_are_refused():
    directory, _ = entry("d", kind=tarfile.DIRTYPE)
    refused(gzip.compress(directory.tobuf() * (MAX_ENTRIES + 1), 1), "more than 100000 entries")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_archives_end_in_files_or_in_our_error(data):
    plain = data.draw(st.booleans())
    raw = bytearray(PLAIN if plain else WHOLE)
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        files = unpack(bytes(raw), size_limit_bytes=LIMIT)
    except BundleFormatError:
        return
    assert sum(map(len, files.values())) <= len(PLAIN)
