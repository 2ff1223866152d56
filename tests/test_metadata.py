"""Metadata say what the shards say, and passes over all records read nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata import metadata
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, FailedSourceWarning
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication.staging import stage
from qoqdata.reasoning import write_traced_set
from qoqdata.suite.examples import SALT
from qoqdata.validation import find
from tests.publication.conftest import raw_of
from tests.records.sound_rows import image_row
from tests.statistics.written import write_stats
from tests.stream import sets
from tests.stream.sets import Part
from tests.validation.written_set import load, reseal, save, sha256, write

SLUGS = ("ham10000", "ptb_xl", "lc25000")


def built(out: Path, *slugs: str, **setting: Any) -> Dataset:
    requests = tuple(SourceRequest(source=slug, raw=raw_of(slug)) for slug in slugs)
    config = BuildConfig(name="set", sources=requests, shard_units=4)
    build(config, out, BuildSetting(SALT, workers=0, **setting))
    return qoqdata.open(out)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return built(tmp_path_factory.mktemp("metadata") / "set", *SLUGS)


@pytest.fixture
def dataset(whole: Dataset, tmp_path: Path) -> Dataset:
    shutil.copytree(whole.root, tmp_path / "set")
    return qoqdata.open(tmp_path / "set")


def rows_of(dataset: Dataset, source: str) -> list[dict[str, Any]]:
    """Records from the shards, without what metadata leave out."""
    shards = [shard for shard in dataset.manifest.shards if shard.source == source]
    rows = [row for s in shards for row in pq.read_table(dataset.root / s.path).to_pylist()]
    for row in rows:
        del row["images"], row["masks"]
        if row["ecg"] is not None:
            del row["ecg"]["signal"], row["ecg"]["valid"]
    return rows


def files(dataset: Dataset) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (dataset.root / "meta").iterdir()}


@pytest.mark.parametrize("source", SLUGS)
def test_metadata_hold_every_column_but_media(whole: Dataset, source: str) -> None:
    path = whole.layout.metadata(source)
    rows = pq.read_table(path).to_pylist()
    assert rows == rows_of(whole, source) and len(rows) >= 4
    entry = whole.manifest.meta[source]
    assert (entry.rows, entry.bytes) == (len(rows), path.stat().st_size)
    assert (entry.path, entry.sha256) == (f"meta/{source}.parquet", sha256(path))


def test_a_resumed_build_writes_the_same_metadata(dataset: Dataset) -> None:
    before = files(dataset)
    dataset.layout.metadata("lc25000").write_bytes(b"damaged")
    dataset.layout.metadata("ptb_xl").unlink()
    again = built(dataset.root, *SLUGS)
    assert files(again) == before and again.manifest == dataset.manifest
    assert files(built(dataset.root, *SLUGS, resume=False)) == before


def test_a_source_without_records_has_none(dataset: Dataset, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(raw_of("lc25000"), raw)
    for path in raw.rglob("*.jpeg"):
        path.write_bytes(b"no image")
    requests = (SourceRequest(source="lc25000", raw=raw),)
    manifest = build(BuildConfig(sources=requests), dataset.root, BuildSetting(SALT, workers=0))
    assert sorted(manifest.meta) == ["ham10000", "ptb_xl"]
    assert not dataset.layout.metadata("lc25000").exists()
    with pytest.warns(FailedSourceWarning, match="none of its 10 units gave a record"):
        built = qoqdata.open(dataset.root)
    assert {f.rule for f in find(built)} == {"every source gave records"}


def test_row_groups_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "ROW_GROUP", 25)
    dataset = sets.write(tmp_path / "set", [Part("films", "ct", (10, 10, 10, 70, 10))])
    footer = pq.read_metadata(dataset.layout.metadata("films"))
    rows = [footer.row_group(n).num_rows for n in range(footer.num_row_groups)]
    # Shards are joined until there are enough rows, and what is larger is cut.
    assert rows == [25, 5, 25, 25, 20, 10]
    monkeypatch.setattr(metadata, "ROW_GROUP_BYTES", 1)
    dataset = sets.write(tmp_path / "other", [Part("films", "ct", (10, 10))])
    assert pq.read_metadata(dataset.layout.metadata("films")).num_row_groups == 2


def test_passes_over_all_records_read_no_shard(dataset: Dataset) -> None:
    wanted = rows_of(dataset, "ham10000")
    places = dataset.files.leaves(["id"])
    shutil.rmtree(dataset.root / "data")
    again = qoqdata.open(dataset.root)
    assert again.metadata().height == len(again) == places.num_rows
    answers = again.records.filter(pl.col("source") == "ham10000").select("id", "answer").collect()
    assert answers.rows() == [(row["id"], row["answer"]) for row in wanted]
    assert again.records.select(pl.len()).collect().item() == places.num_rows
    again.refuse_unknown(answers["id"], of="record")
    write_stats(again)
    with pytest.raises(DatasetError, match=r"data/ham10000/\S+.parquet: cannot be read"):
        again.records.select("id", "images").collect()


def test_media_come_from_the_shards(whole: Dataset) -> None:
    for query in (
        lambda records: records.select("id", "images"),
        lambda records: records.filter(pl.col("ecg").is_not_null()).select("id"),
        lambda records: records.select(pl.col("ecg").struct.field("fs")),
        lambda records: records.filter(pl.col("split") == "train").head(3),
        lambda records: records.slice(3, 9).select("masks", "answer"),
        lambda records: records,
    ):
        paths = [whole.root / shard.path for shard in whole.manifest.shards]
        plain = pl.scan_parquet(paths, hive_partitioning=False, glob=False)
        assert query(whole.records).collect().equals(query(plain).collect())


def test_places_are_in_manifest_order_where_sources_take_turns(tmp_path: Path) -> None:
    parts = [Part("films", "ct", (7, 4)), Part("scans", "ct", (6,))]
    dataset = sets.write(tmp_path / "set", parts, row_group=5)
    manifest = load(dataset.root)
    first, second, third = manifest["shards"]
    save(dataset.root, manifest | {"shards": [first, third, second]})
    again = qoqdata.open(dataset.root)
    table = again.files.leaves(["id"]).to_pydict()
    ids = [f"films/train/0/{n}" for n in range(7)] + [f"scans/train/0/{n}" for n in range(6)]
    assert table["id"] == [*ids, *(f"films/train/1/{n}" for n in range(4))]
    assert table["shard"] == [0] * 7 + [1] * 6 + [2] * 4
    assert table["row_group"] == [0] * 5 + [1] * 2 + [0] * 5 + [1] + [0] * 4
    assert [row["id"] for row in again] == table["id"]
    assert again.records.select("id").collect()["id"].to_list() == table["id"]


# What is not right is told.


def sealed(dataset: Dataset, source: str, change: Callable[[pa.Table], pa.Table]) -> Dataset:
    """The set with other metadata, digest and all."""
    path = dataset.layout.metadata(source)
    pq.write_table(change(pq.read_table(path)), path)
    manifest = load(dataset.root)
    manifest["meta"][source] |= {"bytes": path.stat().st_size, "sha256": sha256(path)}
    save(dataset.root, manifest)
    return qoqdata.open(dataset.root)


def altered(table: pa.Table) -> pa.Table:
    number = table.schema.get_field_index("answer")
    values = [*table["answer"].to_pylist()]
    values[5] = "Something else"
    return table.set_column(number, table.schema.field(number), pa.array(values))


def test_an_altered_row_is_a_finding(dataset: Dataset) -> None:
    ids = pq.read_table(dataset.layout.metadata("lc25000"))["id"].to_pylist()
    (finding,) = find(sealed(dataset, "lc25000", altered))
    assert finding.where == f"meta/lc25000.parquet, record {ids[5]}"
    assert finding.rule == "metadata are those of the shards"
    assert finding.what.startswith("answer differ from data/lc25000/")


def test_rows_in_another_order_are_a_finding(dataset: Dataset) -> None:
    def turned(table: pa.Table) -> pa.Table:
        return table.take(pc.sort_indices(table["id"], [("", "descending")]))

    assert {f.rule for f in find(sealed(dataset, "lc25000", turned))} == {
        "metadata are those of the shards"
    }


@pytest.mark.parametrize("stated", [True, False])
def test_a_missing_row_is_a_finding(dataset: Dataset, stated: bool) -> None:
    short = sealed(dataset, "lc25000", lambda table: table.slice(1))
    if stated:
        manifest = load(short.root)
        manifest["meta"]["lc25000"]["rows"] -= 1
        save(short.root, manifest)
        short = qoqdata.open(short.root)
    found = [(f.where, f.rule) for f in find(short)]
    assert found == [("meta/lc25000.parquet", "row counts agree")]
    with pytest.raises(DatasetError, match=r"29 rows.*30.*Fix: run the same `qoqdata build`"):
        short.metadata()


def test_damage_without_a_digest_to_it(dataset: Dataset) -> None:
    path = dataset.layout.metadata("lc25000")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"2")
    assert [(f.where, f.rule) for f in find(dataset)] == [
        ("meta/lc25000.parquet", "metadata are as built")
    ]
    path.unlink()
    assert [(f.where, f.rule) for f in find(dataset)] == [
        ("meta/lc25000.parquet", "every source has its metadata")
    ]
    with pytest.raises(DatasetError, match=r"meta/lc25000.parquet: cannot be read"):
        dataset.metadata()
    manifest = load(dataset.root)
    del manifest["meta"]["lc25000"]
    save(dataset.root, manifest)
    unnamed = qoqdata.open(dataset.root)
    assert "every source has its metadata" in {f.rule for f in find(unnamed)}
    with pytest.raises(DatasetError, match="names no metadata of lc25000"):
        unnamed.metadata()


def test_another_schema_and_a_stray_file(dataset: Dataset) -> None:
    (dataset.root / "meta" / "old.parquet").write_bytes(b"")
    bare = sealed(dataset, "lc25000", lambda table: table.drop_columns("age"))
    assert [(f.where, f.rule) for f in find(bare)] == [
        ("meta/old.parquet", "no stray files under meta/"),
        ("meta/lc25000.parquet", "metadata have their schema"),
    ]


def test_row_groups_that_the_manifest_tells_otherwise(tmp_path: Path) -> None:
    dataset = write(tmp_path / "set", [image_row(id=f"r{n}") for n in range(4)])
    pq.write_table(pq.read_table(dataset.paths[0]), dataset.paths[0], row_group_size=2)
    assert list(find(reseal(dataset.root))) == []
    manifest = load(dataset.root)
    assert manifest["shards"][0]["row_groups"] == [2, 2]
    manifest["shards"][0]["row_groups"] = [3, 1]
    save(dataset.root, manifest)
    assert [f.rule for f in find(qoqdata.open(dataset.root))] == ["row groups are counted"]
    manifest["shards"][0]["row_groups"] = [3, 2]
    save(dataset.root, manifest)
    with pytest.raises(DatasetError, match="has 4 rows, and 5 in its row groups"):
        len(qoqdata.open(dataset.root))


# Who writes shards writes metadata.


def test_what_stays_behind_leaves_no_metadata(dataset: Dataset, tmp_path: Path) -> None:
    """Of lc25000 a recipe leaves, and no text of its records but what the recipe shows."""
    staged = stage(dataset, tmp_path / "release")
    assert sorted(files(staged)) == ["ham10000.parquet", "ptb_xl.parquet"]
    assert sorted(staged.manifest.meta) == ["ham10000", "ptb_xl"]
    assert files(staged).items() <= files(dataset).items()


def test_traces_are_in_the_metadata(dataset: Dataset, tmp_path: Path) -> None:
    id_ = dataset[0]["id"]
    traces = pl.DataFrame({"id": [id_], "reasoning": ["because"], "policy": ["p"]})
    write_traced_set(dataset, traces, tmp_path / "new", policy=None)
    new = qoqdata.open(tmp_path / "new")
    assert list(find(new)) == []
    told = new.records.drop_nulls("reasoning").select("id", "reasoning").collect()
    assert told.rows() == [(id_, "because")]
