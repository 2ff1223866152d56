"""Hostile and damaged containers are refused, as a whole or by member, and never believed."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from qoqdata.errors import DuplicateKey, InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.limits import Limits
from qoqdata.sources.rawtree import open_raw
from tests.readers.container_files import FORMATS, LIBRARIES, write_lmdb, write_tar, write_zip

CONTENT = bytes(range(256)) * 40
MEMBERS = {f"{number}.png": CONTENT for number in range(3)}


@pytest.mark.parametrize("name", FORMATS)
def test_a_container_that_is_cut_short_gives_nothing_wrong(name: str, tmp_path: Path) -> None:
    """Only a table of text may lose its end unseen, and then the last file is cut, not altered."""
    if library := LIBRARIES.get(Path(name).suffix):
        pytest.importorskip(library)
    write, member = FORMATS[name]
    path = write(tmp_path / name, MEMBERS)
    file = path / "data.mdb" if path.is_dir() else path
    whole = file.read_bytes()
    raw = open_raw(tmp_path)
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        file.write_bytes(whole[:length])
        good = 0
        for number in range(3):
            try:
                content = raw.read_bytes(f"{name}#{member.format(f'{number}.png')}")
                assert content == CONTENT or (name == "a.tsv" and CONTENT.startswith(content))
                good += 1
            except InputError:
                pass
        if name != "a.tsv":
            last_kilobytes = length > len(whole) - 11_000 and name == "a.tar"
            assert good == 0 or last_kilobytes or path.suffix in (".lmdb", ".mdb"), length


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.parquet"])
def test_a_flipped_byte_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    write, member = FORMATS[name]
    path = write(tmp_path / name, MEMBERS)
    whole = bytearray(path.read_bytes())
    raw = open_raw(tmp_path)
    for place in range(0, len(whole), max(1, len(whole) // 100)):
        damaged = whole.copy()
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        for number in range(3):
            try:
                content = raw.read_bytes(f"{name}#{member.format(f'{number}.png')}")
            except InputError:
                continue
            # Neither tar nor plain Parquet has checksums of its content.
            assert content == CONTENT or name in ("a.tar", "a.parquet")


def test_a_zip_that_declares_too_much_or_too_little(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    path = write_zip(tmp_path / "a.zip", {"bomb": bytes(5_000_000)})
    with pytest.raises(TooLarge, match="5,000,000 inflated bytes"):
        raw.read_bytes("a.zip#bomb", limits=Limits(inflated_bytes=4_999_999))
    whole = path.read_bytes()
    central = whole.rindex(b"PK\1\2")
    packed = struct.unpack_from("<I", whole, central + 20)[0]
    for size, message in ((100, "more than the declared 100"), (packed * 1033, "cannot hold")):
        data = bytearray(whole)
        struct.pack_into("<I", data, central + 24, size)
        path.write_bytes(data)
        with pytest.raises(UnreadableFile, match=message):
            raw.read_bytes("a.zip#bomb")


def test_other_containers_keep_the_limit(tmp_path: Path) -> None:
    limits = Limits(inflated_bytes=len(CONTENT) - 1)
    raw = open_raw(tmp_path)
    for name, (write, member) in FORMATS.items():
        if library := LIBRARIES.get(Path(name).suffix):
            try:
                __import__(library)
            except ImportError:
                continue
        write(tmp_path / name, MEMBERS)
        with pytest.raises(TooLarge, match="inflated"):
            raw.read_bytes(f"{name}#{member.format('1.png')}", limits=limits)


def test_encrypted_members_links_and_folders_of_a_zip(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("secret", b"1")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/hostname")
        archive.writestr("folder/", b"")
        archive.writestr("bzip2", b"1" * 99, zipfile.ZIP_BZIP2)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    assert raw.members("a.zip") == ["a.zip#bzip2", "a.zip#link", "a.zip#secret"]
    for name, message in {
        "secret": "is encrypted",
        "link": "is a link",
        "folder": "is a folder",
        "bzip2": "by the method bzip2",
    }.items():
        with pytest.raises(InputError, match=message):
            raw.read_bytes(f"a.zip#{name}")


def test_links_devices_and_sparse_files_of_a_tar(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    kinds = {"soft": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE}
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "../../etc/hostname"
            archive.addfile(info)
        sparse = tarfile.TarInfo("sparse")
        sparse.pax_headers = {"GNU.sparse.size": "99999999999", "GNU.sparse.map": "0,1"}
        sparse.size = 1
        archive.addfile(sparse, io.BytesIO(b"1"))
    assert len(raw.members("a.tar")) == 4
    for name in (*kinds, "sparse"):
        with pytest.raises(UnsupportedFormat, match=r"link|device|sparse"):
            raw.resolve(f"a.tar#{name}")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_occur_twice_refuse_themselves_only(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("x.png", "y.png", "x.png", "z/a", "z/./a"):
            archive.writestr(name, name)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("x.png", "y.png", "./x.png", "z/a", "z//a"):
            tar.addfile(tarfile.TarInfo(name))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())
    for file in ("a.zip", "a.tar"):
        assert raw.members(file) == [f"{file}#{name}" for name in ("x.png", "y.png", "z/a")]
        assert raw.exists(f"{file}#y.png")
        for name in ("x.png", "z/a"):
            with pytest.raises(DuplicateKey, match="more than one file of that name"):
                raw.resolve(f"{file}#{name}")


def test_a_tar_without_its_end_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", MEMBERS)
    whole = path.read_bytes()
    size = 512 + len(CONTENT)
    raw = open_raw(tmp_path)
    path.write_bytes(whole[: 2 * size])  # ends where a header would begin
    with pytest.raises(UnreadableFile, match="mark at the end"):
        raw.members("a.tar")
    path.write_bytes(whole[:size] + b"x" * 512 + whole[size:])
    with pytest.raises(UnreadableFile, match="mark at the end"):
        raw.members("a.tar")


def test_a_header_of_a_tar_that_goes_backwards_ends(tmp_path: Path) -> None:
    """CPython's CVE-2025-8194: a negative size, which leads back to the same header for ever."""
    info = tarfile.TarInfo("a")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = struct.pack(">4sq", b"\xff\xff\xff\xff", -1024)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    first = tarfile.TarInfo("b").tobuf()
    (tmp_path / "a.tar").write_bytes(first + bytes(header) + bytes(1024))
    with pytest.raises(UnreadableFile):
        open_raw(tmp_path).members("a.tar")


def test_keys_of_lmdb_that_are_no_text(tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb")
    path = write_lmdb(tmp_path / "a.lmdb", MEMBERS)
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"\xff\x00", b"1")
    with pytest.raises(UnreadableFile, match="no text in UTF-8"):
        open_raw(tmp_path).members("a.lmdb")
