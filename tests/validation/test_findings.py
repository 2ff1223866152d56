"""A sound data set gives no finding; each kind of damage gives the one that names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, FailedSourceWarning
from qoqdata.sources import catalogue
from qoqdata.suite.examples import build_example
from qoqdata.validation import Finding, find, find_in_metadata
from tests.records.sound_rows import image_row, region, table
from tests.validation.written_set import load, reseal, save, write


def row(number: int, split: str = "train", **changes: Any) -> dict[str, Any]:
    """A sound record of its own patient and study."""
    keys = {"id": f"r{number}", "patient": f"p{number}", "study": f"s{number}", "split": split}
    return image_row(**keys | changes)


ROWS = [row(1), row(2), row(3, "validation"), row(4, "test")]


def found(dataset: Dataset) -> list[tuple[str, str]]:
    """Where and rule of every finding."""
    return [(finding.where, finding.rule) for finding in find(dataset)]


# Data sets that the build made.


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of kits23: quarantine, masks, and a record of annotations only."""
    out = tmp_path_factory.mktemp("validate") / "set"
    build_example(catalogue.find_source("kits23"), out)
    return out


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Dataset:
    shutil.copytree(built, tmp_path / "set")
    return open_dataset(tmp_path / "set")


def test_a_built_set_is_sound(dataset: Dataset) -> None:
    assert list(find(dataset)) == []


def test_metadata_alone(dataset: Dataset, tmp_path: Path) -> None:
    """Sound without a shard being there; a value at fault is told with who has it."""
    for shard in dataset.paths:
        shard.unlink()
    assert list(find_in_metadata(dataset)) == []
    wrong = write(tmp_path / "wrong", [*ROWS, row(5, age=200), row(6, age=200), row(1, "test")])
    found = {(one.rule, one.where): one.what for one in find_in_metadata(wrong)}
    aged = ("between 0 and 90", "meta/films.parquet, record r5, column age")
    assert found.pop(aged) == "is 200, as of 1 more records"
    assert {rule for rule, _ in found} == {
        "ids are unique",
        "a patient is in one split",
        "a study is in one split",
    }


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_tampered_shard(dataset: Dataset, damage: Callable[[Path], None]) -> None:
    damage(dataset.paths[0])
    shard = dataset.manifest.shards[0].path
    assert found(dataset) == [(shard, "shards are as built")]


def test_a_missing_shard(dataset: Dataset) -> None:
    dataset.paths[0].unlink()
    assert found(dataset) == [(dataset.manifest.shards[0].path, "every shard is there")]


@pytest.mark.parametrize("name", ["data/kits23/train-00009.parquet", "data/notes.txt", "data/x/y"])
def test_a_stray_file(dataset: Dataset, name: str) -> None:
    (dataset.root / name).parent.mkdir(exist_ok=True)
    (dataset.root / name).write_text("")
    assert found(dataset) == [(name, "no stray files under data/")]


def test_a_lost_quarantine_table(dataset: Dataset) -> None:
    path = dataset.layout.quarantine("kits23")
    for change in (lambda: path.write_bytes(b"PAR1"), path.unlink):
        change()
        assert found(dataset) == [("quarantine/kits23.parquet", "every failure has a row")]


def test_a_quarantine_table_of_fewer_rows(dataset: Dataset) -> None:
    path = dataset.layout.quarantine("kits23")
    pq.write_table(pq.read_table(path).slice(1), path)
    assert found(dataset) == [("quarantine/kits23.parquet", "every failure has a row")]


def test_a_lost_or_altered_card(dataset: Dataset) -> None:
    path = dataset.layout.card("kits23")
    path.write_text(path.read_text().replace("tumor", "cyst", 1))
    assert found(dataset) == [("cards/kits23.json", "cards are as built")]
    path.write_text("{")
    assert found(dataset) == [("cards/kits23.json", "every source has its card")]
    path.unlink()
    assert found(dataset) == [("cards/kits23.json", "every source has its card")]


def test_findings_go_on_after_the_first(dataset: Dataset) -> None:
    flip(dataset.paths[0])
    (dataset.root / "data" / "stray").write_text("")
    dataset.layout.quarantine("kits23").unlink()
    assert len(found(dataset)) == 3


# Data sets written by hand.


def test_a_written_set_is_sound(tmp_path: Path) -> None:
    assert list(find(write(tmp_path / "set", ROWS))) == []


@pytest.mark.parametrize(
    ("rows", "finding"),
    [
        (
            [*ROWS, row(5, "test", patient="p1")],
            Finding("data/", "a patient is in one split", "p1 is in test and train"),
        ),
        (
            [*ROWS, row(5, "validation", study="s4")],
            Finding("data/", "a study is in one split", "s4 is in test and validation"),
        ),
        ([*ROWS, row(1)], Finding("data/", "ids are unique", "r1 occurs 2 times")),
    ],
    ids=["patient", "study", "id"],
)
def test_invariants_over_all_records(tmp_path: Path, rows: list, finding: Finding) -> None:
    assert list(find(write(tmp_path / "set", rows))) == [finding]


def test_a_patient_in_all_three_splits_is_one_finding(tmp_path: Path) -> None:
    rows = [row(n, split, patient="p") for n, split in enumerate(("train", "validation", "test"))]
    (finding,) = find(write(tmp_path / "set", rows))
    assert finding.what == "p is in test and train and validation"


def test_records_without_a_patient_are_not_one_patient(tmp_path: Path) -> None:
    rows = [row(n, split, patient=None) for n, split in enumerate(("train", "test"))]
    assert list(find(write(tmp_path / "set", rows))) == []


@pytest.mark.parametrize(
    ("changes", "column", "rule"),
    [
        ({"age": 91}, "age", "between 0 and 90"),
        ({"answer": "Mass"}, "answer", "the answer is an option or a join of options"),
        ({"regions": [region(x_max=7.0)]}, "regions[0]", "a box lies inside its image"),
        ({"domain": "dental"}, "domain", "one of the vocabulary"),
        ({"question": None}, "question", "not null"),
    ],
)
def test_records_that_break_a_rule(
    tmp_path: Path, changes: dict[str, Any], column: str, rule: str
) -> None:
    dataset = write(tmp_path / "set", [*ROWS, row(5, **changes)])
    where = f"data/films/train-00000.parquet, record r5, column {column}"
    assert found(dataset) == [(where, rule)]


@pytest.mark.parametrize(
    ("changes", "where", "rules"),
    [
        ({"units": 5}, "manifest.json, films", ["counts reconcile"]),
        ({"converted": 3}, "manifest.json, films", ["counts reconcile"]),
        ({"records": 3}, "manifest.json, films", ["records are counted"]),
        (
            {"by_split": {"train": 3, "test": 1}},
            "manifest.json, films",
            ["splits are counted"],
        ),
        ({"annotation_only": 1}, "manifest.json, films", ["annotation-only records are counted"]),
        (
            {"units": 6, "quarantined": 1, "filtered": 1},
            "quarantine/films.parquet",
            ["every failure has a row"],
        ),
    ],
)
def test_wrong_counts(
    tmp_path: Path, changes: dict[str, Any], where: str, rules: list[str]
) -> None:
    assert found(write(tmp_path / "set", ROWS, **changes)) == [(where, rule) for rule in rules]


def test_a_split_without_rows_may_be_counted_as_none(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [row(1)], by_split={"train": 1, "test": 0})
    assert list(find(dataset)) == []


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> Dataset:
    """A written set with another manifest."""
    write(tmp_path / "set", ROWS)
    manifest = load(tmp_path / "set")
    change(manifest)
    save(tmp_path / "set", manifest)
    return open_dataset(tmp_path / "set")


def test_a_wrong_row_count_of_a_shard(tmp_path: Path) -> None:
    dataset = changed(tmp_path, lambda manifest: manifest["shards"][0].update(rows=2))
    rules = [rule for _, rule in found(dataset)]
    assert rules == [
        "row counts agree",
        "records are counted",
        "splits are counted",
        # Of the metadata, which have as many rows as the shard.
        "row counts agree",
    ]


def test_a_wrong_digest_of_the_set(tmp_path: Path) -> None:
    dataset = changed(tmp_path, lambda manifest: manifest.update(digest="1" * 64))
    assert found(dataset) == [("manifest.json", "the digest is over the shards")]


def test_a_shard_under_another_split_or_source(tmp_path: Path) -> None:
    dataset = changed(tmp_path, lambda manifest: manifest["shards"][0].update(split="train"))
    assert dataset.manifest.shards[0].path == "data/films/test-00000.parquet"
    assert found(dataset) == [
        ("data/films/test-00000.parquet, record r4", "one split"),
        ("manifest.json, films", "splits are counted"),
    ]
    with pytest.raises(DatasetError, match="does not lie in data/others"):
        changed(tmp_path / "b", lambda manifest: manifest["shards"][0].update(source="others"))


def test_a_shard_of_a_source_that_is_not_listed(tmp_path: Path) -> None:
    def leave_out(manifest: dict[str, Any]) -> None:
        manifest["sources"]["others"] = manifest["sources"].pop("films")

    dataset = changed(tmp_path, leave_out)
    assert ("data/films/test-00000.parquet", "every shard has its source") in found(dataset)


def rewritten(tmp_path: Path, change: Callable[[Path], Any]) -> Dataset:
    """A set whose first shard was replaced, digests and all."""
    dataset = write(tmp_path / "set", ROWS)
    change(dataset.paths[0])
    return reseal(tmp_path / "set")


def test_another_schema(tmp_path: Path) -> None:
    def widen(path: Path) -> None:
        pq.write_table(pq.read_table(path).append_column("score", pa.array([1.0])), path)

    def undress(path: Path) -> None:
        pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)

    def large(path: Path) -> None:
        given = pq.read_table(path)
        pq.write_table(given.set_column(0, "id", given["id"].cast(pa.large_string())), path)

    for number, change in enumerate((widen, undress, large)):
        dataset = rewritten(tmp_path / str(number), change)
        where = dataset.manifest.shards[0].path
        assert found(dataset) == [(where, "shards have the record schema")]


def test_a_shard_that_is_no_parquet_but_has_its_digest(tmp_path: Path) -> None:
    dataset = rewritten(tmp_path, lambda path: path.write_bytes(b"junk"))
    assert found(dataset) == [(dataset.manifest.shards[0].path, "every shard can be read")]


def test_damaged_pages_that_have_their_digest(tmp_path: Path) -> None:
    def corrupt(path: Path) -> None:
        """Overwrite the first column's page; the footer stays sound."""
        pq.write_table(table(row(4, "test")), path, compression="zstd")
        column = pq.read_metadata(path).row_group(0).column(0)
        data = bytearray(path.read_bytes())
        start = column.dictionary_page_offset or column.data_page_offset
        data[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
        path.write_bytes(data)

    dataset = rewritten(tmp_path, corrupt)
    assert found(dataset) == [(dataset.manifest.shards[0].path, "every shard can be read")]


def test_an_empty_set(tmp_path: Path) -> None:
    """A set without a record must not pass for a sound one."""
    with pytest.warns(FailedSourceWarning, match="films failed as a whole"):
        dataset = write(tmp_path / "set", [])
    assert [finding.rule for finding in find(dataset)] == ["every source gave records"]
