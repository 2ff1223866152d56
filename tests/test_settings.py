"""Settings from YAML files, and what is said about those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from qoqdata.errors import CardError, UsageError
from qoqdata.settings import LARGEST_FILE, checked, load_mapping, load_yaml


class Depth(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slices: int = 1


class Reader(BaseModel):
    depth: Depth = Depth()


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe", b"a: \x00", b"a: b: c"])
def test_what_is_no_yaml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not YAML"):
        load_yaml(path)


def test_yaml_does_not_run_code(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(UsageError, match="is not YAML"):
        load_yaml(path)


def test_bytes_that_are_no_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("name: a\nwho: é\n".encode("latin-1"))
    with pytest.raises(UsageError, match="0xe9") as raised:
        load_yaml(path)
    assert (raised.value.where, raised.value.fix) == (f"{path}, line 2", "save it as UTF-8")
    path.write_bytes(b"\xef\xbb\xbfname: \xc3\xa9\r\nno: 1\r\n")
    assert load_yaml(path) == {"name": "é", "no": 1}


def test_a_large_file_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    with path.open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(UsageError, match="larger than 16 MiB"):
        load_yaml(path)


class Names(BaseModel):
    labels: dict[str, str] = {}
    where: Path | dict[str, int] = Path()


@pytest.mark.parametrize("value", [1.1, 5, True])
def test_text_that_reads_as_something_else_is_to_be_quoted(value: object) -> None:
    with pytest.raises(UsageError, match="unquoted") as raised:
        checked(Names, {"labels": {"a": value}}, where="x", fix="look")
    assert (raised.value.where, raised.value.fix) == (
        "x, labels.a",
        "write it in quotes, as it should read",
    )


def test_a_field_of_several_types_is_named_as_it_is_written() -> None:
    with pytest.raises(UsageError) as raised:
        checked(Names, {"where": 5}, where="x")
    assert (raised.value.where, raised.value.what) == ("x, where", "Input is not a valid path")


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(UsageError):
        load_yaml(tmp_path)


@pytest.mark.parametrize("content", ["", "# nothing", "- 1", "plain", "0"])
def test_what_is_no_mapping(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(content)
    with pytest.raises(UsageError, match="no mapping of settings") as raised:
        load_mapping(path)
    assert (raised.value.where, raised.value.fix) == (str(path), "write name: value")


def test_an_empty_file_sets_nothing_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("# nothing")
    assert load_mapping(path, may_be_empty=True) == {}
    path.write_text("[]")
    with pytest.raises(UsageError, match="no mapping"):
        load_mapping(path, may_be_empty=True)


def test_the_field_at_fault_is_named() -> None:
    assert checked(Reader, {"depth": {"slices": 3}}, where="x").depth.slices == 3
    with pytest.raises(CardError) as raised:
        checked(Reader, {"depth": {"slice": 3}}, where="x", fix="look", error=CardError)
    assert (raised.value.where, raised.value.fix) == ("x, depth.slice", "did you mean slices?")
    with pytest.raises(UsageError) as raised:
        checked(Reader, [], where="x")
    assert (type(raised.value), raised.value.where) == (UsageError, "x, the document")
