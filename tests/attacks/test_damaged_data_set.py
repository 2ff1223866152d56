"""Shards and tables that are damaged, swollen or of another kind: told, and never answered from."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.atomic import file_digest
from qoqdata.curation.burned_in.receipt import read_findings
from qoqdata.curation.decisions import _known_findings, decide
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, QoqdataError
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest
from qoqdata.publication.staging import stage
from qoqdata.remote import integrity
from qoqdata.statistics.rollouts import read_rewards
from qoqdata.validation import find
from qoqtrain.evaluate.predictions import read_predictions
from tests.attacks.hostile_sets import change, rebuilt


def garbage(path: Path) -> None:
    path.write_bytes(b"PAR1" + bytes(200) + b"PAR1")


def other_schema(path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), path)


def fewer_columns(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["reasoning"]), path)


def flipped_media(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # Images lie at the front of a shard, in pages of their own.
    content[content.index(b"\xff\xd8\xff") + 400] ^= 4
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


DAMAGES = (garbage, other_schema, fewer_columns, flipped_media, cut)


@pytest.mark.parametrize("known", [False, True], ids=["damaged", "with the digest of the damage"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_told_by_whoever_answers_from_it(
    whole: Path, tmp_path: Path, damage: Callable[[Path], None], known: bool
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    path = root / "data" / "ham10000" / "train-00000.parquet"
    damage(path)
    if known:
        if damage is flipped_media:
            pytest.skip("bytes that their digest confirms are what the publisher wrote")
        write_digest(root, path)
    dataset = open_dataset(root)
    where = r"data/ham10000/train-00000.parquet.*Fix: "
    answers: dict[str, Callable[[], object]] = {
        "records": lambda: dataset.records.collect(),
        "number": lambda: list(dataset),
        "export": lambda: qoqdata.export(root, to="climb", out=tmp_path / "climb"),
        "stream": lambda: list(dataset.stream("train", epochs=1)),
    }
    for name, answer in answers.items():
        with pytest.raises(DatasetError, match=where):
            answer()
            pytest.fail(name)
    assert "data/ham10000/train-00000.parquet" in {found.where for found in find(dataset)}


def write_digest(root: Path, path: Path) -> None:
    """Make the manifest confirm what lies at `path`, as who made the damage would."""
    name = path.relative_to(root).as_posix()

    def confirm(own: dict[str, Any]) -> None:
        (file,) = [one for one in [*own["shards"], *own["meta"].values()] if one["path"] == name]
        file |= {"bytes": path.stat().st_size, "sha256": file_digest(path)}

    change(root / "manifest.json", confirm)
    manifest = open_dataset(root).manifest
    digest = shards_digest(manifest.shards)
    change(root / "manifest.json", lambda own: own.update(digest=digest))


def test_a_row_group_larger_than_memory_is_not_read(
    whole: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    monkeypatch.setattr(integrity, "LARGEST_ROW_GROUP", 1000)
    with pytest.raises(DatasetError, match=r"takes [0-9,]+ bytes of memory"):
        open_dataset(root).records.collect()


def swell(path: Path, column: str, megabytes: int) -> None:
    """A text stands once in the file, and each of a thousand rows names it."""
    # With Arrow's schema in the footer a reader would keep the dictionary.
    table = pq.read_table(path)
    places = pa.array([0] * 1000, pa.int32())
    table = table.take(places)
    text = pa.DictionaryArray.from_arrays(places, ["x" * megabytes * 2**20])
    table = table.set_column(table.schema.get_field_index(column), column, text)
    settings = {"dictionary_pagesize_limit": 2**30, "compression": "zstd"}
    with pq.ParquetWriter(path, table.schema, store_schema=False, **settings) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(table.schema.metadata or {})
    assert path.stat().st_size < 2**20


def test_a_text_that_is_named_a_thousand_times(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    path = root / "data" / "ham10000" / "train-00000.parquet"
    swell(path, "context", 9)

    def believe(own: dict[str, Any]) -> None:
        own["shards"][0] |= {"rows": 1000, "row_groups": [1000]}

    write_digest(root, path)
    change(root / "manifest.json", believe)
    assert pq.read_schema(path) == pq.read_schema(whole / "data/ham10000/train-00000.parquet")
    dataset = open_dataset(root)
    before = pa.total_allocated_bytes()
    with pytest.raises(DatasetError, match=r"train-00000.parquet.*takes 9,4\d+,.* of memory"):
        dataset.records.collect()
    assert any("of memory" in one.what for one in find(dataset) if one.where.endswith("0.parquet"))
    assert pa.total_allocated_bytes() - before < 2**26


#: Tables that readers take from anyone: one row of each, and how it is read.
TABLES: dict[str, tuple[dict[str, Any], Callable[[Path], object]]] = {
    "curation/verdicts.parquet": (
        {"id": "a", "keep": True, "rule": "b", "reason": "c", "evidence": "d"},
        lambda path: len(open_dataset(path.parents[1])),
    ),
    "curation/phi.parquet": (
        {"id": "a", "column": "b", "member": 0, "rule": "c", "start": 1, "length": 2, "reason": ""},
        lambda path: _known_findings(Layout(path.parents[1])),
    ),
    "rollouts.parquet": ({"id": "a", "reward": 0.5, "reason": "c"}, read_rewards),
    "parts/one.parquet": (
        {"id": "a", "reward": 0.5, "reason": "c"},
        lambda path: read_rewards(path.parent),
    ),
    "predictions.parquet": ({"id": "a", "response": "b", "reason": "c"}, read_predictions),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_whose_text_is_named_a_thousand_times(
    whole: Path, tmp_path: Path, name: str
) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    row, read = TABLES[name]
    path = root / name
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row]), path)
    swell(path, "reason", 17)
    with pytest.raises(QoqdataError, match=r"17,\d+,\d+,\d+ bytes of memory"):
        read(path)


def test_metadata_whose_text_is_named_a_thousand_times(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    swell(root / "meta" / "ham10000.parquet", "context", 17)
    with pytest.raises(DatasetError, match=r"17,\d+,\d+,\d+ bytes of memory"):
        open_dataset(root).metadata()


def test_a_recipe_whose_text_is_named_a_thousand_times(release: Path, tmp_path: Path) -> None:
    swell(release / "recipes" / "lc25000.parquet", "question", 17)
    with pytest.raises(DatasetError, match="is not a whole recipe") as raised:
        rebuilt(release, tmp_path / "out")
    assert "bytes of memory" in str(raised.value.__cause__)


@pytest.mark.parametrize("column", ["question", "split", "redistribution"])
def test_records_without_what_every_record_has(whole: Path, tmp_path: Path, column: str) -> None:
    """Columns of Arrow may hold nulls, those of the contract may not."""
    root = Path(shutil.copytree(whole, tmp_path / "set"))

    def empty(path: Path) -> None:
        table = pq.read_table(path)
        nulls = pa.nulls(table.num_rows, pa.string())
        pq.write_table(table.set_column(table.schema.get_field_index(column), column, nulls), path)

    shard = root / "data" / "ham10000" / "train-00000.parquet"
    empty(shard)
    write_digest(root, shard)
    empty(root / "meta" / "ham10000.parquet")
    write_digest(root, root / "meta" / "ham10000.parquet")
    dataset = open_dataset(root)
    with pytest.raises(DatasetError, match=rf"meta/ham10000.*: 24 records have no {column}\. Fix"):
        dataset.metadata() if column == "split" else dataset.records.select(column).collect()
    with pytest.raises(DatasetError, match=rf"train-00000.*: \d+ records have no {column}\. Fix"):
        dataset.records.select("images", column).collect()


def test_verdicts_that_decide_nothing(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    path = root / "curation" / "verdicts.parquet"
    path.parent.mkdir(exist_ok=True)
    row = {"id": "a", "keep": None, "rule": "b", "reason": "c", "evidence": None}
    types = {"id": pa.string(), "keep": pa.bool_(), "rule": pa.string(), "reason": pa.string()}
    schema = pa.schema(types | {"evidence": pa.string()})
    pq.write_table(pa.Table.from_pylist([row], schema), path)
    with pytest.raises(DatasetError, match=r"1 verdicts have no id, rule or decision\. Fix"):
        len(open_dataset(root))


#: Tables that a pass of curation left, and who reads them.
FINDINGS: dict[str, Callable[[Dataset], object]] = {
    "leakage": lambda dataset: stage(dataset, dataset.root.parent / "release"),
    "phi": lambda dataset: decide(dataset, dataset.metadata()["id"][0], keep=True, why="seen"),
    "burned_in": read_findings,
}


@pytest.mark.parametrize("name", FINDINGS)
def test_findings_of_another_kind(whole: Path, tmp_path: Path, name: str) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    path = root / "curation" / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    columns = ("id", "source", "outcome", "column", "member", "rule", "start", "length", "image")
    for damage in (garbage, other_schema):
        damage(path)
        with pytest.raises(DatasetError, match=rf"{name}\.parquet: cannot be read.*Fix: run"):
            FINDINGS[name](open_dataset(root))
    pq.write_table(pa.table({column: [[{"a": "b"}]] for column in columns}), path)
    with pytest.raises(DatasetError, match=rf"{name}\.parquet: cannot be read.*Fix: run"):
        FINDINGS[name](open_dataset(root))


@pytest.mark.parametrize("name", ["stats/domains.parquet", "curation/verdicts.parquet"])
def test_side_tables_of_another_kind(whole: Path, tmp_path: Path, name: str) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    qoqdata.stats(root)
    qoqdata.curate(root)
    for damage in (garbage, other_schema, cut):
        damage(root / name)

        def answer(dataset: Dataset) -> object:
            return dataset.stats if name.startswith("stats") else len(dataset)

        with pytest.raises(QoqdataError, match=f"{Path(name).stem}.*Fix: "):
            answer(open_dataset(root))
