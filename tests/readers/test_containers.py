"""Members of containers: listed, read, digested and addressed, the same in every format."""

from __future__ import annotations

import base64
import gzip
import io
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import (
    BadTable,
    InputError,
    MissingFile,
    MissingKey,
    OutsideRoot,
    UnsupportedFormat,
    UsageError,
)
from qoqdata.readers.container import gzip_checkpoints, opened
from qoqdata.readers.raw_file import RawDigests, raw_state, read_raw_file, taking_digests
from qoqdata.sources.rawtree import RawTree, open_raw
from tests.readers.container_files import FORMATS, LIBRARIES, write_tar, write_zip

MEMBERS = {f"x/{name}": name.encode() * 100 for name in ("one.png", "two.png", "three.dcm")}


@pytest.fixture(params=list(FORMATS))
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[RawTree, str, str]:
    """A raw tree, the container in it, and how a member is addressed."""
    if library := LIBRARIES.get(Path(request.param).suffix):
        pytest.importorskip(library)
    write, member = FORMATS[request.param]
    write(tmp_path / request.param, MEMBERS)
    return open_raw(tmp_path), request.param, member


def test_members_are_listed_and_read(case: tuple[RawTree, str, str]) -> None:
    raw, file, member = case
    listed = raw.members(file, member.format("*"))
    assert listed == sorted(f"{file}#{member.format(name)}" for name in MEMBERS)
    assert raw.files(f"{file}#{member.format('*')}") == listed
    for name, content in MEMBERS.items():
        address = f"{file}#{member.format(name)}"
        assert raw.exists(address) and raw.read_bytes(address) == content
        assert read_raw_file(raw.resolve(address)) == content
        assert str(raw.resolve(address)).endswith(f"/{address}")


def test_an_absent_member_is_missing(case: tuple[RawTree, str, str]) -> None:
    raw, file, member = case
    address = f"{file}#{member.format('x/four.png')}"
    assert not raw.exists(address)
    with pytest.raises((MissingFile, MissingKey), match=r"four\.png"):
        raw.resolve(address)


def test_the_digest_is_that_of_the_unpacked_file(case: tuple[RawTree, str, str]) -> None:
    raw, file, member = case
    addresses = [f"{file}#{member.format(name)}" for name in MEMBERS]
    (raw.root / "x").mkdir()
    for name, content in MEMBERS.items():
        (raw.root / name).write_bytes(content)
    assert raw.digest(addresses) == raw.digest(list(MEMBERS))
    with taking_digests() as digests:
        path = raw.resolve(addresses[0])
        assert read_raw_file(path) is read_raw_file(path)
    assert digests.of(path) == blake3(MEMBERS["x/one.png"]).digest()


def test_the_stamp_is_the_containers(case: tuple[RawTree, str, str]) -> None:
    raw, file, member = case
    addresses = [f"{file}#{member.format(name)}" for name in (*MEMBERS, "absent")]
    inner = raw.root / file / "data.mdb" if file == "a.lmdb" else raw.root / file
    status = inner.stat()
    assert raw.stamps(addresses) == [(status.st_size, status.st_mtime_ns)] * 4
    assert raw.stamp(addresses[0]) == (status.st_size, status.st_mtime_ns)


def test_a_container_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = open_raw(tmp_path)
    write_zip(tmp_path / "a.zip", {str(number): b"x" for number in range(50)})
    looks: Counter[str] = Counter()
    plain = os.lstat

    def counting(path: Any, **settings: Any) -> os.stat_result:
        looks[str(path)] += 1
        return plain(path, **settings)

    monkeypatch.setattr(os, "lstat", counting)
    assert len(set(raw.stamps([f"a.zip#{number}" for number in range(50)]))) == 1
    assert sum(looks.values()) < 5


def test_an_index_is_made_once_until_the_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = open_raw(tmp_path)
    path = write_zip(tmp_path / "a.zip", MEMBERS)
    first = opened.open_container(path)
    assert opened.open_container(path) is first
    write_zip(path, {"x/one.png": b"other and longer" * 50})
    assert raw.read_bytes("a.zip#x/one.png") == b"other and longer" * 50
    monkeypatch.setattr(opened, "MOST_INDEXED", 1)
    opened.open_container(write_zip(tmp_path / "b.zip", MEMBERS))
    assert [key[0].name for key in opened._indexes] == ["b.zip"]


def test_a_real_file_of_that_name_comes_first(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    write_zip(tmp_path / "a.zip", {"x.png": b"member", "y.png": b"other"})
    (tmp_path / "a.zip#x.png").write_bytes(b"file")
    (tmp_path / "scan #1.png").write_bytes(b"hash")
    assert raw.read_bytes("a.zip#x.png") == b"file"
    assert raw.read_bytes("a.zip#y.png") == b"other"
    assert raw.read_bytes("scan #1.png") == b"hash"
    assert raw.files("*.png") == ["a.zip#x.png", "scan #1.png"]
    sizes = [stamp and stamp[0] for stamp in raw.stamps(["a.zip#x.png", "a.zip#y.png"])]
    assert sizes == [4, (tmp_path / "a.zip").stat().st_size]
    assert not raw.exists("scan #2.png")
    with pytest.raises(MissingFile, match="no such file"):
        raw.resolve("b.zip#x.png")


def test_marks_in_names_of_members_and_folders(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    (tmp_path / "set #2").mkdir()
    write_zip(tmp_path / "set #2" / "a#b.zip", {"c#d.png": b"1"})
    assert raw.files("*.zip#*.png") == ["set #2/a#b.zip#c#d.png"]
    assert raw.read_bytes("set #2/a#b.zip#c#d.png") == b"1"


def test_patterns_see_last_parts_or_whole_names(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    write_zip(tmp_path / "a.zip", {"p/A.PNG": b"", "p/q/b[1].png": b"", "p/c.txt": b"", "d/": b""})
    assert raw.members("a.zip") == ["a.zip#p/A.PNG", "a.zip#p/c.txt", "a.zip#p/q/b[1].png"]
    assert raw.members("a.zip", "*.png") == ["a.zip#p/A.PNG", "a.zip#p/q/b[1].png"]
    assert raw.members("a.zip", "p/q/*") == ["a.zip#p/q/b[1].png"]
    assert raw.members("a.zip", "b[1].*") == ["a.zip#p/q/b[1].png"]
    assert raw.files("*.zip#*.txt", "*.zip") == ["a.zip", "a.zip#p/c.txt"]


def test_a_file_that_is_no_container_says_which_are(tmp_path: Path) -> None:
    (tmp_path / "a.7z").write_bytes(b"7z")
    with pytest.raises(UnsupportedFormat, match=r"\.zip, \.tar"):
        open_raw(tmp_path).resolve("a.7z#x")


def test_rows_by_number_and_items_of_lists(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    table = {
        "id": [1, 2, 2, None],
        "view": ["a", "b", "c", "d"],
        "images": [[b"p", b"q"], [], [b"r"], None],
        "plain": [b"s", None, b"t", b"u"],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet", row_group_size=3)
    read = raw.read_bytes
    assert read("a.parquet#images[0][1]") == b"q"
    assert read("a.parquet#images[id=1][0]") == b"p"
    assert read("a.parquet#plain[3]") == b"u"
    assert raw.members("a.parquet", "plain[*]") == [f"a.parquet#plain[{row}]" for row in range(4)]
    assert raw.members("a.parquet", "plain[id=*]") == [
        "a.parquet#plain[id=1]",
        "a.parquet#plain[id=2]",
    ]
    refusals = {
        "plain[id=2]": "several rows",
        "plain[id=3]": "no row with id = 3",
        "plain[1]": "cell is empty",
        "plain[4]": "4 rows",
        "plain[view=a][0]": "no list",
        "images[0]": "holds a list",
        "images[2][1]": "1 items",
        "images[3][0]": "no list",
        "view[0]": "holds str, not bytes",
        "picture[0]": "lacks the column 'picture'",
        "plain[key=1]": "lacks the column 'key'",
        "plain[images=1]": "text or a whole number",
        "plain": "names no cell",
    }
    for member, message in refusals.items():
        with pytest.raises(InputError, match=message):
            read(f"a.parquet#{member}")
    assert raw.parquet("a.parquet", columns=["view"])["view"].to_list() == ["a", "b", "c", "d"]
    with pytest.raises(BadTable, match="lacks the column 'label'"):
        raw.parquet("a.parquet", columns=["label"])


def test_a_bad_row_of_base64_refuses_itself_only(tmp_path: Path) -> None:
    good = base64.b64encode(b"good").decode()
    rows = ["index\timage", "1\t" + good, "2\tno base64!", "3", "4\tdata:image/png;base64," + good]
    rows += ["5\t", "6\t" + good, "6\t" + good, '7\t"' + good[:2] + "\r\n" + good[2:] + '"']
    (tmp_path / "a.tsv").write_bytes("\r\n".join(rows).encode())
    raw = open_raw(tmp_path)
    for key in (1, 4, 7):
        assert raw.read_bytes(f"a.tsv#image[index={key}]") == b"good"
    assert raw.read_bytes("a.tsv#image[5]") == b"good"
    for member, message in {
        "index=2": "no base64",
        "2": "the row has 1 cells",
        "index=3": "no row",
        "index=5": "is empty",
        "index=6": "several rows",
    }.items():
        with pytest.raises(InputError, match=message):
            raw.read_bytes(f"a.tsv#image[{member}]")
    assert raw.members("a.tsv", "image[index=*]") == [
        f"a.tsv#image[index={key}]" for key in (1, 2, 4, 5, 6, 7)
    ]
    (tmp_path / "b.tsv").write_text('index\timage\n1\t"never closed\n2\tx\n')
    with pytest.raises(BadTable, match=r"row 2.*no end"):
        raw.members("b.tsv", "image[*]")


def test_arrays_of_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    raw = open_raw(tmp_path)
    slices = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("g/slices", data=slices, chunks=(1, 3, 4), compression="gzip")
        file.create_dataset("jpegs", 2, h5py.vlen_dtype(np.uint8))
        file["jpegs"][0] = np.frombuffer(b"jpeg", np.uint8)
        file["opaque"] = np.void(b"\0png\0")
        file["strings"] = np.array([b"dicom", b"png"], "S8")
        file["odd[0]"] = np.array([1, 2], np.uint8)
        file["soft"] = h5py.SoftLink("/opaque")
        file["outside"] = h5py.ExternalLink("b.h5", "/x")
        file["compound"] = np.zeros(1, [("a", "i4")])
    assert np.array_equal(raw.read_array("a.h5#g/slices"), slices)
    assert np.array_equal(raw.read_array("a.h5#g/slices[1]"), slices[1])
    assert (
        raw.digest(["a.h5#g/slices[1]"]) == blake3(blake3(slices[1].tobytes()).digest()).hexdigest()
    )
    assert raw.read_bytes("a.h5#jpegs[0]") == b"jpeg"
    assert raw.read_bytes("a.h5#strings[1]") == b"png"
    assert raw_state(raw.resolve("a.h5#jpegs[0]"))[1] == 4
    assert raw_state(raw.resolve("a.h5#g/slices[0]"))[1] == 24
    assert raw.read_bytes("a.h5#opaque") == b"\0png\0"
    assert raw.read_bytes("a.h5#odd[0]") == b"\1\2", "a dataset of that very name comes first"
    assert raw.members("a.h5", "slices[*]") == ["a.h5#g/slices[0]", "a.h5#g/slices[1]"]
    for member, message in {
        "soft": "is a link in the file",
        "outside": "another file",
        "compound": "no bytes or numbers",
        "g": "is no dataset",
        "g/slices[2]": "2 items",
        "g/none": "no such dataset",
    }.items():
        with pytest.raises(InputError, match=message):
            raw.read_bytes(f"a.h5#{member}")
    write_zip(tmp_path / "a.zip", {"x": b"1"})
    with pytest.raises(UnsupportedFormat, match="no array"):
        raw.read_array("a.zip#x")


@pytest.mark.parametrize(("file", "library"), [("a.h5", "h5py"), ("a.lmdb", "lmdb")])
def test_an_absent_library_is_told(
    file: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / file).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"pip install 'qoqdata\[(hdf5|lmdb)\]'"):
        open_raw(tmp_path).resolve(f"{file}#x")


def test_a_gzipped_archive_is_read_from_the_nearest_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gzip_checkpoints, "SPACING", 2**18)
    monkeypatch.setattr(gzip_checkpoints, "MOST", 8)
    rng = np.random.default_rng(0)
    members = {str(n): rng.integers(0, 60, 300_000, np.uint8).tobytes() for n in range(20)}
    path = write_tar(tmp_path / "a.tar.gz", members)
    data = gzip.decompress(path.read_bytes())
    # Two streams in one file, as parallel programs write them, and zeros behind.
    path.write_bytes(gzip.compress(data[:999_999]) + gzip.compress(data[999_999:]) + bytes(700))
    raw = open_raw(tmp_path)
    for name in sorted(members, key=lambda name: hash((name, 1))):
        assert raw.read_bytes(f"a.tar.gz#{name}") == members[name]
    archive = opened.open_container(path)
    checkpoints = archive.content.args[0]  # type: ignore[attr-defined]
    assert 4 <= len(checkpoints.places) <= 8 and checkpoints.spacing == 2**20
    reads: list[int] = []
    plain = gzip_checkpoints.Inflated._inflate

    def counting(self: Any, size: int) -> bytes:
        part = plain(self, size)
        reads.append(len(part))
        return part

    monkeypatch.setattr(gzip_checkpoints.Inflated, "_inflate", counting)
    raw.read_bytes("a.tar.gz#19")
    assert sum(reads) < 2 * 2**20 < len(data) / 2


@settings(max_examples=40)
@given(st.dictionaries(st.text(min_size=1, max_size=12), st.binary(max_size=20), max_size=4))
def test_any_name_is_read_back_or_refused(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    raw = open_raw(folder)
    (folder.parent / "secret").write_bytes(b"outside")
    for file, write in (("a.zip", write_zip), ("a.tar", write_tar)):
        try:
            write(folder / file, members)
        except (UnicodeError, ValueError, IndexError):  # the writer cannot store that name
            continue
        try:
            listed = raw.members(file)
        except InputError:
            continue
        for name in filter(str.isalnum, members):
            assert raw.read_bytes(f"{file}#{name}") == members[name]
        for address in listed:
            try:
                path = raw.resolve(address)
            except InputError:
                continue
            assert read_raw_file(path) == raw.read_bytes(address)
            assert raw.read_bytes(address) in members.values()


@settings(max_examples=40)
@given(st.text("ab/.#[]=\\ ", min_size=1, max_size=12))
def test_any_key_addresses_its_row(tmp_path_factory: pytest.TempPathFactory, key: str) -> None:
    folder = tmp_path_factory.mktemp("keys")
    raw = open_raw(folder)
    pq.write_table(pa.table({"id": [key, "other"], "image": [b"1", b"2"]}), folder / "a.parquet")
    address = f"a.parquet#image[id={key}]"
    try:
        path = raw.resolve(address)
    except UnsupportedFormat:
        assert "][" in key  # looks like an item of a list
        return
    assert raw.read_bytes(address) == read_raw_file(path) == b"1"


def test_names_that_leave_the_archive_are_refused(tmp_path: Path) -> None:
    raw = open_raw(tmp_path)
    (tmp_path.parent / "secret.png").write_bytes(b"secret")
    names = ["../secret.png", "/secret.png", "x/../../secret.png", "C:\\secret.png", "..\\s.png"]
    write_zip(tmp_path / "a.zip", {**dict.fromkeys(names, b"1"), "./good.png": b"2"})
    write_tar(tmp_path / "a.tar", {**dict.fromkeys(names, b"1"), "./good.png": b"2"})
    for file in ("a.zip", "a.tar"):
        listed = raw.members(file, "*.png")
        assert f"{file}#good.png" in listed and len(listed) == len(names) + 1
        assert raw.read_bytes(f"{file}#good.png") == raw.read_bytes(f"{file}#./good.png") == b"2"
        for address in set(listed) - {f"{file}#good.png"}:
            with pytest.raises(OutsideRoot, match="leads out"):
                raw.resolve(address)


def test_tables_inside_of_archives(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": [1, 2]}), buffer)
    text = b"key,label\n1,a\n2,\n"
    members = {"t.csv": text, "t.csv.gz": gzip.compress(text), "t.parquet": buffer.getvalue()}
    write_zip(tmp_path / "a.zip", members)
    raw = open_raw(tmp_path)
    for name in ("t.csv", "t.csv.gz"):
        assert raw.csv(f"a.zip#{name}", columns=["label"])["label"].to_list() == ["a", None]
    assert raw.parquet("a.zip#t.parquet", columns=["n"])["n"].to_list() == [1, 2]


def test_digests_without_a_build(tmp_path: Path) -> None:
    write_zip(tmp_path / "a.zip", {"x": b"content"})
    assert RawDigests().of(tmp_path / "a.zip#x") == blake3(b"content").digest()
