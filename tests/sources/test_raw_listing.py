"""What a listing gives and what it leaves out, each with its reason."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.sources.raw_listing import ignored_by
from qoqdata.sources.rawtree import RawTree, open_raw


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("a.png", "b/c.png", "b/d/e.txt", "b0.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    return tmp_path


def test_what_systems_leave_behind_is_counted(root: Path) -> None:
    litter = ("Thumbs.db", "b/.DS_Store", "b/._c.png", "__MACOSX/a.png", "$RECYCLE.BIN/x.png")
    for path in litter:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("")
    raw = open_raw(root)
    assert raw.files() == ["a.png", "b/c.png", "b/d/e.txt", "b0.png"]
    assert raw.left_out().litter == [
        "$RECYCLE.BIN", "Thumbs.db", "__MACOSX", "b/.DS_Store", "b/._c.png",
    ]  # fmt: skip


def test_pipes_sockets_and_links_out_are_left_out_each_with_its_reason(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    (root / "device.png").symlink_to("/dev/zero")
    (root / "folder").symlink_to(root.parent)
    (root / "inside").symlink_to("b")
    raw = open_raw(root)
    assert raw.files("*.png") == ["a.png", "b/c.png", "b0.png"]
    faults = {path: str(fault) for path, fault in raw.left_out().faults.items()}
    assert sorted(faults) == ["device.png", "folder", "pipe.png"]
    assert "a device" in faults["device.png"] and "a named pipe" in faults["pipe.png"]
    assert "leaves the raw root, to a folder" in faults["folder"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_whose_name_is_not_utf8_is_one_fault(root: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "x.png").write_text("")
    raw = open_raw(root)
    assert raw.files("*.png") == ["a.png", "b/c.png", "b0.png"]
    assert list(raw.left_out().faults) == ["caf\\udce9"]


def test_names_that_differ_in_case_or_in_their_form_of_unicode_stay_apart(root: Path) -> None:
    names = ["caf\u00e9.png", "cafe\u0301.png", "A.png"]
    for name in names:
        (root / name).write_text(name)
    raw = open_raw(root)
    assert {*names, "a.png"} <= set(raw.files("*.png"))
    assert [raw.read_bytes(name).decode() for name in names] == names


def test_a_part_of_a_tree_is_told_from_its_whole_listing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = ("b", "b/", "b/d", "none", "a.png", "./b")
    alone = [RawTree(root).files(under=part) for part in parts]
    assert alone[0] == alone[1] == alone[5] == ["b/c.png", "b/d/e.txt"]
    raw = RawTree(root)
    raw.files()
    looked_at: list[str] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked_at.append(str(path)) or scan(path))
    assert raw.files(under="b") == alone[0] and raw.files(under="b/d") == alone[2]
    assert looked_at == []
    assert [raw.files(under=part) for part in parts] == alone


def test_ignored_files_are_not_listed(root: Path) -> None:
    raw = open_raw(root).ignoring(["*.TXT", "b0.*", "x/*"])
    assert raw.files() == ["a.png", "b/c.png"]
    assert raw.left_out().ignored == {"b/d/e.txt": "*.TXT", "b0.png": "b0.*"}
    assert open_raw(root).ignoring(["b"]).files() == ["a.png", "b0.png"]


@pytest.mark.parametrize(
    ("pattern", "path", "left_out"),
    [
        ("*.txt", "deep/er/a.TXT", True),
        ("backup", "backup/a.png", True),
        ("backup", "x/backup/a.png", True),
        ("backup", "backups/a.png", False),
        ("backup/**", "backup/x/a.png", True),
        ("backup/**", "x/backup/a.png", False),
        ("**/backup/*", "x/y/backup/a.png", True),
        ("a/*.png", "a/b.png", True),
        ("a/*.png", "a/b/c.png", False),
        ("a/**/c.png", "a/c.png", True),
        ("a/**/c.png", "a/b/b/c.png", True),
        ("/a.png", "a.png", True),
        ("/a.png", "b/a.png", False),
        ("a[12].png", "a2.png", True),
        ("?.png", "ab.png", False),
    ],
)
def test_patterns(pattern: str, path: str, left_out: bool) -> None:
    assert (ignored_by(path, ["none", pattern]) is not None) == left_out


PATHS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map("/".join)


@given(PATHS)
def test_a_path_is_a_pattern_of_itself_and_of_what_lies_below(path: str) -> None:
    assert ignored_by(path, [f"/{path}"]) and ignored_by(f"{path}/x", [f"/{path}"])
    assert not ignored_by(f"x/{path}", [f"/{path}"])
    assert ignored_by(f"x/y/{path}", [f"**/{path}"])
