"""Rows by key, and keys by file: what is joined, and what is told instead of guessed."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import BadTable
from qoqdata.sources.joining import (
    Files,
    Unmatched,
    check_pattern,
    match_keys,
    paths_by_key,
    rows_by_key,
)


def test_rows_keep_their_order_within_a_key() -> None:
    """Keys by first row, rows by place; nothing is dropped or merged."""
    table = pl.DataFrame({"key": ["b", "a", "b"], "value": ["1", None, "3"]})
    assert list(rows_by_key(table, "key", where="t.csv").items()) == [
        ("b", [{"key": "b", "value": "1"}, {"key": "b", "value": "3"}]),
        ("a", [{"key": "a", "value": None}]),
    ]


def test_a_row_without_a_key_is_named() -> None:
    """Lines count from 1 and the header is the first."""
    table = pl.DataFrame({"key": ["a", None], "value": ["1", "2"]})
    with pytest.raises(BadTable, match="key is empty") as raised:
        rows_by_key(table, "key", where="t.csv")
    assert raised.value.where == "t.csv, row 3"


# Keys and the files that they mean.

FILES = {
    path: (path,)
    for path in (
        *("images/a0.png", "images/a1.PNG", "images/001.png", "images/b c.jpg", "top.tif"),
        *("p1/img1.png", "p2/img1.png", "scans/f.nii.gz", "images/Jos\u00e9.png"),
    )
}


def meant(key: str, files: Files = FILES, **settings: Any) -> str | Unmatched:
    return match_keys([key], files, table="t.csv", **settings)[key]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("images/a0.png", "images/a0.png"),
        ("a0", "images/a0.png"),
        ("a0.png", "images/a0.png"),
        ("images/a0", "images/a0.png"),
        ("images\\a0.png", "images/a0.png"),
        (".\\images\\a0.png", "images/a0.png"),
        ("./images//a0.png", "images/a0.png"),
        ("/images/a0.png", "images/a0.png"),
        (" images/a0.png ", "images/a0.png"),
        ("images/a0.PNG", "images/a0.png"),
        ("a1.png", "images/a1.PNG"),
        ("C:\\data\\images\\a0.png", "images/a0.png"),
        ("file:///home/u/images/a0.png", "images/a0.png"),
        ("s3://bucket/images/a0", "images/a0.png"),
        ("images/b%20c.jpg", "images/b c.jpg"),
        ("b c.jpeg", "images/b c.jpg"),
        ("top.tiff", "top.tif"),
        ("p2/img1", "p2/img1.png"),
        ("f", "scans/f.nii.gz"),
        ("f.nii", "scans/f.nii.gz"),
        ("001", "images/001.png"),
        ("Jose\u0301.png", "images/Jos\u00e9.png"),
    ],
)
def test_spellings_that_mean_a_file(key: str, path: str) -> None:
    assert meant(key) == path


@pytest.mark.parametrize(
    ("key", "nearly"),
    [
        ("1", "images/001.png"),
        ("1.0", "images/001.png"),
        ("0001.png", "images/001.png"),
        ("A0", "images/a0.png"),
        ("a0.dcm", "images/a0.png"),
        ("p3/img1.png", "p1/img1.png and p2/img1.png"),
        ("other/a0.png", "images/a0.png"),
        ("../images/a0.png", "images/a0.png"),
        ("images/a0.png/", None),
        ("a", None),
        ("a00", "images/a0.png"),
        ("0", None),
        ("", None),
    ],
)
def test_keys_that_are_nearly_a_file_are_told_and_not_joined(key: str, nearly: str | None) -> None:
    found = meant(key)
    assert isinstance(found, Unmatched) and found.names == ()
    assert found.error.code == "missing_file" and found.error.where == key
    if nearly is None:
        assert found.error.what == "t.csv names it, but it is not there"
    else:
        assert found.error.what.endswith(f"no file is called so; nearly: {nearly}")


@pytest.mark.parametrize("key", ["img1", "img1.png", "IMG1.png".lower()])
def test_a_key_of_two_files_is_refused_naming_both(key: str) -> None:
    found = meant(key)
    assert isinstance(found, Unmatched) and found.error.code == "duplicate_key"
    assert found.names == ("p1/img1.png", "p2/img1.png")
    assert "2 files fit: p1/img1.png and p2/img1.png" in found.error.what


def test_a_stem_of_two_extensions_is_refused_and_a_whole_path_is_not() -> None:
    files = {path: (path,) for path in ("a.png", "a.jpg", "sub/a.png")}
    assert meant("a.png", files) == "a.png"
    assert meant("./a.PNG", files) == "a.png"
    found = meant("a", files)
    assert isinstance(found, Unmatched) and found.names == ("a.jpg", "a.png", "sub/a.png")


def test_a_file_of_the_very_name_goes_before_any_reading_of_it() -> None:
    files = {path: (path,) for path in ("a%20b.png", "a b.png")}
    assert meant("a%20b.png", files) == "a%20b.png"
    assert meant("a b.png", files) == "a b.png"


def test_two_spellings_of_one_file_are_refused_both() -> None:
    found = match_keys(["a0", "images/a0.png", "top"], FILES, table="t.csv")
    assert found["top"] == "top.tif"
    for key in ("a0", "images/a0.png"):
        one = found[key]
        assert isinstance(one, Unmatched) and one.names == ("images/a0.png",)
        assert one.error.what == "t.csv names images/a0.png in 2 ways: a0 and images/a0.png"


def test_further_folders_of_keys_must_be_those_of_all() -> None:
    """Below p2 may be another patient's file of that name; below D:/x are all of them."""
    files = {path: (path,) for path in ("img1.png", "img2.png")}
    keys = ["D:\\x\\img1.png", "D:\\x\\img2.png"]
    assert list(match_keys(keys, files, table="t").values()) == ["img1.png", "img2.png"]
    for others in (["p1/img2.png"], ["img2.png"], ["img2"]):
        found = match_keys(["p2/img1.png", *others], files, table="t")["p2/img1.png"]
        assert isinstance(found, Unmatched) and found.names == ("img1.png",)
        assert "so none of them is surely the raw folder" in found.error.what


def test_records_are_meant_by_name_or_by_a_file_of_theirs() -> None:
    files = {"g1/A1": ("g1/A1.hea", "g1/A1.mat"), "g1/A10": ("g1/A10.hea", "g1/A10.mat")}
    for key in ("g1/A1", "A1", "A1.hea", "g1\\A1.mat", "/g1/A1"):
        assert meant(key, files) == "g1/A1"


def test_identifiers_are_no_paths() -> None:
    """A file may be called as another series' UID."""
    files = {"1.2.3": ("1.2.4.dcm",), "1.2.30": ("x/1.2.3.dcm",)}
    assert meant("1.2.3", files, exact=True) == "1.2.3"
    for key in ("1.2.4", "1.2", "3", "x/1.2.3"):
        assert isinstance(meant(key, files, exact=True), Unmatched)


def test_a_file_that_the_source_does_not_read_is_not_missing() -> None:
    listing = [*FILES, "images/z.heic", "notes/y.txt", "t.csv"]
    for key in ("z", "z.heic", "images\\z.heic"):
        found = meant(key, listing=listing)
        assert isinstance(found, Unmatched) and found.error.code == "unsupported_format"
        assert "images/z.heic is there, which this source does not read" in found.error.what
    # A note of the name is not what the row means, unless the row says so.
    for key, code in (("y", "missing_file"), ("notes/y.txt", "unsupported_format")):
        found = meant(key, listing=listing)
        assert isinstance(found, Unmatched) and found.error.code == code


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("images/{key}.png", {"a": "images/a.png", "s/c": "images/s/c.png"}),
        ("images\\{stem}.png", {"a": "images/a.png"}),
        ("./images/{stem}.*", {"a": "images/a.png"}),
        ("images/{name}", {n: f"images/{n}" for n in ("a.png", "b.jpg", "b.tif")}),
        ("*/{stem}.tif", {"b": "images/b.tif"}),
        ("{key}_image.png", {}),
    ],
)
def test_patterns(pattern: str, paths: dict[str, str]) -> None:
    listing = ["images/a.png", "images/b.jpg", "images/b.tif", "images/s/c.png", "a.png"]
    found, refused = paths_by_key(listing, pattern)
    assert found == paths
    # Both files of b are there for any extension, and neither is taken.
    assert [one.files for one in refused] == [("images/b.jpg", "images/b.tif")] * (
        "*" in pattern[2:]
    )


def test_a_pattern_says_what_of_a_key_counts() -> None:
    listing = ["images/a.png", "images/b.png"]
    for pattern in ("images/{stem}.png", "images/{name}"):
        found, _ = paths_by_key(listing, pattern)
        files = {key: (path,) for key, path in found.items()}
        name = next(iter(files))
        assert meant("D:\\raw\\2019\\a.png", files, pattern=pattern) == name
        both = match_keys(["2019/a.png", "2020/a.png"], files, table="t", pattern=pattern)
        assert all(isinstance(one, Unmatched) for one in both.values())


@pytest.mark.parametrize("pattern", ["images/*.png", "{key}/{key}.png", "{key}_{stem}.png", ""])
def test_a_pattern_names_one_key(pattern: str) -> None:
    with pytest.raises(ValueError, match="once"):
        check_pattern(pattern)


PARTS = st.sampled_from(["a", "b", "01", "1", "A", "a.png", "b.jpg", "\u00e9", "x.y"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@settings(deadline=None, max_examples=150)
@given(st.sets(PATHS, min_size=1, max_size=8), st.sets(PATHS, min_size=1, max_size=5))
def test_no_file_is_given_to_two_keys_and_none_to_a_stranger(
    paths: set[str], keys: set[str]
) -> None:
    files = {path: (path,) for path in sorted(paths)}
    found = match_keys(sorted(keys), files, table="t")
    assert set(found) == keys
    names = [name for name in found.values() if isinstance(name, str)]
    assert len(names) == len(set(names))
    for key, name in found.items():
        if isinstance(name, str):
            pairs = zip(reversed(key.split("/")), reversed(name.split("/")), strict=False)
            (last, own), *folders = pairs
            assert own == last or own.rpartition(".")[0] == last
            assert all(one == other for one, other in folders)
    # The order of files and keys says nothing.
    turned = match_keys(sorted(keys, reverse=True), dict(reversed(files.items())), table="t")
    assert {key: str(one) for key, one in turned.items()} == {
        key: str(one) for key, one in found.items()
    }
