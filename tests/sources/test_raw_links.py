"""Links are followed by where they really lead: into the root, a mount, or the root's own store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qoqdata.errors import MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.blob_store import blob_store
from qoqdata.readers.raw_file import RawDigests
from qoqdata.readers.volume import read_volume
from qoqdata.simulation import write_text
from qoqdata.sources.rawtree import RawTree, open_raw


def link(place: Path, target: str) -> None:
    """A link to `target` as it stands, which need not be there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A Hugging Face cache with one data set, beside a second one."""
    for name in ("datasets--a--films", "datasets--b--secret"):
        write_text(tmp_path / "hub" / name / "blobs" / "sha1", name)
    home = tmp_path / "hub" / "datasets--a--films"
    link(home / "snapshots" / "rev" / "images" / "a.png", "../../../blobs/sha1")
    link(home / "snapshots" / "rev" / "top.csv", "../../blobs/sha1")
    return home


def test_a_snapshot_is_read_from_its_blobs(hub: Path) -> None:
    for root, name in (("snapshots/rev", "images/a.png"), ("snapshots/rev/images", "a.png")):
        raw = open_raw(hub / root)
        assert name in raw.files("*.png")
        assert raw.read_bytes(name) == b"datasets--a--films"
        assert raw.stamp(name) == (18, (hub / "blobs" / "sha1").stat().st_mtime_ns)
    assert open_raw(hub / "snapshots" / "rev").files() == ["images/a.png", "top.csv"]


def test_a_snapshot_behind_a_link_is_read_too(hub: Path, tmp_path: Path) -> None:
    link(tmp_path / "data", str(hub / "snapshots" / "rev"))
    assert open_raw(tmp_path / "data").read_bytes("images/a.png") == b"datasets--a--films"


@pytest.mark.parametrize(
    "target",
    [
        "../../../datasets--b--secret/blobs/sha1",  # another data set's
        "../../refs/main",  # of the data set, and no blob
        "../../blobs",  # the store itself
        "/etc/passwd",
        "../../blobs/../../datasets--b--secret/blobs/sha1",
        "../../blobs/hop",  # a blob that is a link elsewhere
    ],
)
def test_a_snapshot_leads_nowhere_but_to_its_blobs(hub: Path, target: str) -> None:
    write_text(hub / "refs" / "main", "rev")
    link(hub / "blobs" / "hop", "../../datasets--b--secret/blobs/sha1")
    link(hub / "snapshots" / "rev" / "x.png", target)
    raw = open_raw(hub / "snapshots" / "rev")
    for ask in (raw.resolve, raw.locate, raw.exists, raw.read_bytes):
        with pytest.raises(OutsideRoot, match="is a link that lea"):
            ask("x.png")
    assert raw.stamp("x.png") is None


def test_a_repository_reads_its_dvc_cache_and_annex_from_any_folder_of_it(tmp_path: Path) -> None:
    stored = (
        ".dvc/cache/files/md5/ab/cdef",
        ".git/annex/objects/W1/2k/KEY.png/KEY.png",
        ".git/modules/films/annex/objects/W1/2k/KEY.png/KEY.png",
    )
    for number, path in enumerate(stored):
        write_text(tmp_path / "repo" / path, path)
        link(tmp_path / "repo" / "data" / "deep" / f"{number}.png", f"../../{path}")
    for place in ("", "data/", "data/deep/"):
        raw = open_raw(tmp_path / "repo" / place)
        inner = "data/deep/".removeprefix(place)
        assert [raw.read_bytes(f"{inner}{n}.png").decode() for n in range(3)] == list(stored)


@pytest.mark.parametrize(
    "target",
    [".dvc/config", ".git/config", ".git/annex/index", "../other/.dvc/cache/files/md5/a/b"],
)
def test_a_repository_keeps_the_rest_to_itself(tmp_path: Path, target: str) -> None:
    write_text(tmp_path / "repo" / target, "secret")
    link(tmp_path / "repo" / "data" / "a.png", f"../{target}")
    with pytest.raises(OutsideRoot, match="link that leaves"):
        open_raw(tmp_path / "repo" / "data").resolve("a.png")


def test_stored_content_that_was_not_fetched_is_missing(tmp_path: Path) -> None:
    link(tmp_path / "data" / "a.png", "../.git/annex/objects/W1/2k/KEY/KEY")
    raw = open_raw(tmp_path / "data")
    assert not raw.exists("a.png") and raw.files() == ["a.png"]
    with pytest.raises(MissingFile, match=r"link to a file that is not there.*git annex get"):
        raw.resolve("a.png")


def test_a_mount_that_the_user_names_is_where_links_may_lead(tmp_path: Path) -> None:
    """As for a DVC cache on another disk."""
    write_text(tmp_path / "cache" / "ab" / "cd", "picture")
    link(tmp_path / "data" / "a.png", "../cache/ab/cd")
    with pytest.raises(OutsideRoot, match="name the folder of their targets under `mounts:`"):
        open_raw(tmp_path / "data").resolve("a.png")
    raw = open_raw(tmp_path / "data", {"cache": tmp_path / "cache"})
    assert raw.read_bytes("a.png") == b"picture"


def test_each_link_to_nothing_readable_has_its_own_reason(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name, target in {"loop": "loop", "a": "b", "b": "a", "gone": "none", "out": ".."}.items():
        link(root / name, target)
    os.mkfifo(root / "pipe")
    link(root / "to_pipe", "pipe")
    raw = RawTree(root)
    for name in ("loop", "a", "b"):
        with pytest.raises(UnreadableFile, match="leads back to itself"):
            raw.resolve(name)
        assert not raw.exists(name)
    with pytest.raises(MissingFile, match="link to a file that is not there"):
        raw.resolve("gone")
    with pytest.raises(OutsideRoot, match="leaves the raw root, to a folder"):
        raw.resolve("out")
    for name in ("pipe", "to_pipe"):
        with pytest.raises(UnreadableFile, match="named pipe"):
            raw.resolve(name)


def test_a_header_in_a_store_finds_its_data_in_another_folder_of_it(tmp_path: Path) -> None:
    """DVC and git-annex keep header and data in folders of their own."""
    header = (
        "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 1 1\n"
        "ElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    )
    cache = tmp_path / ".dvc" / "cache" / "files" / "md5"
    write_text(cache / "11" / "aa", header)
    write_text(cache / "22" / "bb", "abcdefgh")
    link(tmp_path / "data" / "a.mhd", "../.dvc/cache/files/md5/11/aa")
    link(tmp_path / "data" / "a.raw", "../.dvc/cache/files/md5/22/bb")
    raw = open_raw(tmp_path / "data")
    voxels = read_volume(raw.resolve("a.mhd")).voxels
    assert sorted(voxels.ravel().tolist()) == list(b"abcdefgh")
    (tmp_path / "data" / "a.raw").unlink()
    write_text(tmp_path / "beside", "abcdefgh")
    link(tmp_path / "data" / "a.raw", "../beside")
    with pytest.raises(OutsideRoot):
        read_volume(raw.resolve("a.mhd"))


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/c/datasets--x--y/blobs/sha", "/c/datasets--x--y/blobs"),
        ("/c/models--x/blobs/sha", "/c/models--x/blobs"),
        ("/r/.dvc/cache/files/md5/a/b", "/r/.dvc/cache"),
        ("/.dvc/cache/a", "/.dvc/cache"),
        ("/r/.git/annex/objects/a/b/K/K", "/r/.git/annex/objects"),
        ("/c/datasets--x--y/blobs", None),
        ("/c/x/blobs/sha", None),
        ("/c/datasets--x--y/blobs/deep/sha", None),
        ("/r/dvc/cache/a", None),
        ("/r/.git/objects/a", None),
        ("/r/x.dvc/cache/a", None),
        ("/r/.git/modules/annex", None),
    ],
)
def test_stores_are_told_by_the_whole_of_a_path(path: str, folder: str | None) -> None:
    store = blob_store(path)
    assert (store and store.folder) == folder


def test_a_pipe_or_socket_is_never_opened_for_its_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(UnreadableFile, match="never opened"):
            RawDigests().of(path)
