"""Paths stay inside the raw root or are refused; tables are text or a BadTable."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qoqdata.errors import (
    InputError,
    MissingFile,
    OutsideRoot,
    UnreadableFile,
    UsageError,
)
from qoqdata.readers.raw_file import read_raw_file, taking_digests
from qoqdata.sources import raw_stamps
from qoqdata.sources.rawtree import RawTree, open_raw, read_text


@pytest.fixture
def raw(tmp_path: Path) -> RawTree:
    """A root with a few files, beside a file that is none of ours."""
    root = tmp_path / "root"
    for path in ("a.png", "deep/b.PNG", "deep/er/c.jpg", "deep/.hidden.png", ".git/d.png"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (tmp_path / "secret.png").write_text("secret")
    return open_raw(root)


# Paths.


@pytest.mark.parametrize(
    "path", ["a.png", "./a.png", "deep//er/c.jpg", "deep/./er/c.jpg", "deep\\er\\c.jpg"]
)
def test_paths_inside(raw: RawTree, path: str) -> None:
    assert raw.exists(path)
    assert raw.resolve(path).read_text() in ("a.png", "deep/er/c.jpg")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "../secret.png",
        "deep/../../secret.png",
        "deep/../a.png",  # harmless here, but a link may make it leave
        "deep/er/..",
        "..\\secret.png",
        "deep\\..\\..\\secret.png",
        "/etc/passwd",
        "//etc/passwd",
        "\\etc\\passwd",
        "a.png\0.jpg",
        "\0",
    ],
)
def test_paths_that_leave(raw: RawTree, path: str) -> None:
    for ask in (raw.resolve, raw.exists, raw.locate, raw.csv):
        with pytest.raises(OutsideRoot) as raised:
            ask(path)
        assert raised.value.where == path
    assert raw.stamp(path) is None


@pytest.mark.parametrize(
    "path",
    ["none.png", "a.png/b", "~", "~root/a", "C:\\a.png", "%2e%2e/secret.png", "...", "x" * 300],
)
def test_paths_to_nothing(raw: RawTree, path: str) -> None:
    assert not raw.exists(path)
    assert raw.stamp(path) is None
    with pytest.raises(MissingFile):
        raw.resolve(path)


@given(st.text(st.sampled_from("./\\ab~\0: "), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_located_lies_inside(raw: RawTree, path: str) -> None:
    try:
        located = raw.locate(path)
    except OutsideRoot:
        return
    assert os.path.realpath(located).startswith(os.path.realpath(raw.root))


@given(st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_answered_or_refused(raw: RawTree, path: str) -> None:
    try:
        raw.resolve(path)
    except InputError:
        assert raw.stamp(path) is None


def test_links(raw: RawTree) -> None:
    (raw.root / "out.png").symlink_to(raw.root.parent / "secret.png")
    (raw.root / "outside").symlink_to(raw.root.parent)
    (raw.root / "in.png").symlink_to(raw.root / "a.png")
    (raw.root / "inside").symlink_to(raw.root / "deep")
    (raw.root / "loop").symlink_to(raw.root / "loop")
    for path in ("out.png", "outside", "outside/secret.png", "outside/none.png"):
        with pytest.raises(OutsideRoot, match="link that leaves"):
            raw.resolve(path)
    assert raw.resolve("in.png").read_text() == "a.png"
    assert raw.resolve("inside/b.PNG").read_text() == "deep/b.PNG"
    with pytest.raises(InputError):
        raw.resolve("loop")


NAMES = ("a", "b", "c")
#: A tree of folders, files and links by path; a link's target is a path from the root or beside it.
TREES = st.dictionaries(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join),
    st.sampled_from(["folder", "file", "root", "root/a", "root/b/c", "beside", "beside/a", "none"]),
    max_size=8,
)


@given(TREES, st.lists(st.sampled_from(NAMES), min_size=1, max_size=5).map("/".join))
@settings(max_examples=150, deadline=None)
def test_links_anywhere_in_a_path_are_judged_by_where_it_really_leads(
    tree: dict[str, str], path: str
) -> None:
    """Against the definition: the real path lies below the real root, or is refused."""
    with tempfile.TemporaryDirectory() as folder:
        root, beside = Path(folder) / "root", Path(folder) / "beside"
        (beside / "a").mkdir(parents=True)
        root.mkdir()
        for name, kind in sorted(tree.items()):
            place = root / name
            if os.path.lexists(place) or not place.parent.is_dir():
                continue
            if kind == "folder":
                place.mkdir()
            elif kind == "file":
                place.write_text(name)
            else:
                place.symlink_to(Path(folder) / kind)
        raw = RawTree(root)
        inside = Path(os.path.realpath(root / path)).is_relative_to(os.path.realpath(root))
        if not inside:
            for ask in (raw.resolve, raw.exists, raw.locate):
                with pytest.raises(OutsideRoot):
                    ask(path)
            assert raw.stamp(path) is None
            return
        there = (root / path).exists()
        assert raw.locate(path) == root / path
        assert raw.exists(path) == there
        assert (raw.stamp(path) is not None) == there
        if there:
            status = (root / path).stat()
            assert raw.stamp(path) == (status.st_size, status.st_mtime_ns)
            assert raw.resolve(path) == root / path


def test_a_link_made_after_a_listing_is_seen(raw: RawTree) -> None:
    assert raw.resolve("deep/b.PNG") and raw.files()
    (raw.root / "deep").rename(raw.root / "old")
    (raw.root / "deep").symlink_to(raw.root.parent)
    with pytest.raises(OutsideRoot):
        raw.resolve("deep/secret.png")


def test_a_sibling_whose_name_begins_alike_is_outside(raw: RawTree) -> None:
    twin = raw.root.with_name("root-of-others")
    twin.mkdir()
    (raw.root / "twin").symlink_to(twin)
    with pytest.raises(OutsideRoot):
        raw.resolve("twin")


def test_a_root_behind_a_link(raw: RawTree, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(raw.root)
    assert open_raw(tmp_path / "link").resolve("a.png").read_text() == "a.png"


# Mounts.


@pytest.fixture
def mounted(raw: RawTree, tmp_path: Path) -> RawTree:
    """A second root under the name `more`, which the first root holds a folder of as well."""
    other = tmp_path / "other"
    (other / "x").mkdir(parents=True)
    (other / "x" / "e.png").write_text("mounted e")
    (other / "a.png").write_text("mounted a")
    (raw.root / "more").mkdir()
    (raw.root / "more" / "shadowed.png").write_text("")
    return open_raw(raw.root, {"more": other})


def test_a_mount_appears_as_a_folder(mounted: RawTree) -> None:
    assert mounted.resolve("more/x/e.png").read_text() == "mounted e"
    assert mounted.resolve("more/a.png").read_text() == "mounted a"
    assert mounted.resolve("a.png").read_text() == "a.png"
    assert mounted.resolve("more").is_dir()


def test_a_mount_has_bounds_of_its_own(mounted: RawTree) -> None:
    (mounted.mounts["more"] / "back.png").symlink_to(mounted.root / "a.png")
    with pytest.raises(OutsideRoot):
        mounted.resolve("more/back.png")
    with pytest.raises(OutsideRoot):
        mounted.resolve("more/../a.png")


def test_listing_with_mounts_names_each_file_once(mounted: RawTree) -> None:
    listed = mounted.files()
    assert listed == ["a.png", "deep/b.PNG", "deep/er/c.jpg", "more/a.png", "more/x/e.png"]
    assert all(mounted.resolve(path).is_file() for path in listed)
    assert mounted.files(under="more") == ["more/a.png", "more/x/e.png"]
    assert mounted.files(under="more/x") == ["more/x/e.png"]


def test_missing_roots(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root, mounts in (
        (tmp_path / "none", {}),
        (tmp_path / "file", {}),
        (tmp_path, {"m": tmp_path / "none"}),
    ):
        with pytest.raises(UsageError, match="no such raw folder"):
            open_raw(root, mounts)


# Listings.


def test_listing(raw: RawTree) -> None:
    assert raw.files() == ["a.png", "deep/b.PNG", "deep/er/c.jpg"]
    assert raw.files("*.png") == ["a.png", "deep/b.PNG"]
    assert raw.files("*.JPG", "a.*") == ["a.png", "deep/er/c.jpg"]
    assert raw.files("*.png", under="deep") == ["deep/b.PNG"]
    assert raw.files("deep*") == []
    assert raw.files(under="none") == raw.files(under="a.png") == []


def test_folders_are_listed_once(raw: RawTree) -> None:
    assert raw.files("*.jpg") == ["deep/er/c.jpg"]
    (raw.root / "late.png").write_text("")
    assert raw.files("*.png") == ["a.png", "deep/b.PNG"]
    assert open_raw(raw.root).files("*.png") == ["a.png", "deep/b.PNG", "late.png"]
    assert pickle.loads(pickle.dumps(raw)) == raw
    assert pickle.loads(pickle.dumps(raw)).files("late*") == ["late.png"]


def test_listing_under_a_folder_that_leaves(raw: RawTree) -> None:
    with pytest.raises(OutsideRoot):
        raw.files(under="../")


def test_listing_does_not_follow_linked_folders(raw: RawTree) -> None:
    (raw.root / "outside").symlink_to(raw.root.parent)
    (raw.root / "again").symlink_to(raw.root)
    assert raw.files() == ["a.png", "deep/b.PNG", "deep/er/c.jpg"]


def test_a_linked_file_is_listed_so_that_it_can_be_accounted_for(raw: RawTree) -> None:
    (raw.root / "out.png").symlink_to(raw.root.parent / "secret.png")
    assert "out.png" in raw.files()
    with pytest.raises(OutsideRoot):
        raw.digest(["out.png"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_that_is_not_utf8(raw: RawTree) -> None:
    (Path(os.fsdecode(os.fsencode(raw.root) + b"/caf\xe9.png"))).write_text("")
    assert raw.files("*.png") == ["a.png", "deep/b.PNG"]
    (name, fault), *others = raw.left_out().faults.items()
    assert (name, others) == ("caf\\udce9.png", [])
    assert isinstance(fault, UnreadableFile) and "not UTF-8" in str(fault)
    str(fault).encode()
    assert raw.files("*.jpg") == ["deep/er/c.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_a_folder_that_cannot_be_listed_is_not_skipped() -> None:
    """In a process without rights over other users' files, since root may read everything."""
    code = (
        "import os, sys, pathlib\n"
        "from qoqdata.errors import UnreadableFile\n"
        "from qoqdata.sources.rawtree import RawTree\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setuid(65534)\n"
        "try: print(RawTree(pathlib.Path(sys.argv[1])).files())\n"
        "except UnreadableFile as error: print(error)"
    )
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        (Path(root) / "locked").mkdir(mode=0)
        command = [sys.executable, "-c", code, root]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        (Path(root) / "locked").chmod(0o700)
    assert "locked: the folder cannot be listed: Permission denied" in done.stdout


# Digests and stamps.


def test_what_was_read_is_not_read_again_but_must_still_be_below_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "raw" / "a", tmp_path / "b"
    inside.parent.mkdir()
    inside.write_bytes(b"first")
    outside.write_bytes(b"other")
    (inside.parent / "link").symlink_to(outside)
    raw = RawTree(inside.parent)
    with taking_digests() as digests:
        read_raw_file(inside)
        read_raw_file(outside)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_, **__: pytest.fail("is read again"))
        expected = blake3(blake3(b"first").digest()).hexdigest()
        assert raw.digest(["a"], digests) == expected
        with pytest.raises(OutsideRoot):
            raw.digest(["link"], digests)
    inside.write_bytes(b"changed")
    assert raw.digest(["a"], digests) == blake3(blake3(b"changed").digest()).hexdigest()


def test_digest(raw: RawTree) -> None:
    parts = [blake3(name.encode()).digest() for name in ("a.png", "deep/b.PNG")]
    assert raw.digest(["a.png", "deep/b.PNG"]) == blake3(b"".join(parts)).hexdigest()
    assert raw.digest(["a.png", "deep/b.PNG"]) != raw.digest(["deep/b.PNG", "a.png"])
    with pytest.raises(MissingFile):
        raw.digest(["a.png", "none.png"])
    with pytest.raises(UnreadableFile):
        raw.digest(["deep"])


def test_stamp(raw: RawTree) -> None:
    os.utime(raw.root / "a.png", ns=(1, 1_700_000_000_000_000_001))
    stamp = raw.stamp("a.png")
    assert stamp is not None
    assert stamp[0] == len("a.png")


@pytest.mark.parametrize("slow", [0.0, 1.0], ids=["several at a time", "one by one"])
def test_stamps_of_many(raw: RawTree, monkeypatch: pytest.MonkeyPatch, slow: float) -> None:
    monkeypatch.setattr(raw_stamps, "_SLOW", slow)
    monkeypatch.setattr(raw_stamps, "_TRIED", 2)
    paths = ["a.png", "none.png", "../secret.png", "deep/b.PNG", "deep/er/c.jpg", "a.png/x"] * 5
    assert raw.stamps(paths) == [raw.stamp(path) for path in paths]
    assert [stamp and stamp[0] for stamp in raw.stamps(paths)[:6]] == [5, None, None, 10, 13, None]
    assert raw.stamps([]) == []


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a.png", "a.png/", ".", "..", "deep/..", "deep//b.PNG", "./a.png", "deep\\b.PNG"),
        *("deep", "deep/", "a\0b", "mounted/c.png", "mounted", "./mounted", "two\nlines.png"),
        *("linked.png", "ln/c.jpg", "out.png", "outside/secret.png", "marked#1.png"),
    ],
)
def test_a_stamp_is_the_same_alone_and_among_many(tmp_path: Path, raw: RawTree, path: str) -> None:
    (tmp_path / "mount").mkdir()
    (tmp_path / "mount/c.png").write_text("of the mount")
    for name in ("mounted", "marked#1.png", "two\nlines.png"):
        (raw.root / name).write_text(f"beside {name}")
    (raw.root / "linked.png").symlink_to(raw.root / "deep/b.PNG")
    (raw.root / "ln").symlink_to(raw.root / "deep/er")
    (raw.root / "out.png").symlink_to(tmp_path / "secret.png")
    (raw.root / "outside").symlink_to(tmp_path)
    for tree in (raw, open_raw(raw.root, {"mounted": tmp_path / "mount"})):
        among = [*["a.png"] * 40, path, "deep/er/c.jpg"]
        expected = [tree.stamp(one) for one in among]
        assert tree.stamps(among) == expected
        assert list(map(tree.stamper(), among)) == expected


# Text.


def test_text(raw: RawTree) -> None:
    path = raw.root / "t.txt"
    path.write_bytes(b"\xef\xbb\xbfMu\xcc\x88ller\n")
    assert read_text(raw, "t.txt") == "Mu\u0308ller\n"
    with pytest.raises(UnreadableFile, match="larger than 4 bytes"):
        read_text(raw, "t.txt", limit=4)
    path.write_bytes("Müller".encode("latin-1"))
    with pytest.raises(UnreadableFile):
        read_text(raw, "t.txt")
    with pytest.raises(UnreadableFile):
        read_text(raw, "deep")
    with pytest.raises(MissingFile):
        read_text(raw, "none.txt")
