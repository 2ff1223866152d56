"""Files are whole or not there, and one value has one JSON text."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata import atomic
from qoqdata.contract.card import Card
from tests.contract.test_card import CONTENT


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_block_that_ends_well_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    for text in ("old", "new"):
        with atomic.replacing(path) as draft:
            assert draft.parent == path.parent
            draft.write_text(text)
            assert not path.exists() or path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(path.parent) == ["file"]


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic.replacing(path) as draft:
        draft.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileNotFoundError), atomic.replacing(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    code = (
        "import os, sys, pathlib; from qoqdata import atomic\n"
        "with atomic.replacing(pathlib.Path(sys.argv[1])) as draft:\n"
        "    draft.write_text('half'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")])
    assert done.returncode == 9
    assert (tmp_path / "file").read_text() == "old"


def test_file_and_folder_reach_the_disk_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The draft is synced before it takes the name, the folder after."""
    path, events, real = tmp_path / "file", [], os.fsync

    def fsync(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        events.append(("folder" if folder else "file", path.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic.replacing(path) as draft:
        draft.write_text("new")
    assert events == [("file", False), ("folder", True)]


def test_json_files(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "x.json", {"b": [1, 2.5, None], "a": "ü"})
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text == '{\n  "a": "ü",\n  "b": [\n    1,\n    2.5,\n    null\n  ]\n}\n'


def test_nan_is_not_json(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            atomic.write_json(tmp_path / "x.json", {"a": value})
    assert names(tmp_path) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_one_value_has_one_text(value: object) -> None:
    text = atomic.canonical(value)
    assert json.loads(text) == value
    assert atomic.canonical(json.loads(text)) == text
    assert atomic.digest(value) == hashlib.sha256(text.encode()).hexdigest()


def test_the_order_of_keys_does_not_matter() -> None:
    assert atomic.canonical({"b": 1, "a": [2]}) == '{"a":[2],"b":1}'
    assert atomic.digest({"b": 1, "a": 2}) == atomic.digest({"a": 2, "b": 1})


def test_a_card_keeps_its_digest_on_disk() -> None:
    """Codes 9 and 10 sort one way as numbers and another as text."""
    codes = {code: f"structure {code}" for code in range(12)}
    card = Card.model_validate(CONTENT | {"mask_codes": codes}).model_dump(mode="json")
    assert atomic.digest(json.loads(json.dumps(card))) == atomic.digest(card)


def test_file_digests(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert atomic.file_digest(tmp_path / "x") == known


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("through_python", [False, True])
def test_a_full_disk_behind_a_table_is_the_error_of_the_system(
    tmp_path: Path, through_python: bool
) -> None:
    """Polars raises an error of its own, whose words alone have the number."""
    table = pl.DataFrame({"id": [str(n) for n in range(9999)]})
    with pytest.raises(OSError) as told, atomic.replacing(tmp_path / "table") as draft:
        draft.symlink_to("/dev/full")
        if through_python:
            with draft.open("wb") as file:
                table.write_parquet(file)
        else:
            table.write_parquet(draft)
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(tmp_path / "table"))
    assert names(tmp_path) == []


def test_an_error_names_the_file_and_not_its_draft(tmp_path: Path) -> None:
    for kind, named in ((None, "file"), ("draft", "file"), ("other", "other")):
        with pytest.raises(OSError) as told, atomic.replacing(tmp_path / "file") as draft:
            where = str(draft) if kind == "draft" else kind and str(tmp_path / kind)
            raise OSError(errno.EROFS, "Read-only file system", where)
        assert told.value.filename == str(tmp_path / named)
    # What is no fault of the system is left alone.
    with pytest.raises(pl.exceptions.ComputeError), atomic.replacing(tmp_path / "file"):
        raise pl.exceptions.ComputeError("no such thing")


def test_a_tree_that_cannot_be_removed_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file within it `shutil` gives the bare name."""
    (tmp_path / "tree" / "in").mkdir(parents=True)
    (tmp_path / "tree" / "in" / "file").touch()

    def closed(path: str, **_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", closed)
        with pytest.raises(OSError) as told:
            atomic.remove_tree(tmp_path / "tree")
    assert told.value.filename == str(tmp_path / "tree")
    atomic.remove_tree(tmp_path / "tree")
    assert names(tmp_path) == []
