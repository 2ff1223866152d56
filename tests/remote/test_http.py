"""A data set over HTTP: the same as its folder, whatever the server does on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

import qoqdata
from qoqdata import json_document
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.remote import side_files
from qoqdata.statistics import difficulty
from tests.remote.servers import ENDLESS, Site
from tests.statistics.written import write_stats
from tests.validation.written_set import load, reseal, save

SHARD = "set/data/films/train-00000.parquet"
METADATA = "set/meta/films.parquet"
VERDICTS = "set/curation/verdicts.parquet"


def opened(site: Site) -> Dataset:
    return qoqdata.open(f"{site.url}/set")


def shards(cache: Path) -> list[Path]:
    return sorted((cache / "shards").glob("*/*"))


def drafts(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*.tmp") if path.is_file()]


@pytest.mark.parametrize("ranges", [True, False])
def test_the_same_as_its_folder(site: Site, local: Dataset, ranges: bool) -> None:
    site.ranges = ranges
    remote = opened(site)
    assert remote.where == f"{site.url}/set" and remote.manifest == local.manifest
    assert_frame_equal(remote.metadata(), local.metadata())
    assert_frame_equal(remote.kept(), local.kept())
    assert remote.kept().height == 11
    assert remote.cards == local.cards
    assert remote.stats.digest == local.stats.digest
    assert remote.records.collect_schema() == local.records.collect_schema()
    assert_frame_equal(remote.records.collect(), local.records.collect())
    assert [path.read_bytes() for path in remote.paths] == [
        path.read_bytes() for path in local.paths
    ]


QUERIES: list[Callable[[pl.LazyFrame], pl.LazyFrame]] = [
    lambda records: records.select("id", "answer"),
    lambda records: records.filter(pl.col("split") == "test").select("id"),
    lambda records: records.filter(pl.col("split") == "test").head(2),
    lambda records: records.head(4).filter(pl.col("id") != "r9"),
    lambda records: records.group_by("split").agg(pl.len()).sort("split"),
    lambda records: records.select(pl.len()),
    lambda records: records.slice(5, 4).select("id"),
    lambda records: records.join(records.select("id"), on="id").select("id").sort("id"),
]


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_queries(site: Site, local: Dataset, number: int) -> None:
    ask = QUERIES[number]
    assert_frame_equal(ask(opened(site).records).collect(), ask(local.records).collect())


def test_metadata_is_one_file_a_source(site: Site, local: Dataset) -> None:
    remote = opened(site)
    remote.metadata()
    before = site.gets.total()
    assert site.gets[METADATA] == 1 and before == 2  # the other is the manifest
    assert site.sent[METADATA] == local.manifest.meta["films"].bytes
    assert_frame_equal(opened(site).metadata(), local.metadata())
    light = opened(site).records.filter(pl.col("split") == "test").select("id", "question")
    assert_frame_equal(
        light.collect(), local.records.filter(split="test").select("id", "question").collect()
    )
    assert site.gets.total() == before + 3  # the manifests, and the verdicts for the records


def test_leaves_say_where_rows_are(site: Site, local: Dataset) -> None:
    for shard in local.manifest.shards:
        path = local.root / shard.path
        pq.write_table(pq.read_table(path), path, row_group_size=2)
    sealed = reseal(local.root)
    table = opened(site).files.leaves(["id"])
    assert table == sealed.files.leaves(["id"])
    first = [shard.rows for shard in sealed.manifest.shards]
    assert table["shard"].to_pylist() == [n for n, rows in enumerate(first) for _ in range(rows)]
    groups = [row // 2 for rows in first for row in range(rows)]
    assert table["row_group"].to_pylist() == groups


def test_nothing_is_fetched_before_it_is_asked_for(site: Site, cache: Path) -> None:
    remote = opened(site)
    assert set(site.gets) == {"set/manifest.json"}
    _ = remote.records
    assert shards(cache) == []
    remote.files.local(remote.manifest.shards[0])
    assert len(shards(cache)) == 1


def test_a_shard_is_fetched_once(site: Site) -> None:
    for _ in range(2):
        remote = opened(site)
        for shard in remote.manifest.shards:
            assert remote.files.local(shard.path) == remote.files.local(shard)
    assert {site.gets[f"set/{shard.path}"] for shard in remote.manifest.shards} == {1}


def test_data_sets_share_shards(site: Site, local: Dataset) -> None:
    shutil.copytree(local.root, local.root.parent / "again")
    _ = opened(site).paths
    _ = qoqdata.open(f"{site.url}/again").paths
    assert site.gets[SHARD] == 1 and site.gets[SHARD.replace("set", "again", 1)] == 0


@pytest.mark.parametrize(
    "faults",
    [
        ["500"],
        ["503", "502", "500", "429"],
        ["cut"],
        ["short"],
        ["reset"],
        ["wrong"],
        ["cut", "500"],
    ],
)
def test_passing_faults_of_a_shard(
    site: Site, local: Dataset, cache: Path, faults: list[str]
) -> None:
    site.faults[SHARD] = list(faults)
    remote = opened(site)
    path = remote.files.local(SHARD.removeprefix("set/"))
    assert path.read_bytes() == (site.folder / SHARD).read_bytes()
    assert site.gets[SHARD] == len(faults) + 1
    assert drafts(cache) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("wrong", r"train-00000.parquet: differs from its digest in the manifest\. Fix: open"),
        ("cut", r"train-00000.parquet: cannot be reached"),
        (
            "short",
            r"train-00000.parquet: cannot be reached: ConnectionError: \d+ of \d+ bytes came",
        ),
        ("500", r"train-00000.parquet: cannot be reached: ClientResponseError: 500"),
        ("404", r"train-00000.parquet: is in the manifest and not in the store"),
        ("410", r"train-00000.parquet: cannot be read|is in the manifest and not in the store"),
    ],
)
def test_lasting_faults_of_a_shard(site: Site, cache: Path, fault: str, said: str) -> None:
    site.forever[SHARD] = fault
    remote = opened(site)
    with pytest.raises(DatasetError, match=said) as raised:
        remote.files.local(SHARD.removeprefix("set/"))
    assert "\n" not in str(raised.value)
    assert shards(cache) == [] and drafts(cache) == []
    with pytest.raises(DatasetError, match="train-00000"):
        remote.records.select("id", "images").collect()


@pytest.mark.parametrize("name", ["set/manifest.json", SHARD, VERDICTS])
def test_a_body_without_an_end_is_cut(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A store sends no more than the manifest, its own listing or any of our documents has."""
    monkeypatch.setattr(json_document, "LARGEST", 2**20)
    monkeypatch.setattr(side_files, "LARGEST_TABLE", 2**20)
    site.forever[name] = "endless"
    with pytest.raises(DatasetError, match=rf"{name}: the store sent more than [0-9,]+ bytes"):
        remote = opened(site)
        len(remote) if name == VERDICTS else remote.files.local(SHARD.removeprefix("set/"))
    assert site.gets[name] < 4 and site.sent[name] < site.gets[name] * ENDLESS / 2
    assert shards(cache) == [] and drafts(cache) == []


def test_a_wrong_shard_is_not_fetched_over_and_over(site: Site) -> None:
    site.forever[SHARD] = "wrong"
    with pytest.raises(DatasetError):
        opened(site).files.local(SHARD.removeprefix("set/"))
    assert site.gets[SHARD] == 2


def test_a_shard_that_changed_after_the_open(site: Site, local: Dataset) -> None:
    remote = opened(site)
    path = site.folder / SHARD
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DatasetError, match="differs from its digest"):
        remote.files.local(SHARD.removeprefix("set/"))
    path = site.folder / METADATA
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DatasetError, match=r"films.parquet: differs from its digest"):
        remote.metadata()


@pytest.mark.parametrize("fault", ["500", "cut", "wrong", "reset"])
def test_passing_faults_while_metadata_is_read(site: Site, local: Dataset, fault: str) -> None:
    site.faults[METADATA] = [fault]
    assert_frame_equal(opened(site).metadata(), local.metadata())


@pytest.mark.parametrize("fault", ["500", "503", "cut", "reset"])
def test_verdicts_out_of_reach_are_not_taken_for_absent(site: Site, fault: str) -> None:
    site.forever[VERDICTS] = fault
    with pytest.raises(DatasetError, match=r"verdicts.parquet: cannot be reached"):
        opened(site).kept()


def test_verdicts_that_are_denied(site: Site) -> None:
    site.forever[VERDICTS] = "403"
    with pytest.raises(UsageError, match=r"verdicts.parquet: access is denied.*credentials"):
        opened(site).kept()


def test_passing_faults_of_verdicts(site: Site) -> None:
    site.faults[VERDICTS] = ["500", "cut"]
    assert opened(site).kept().height == 11


def test_no_verdicts(site: Site) -> None:
    assert opened(site).kept().height == 11
    (site.folder / VERDICTS).unlink()
    assert opened(site).kept().height == 12


@pytest.mark.parametrize("marks", [True, False])
def test_changed_statistics_and_verdicts_show_at_the_next_open(
    site: Site, local: Dataset, marks: bool
) -> None:
    site.marks = marks
    before = opened(site)
    assert before.stats.digest == local.stats.digest and before.kept().height == 11
    verdicts = pl.DataFrame({"id": ["r1", "r2"], "keep": [False, False], "rule": ["leakage"] * 2})
    verdicts.write_parquet(local.layout.verdicts)
    written = write_stats(local)
    assert written.digest != local.manifest.digest
    assert before.kept().height == 11  # an open data set does not change below its reader
    after = opened(site)
    assert after.stats.digest == written.digest and after.kept().height == 10


@pytest.mark.parametrize(("marks", "gets"), [(True, 1), (False, 2)])
def test_unchanged_parts_are_kept_when_the_server_can_tell(
    site: Site, marks: bool, gets: int
) -> None:
    site.marks = marks
    for _ in range(2):
        assert opened(site).kept().height == 11
    assert site.gets[VERDICTS] == gets


def test_difficulty_over_http_is_the_prior_alone(site: Site, local: Dataset) -> None:
    assert difficulty.choose(opened(site).layout) is None
    table = difficulty.choose(local.layout, "some-policy")
    assert table is not None
    difficulty.write_difficulty(
        local.layout, table.with_columns(policy=pl.lit("prior-label-entropy"))
    )
    found = difficulty.choose(opened(site).layout)
    assert found is not None and found.height == table.height


def test_no_statistics(site: Site) -> None:
    for path in (site.folder / "set" / "stats").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"set/stats: there are no statistics yet.*publish it"):
        opened(site).stats  # noqa: B018


def test_a_lost_card(site: Site) -> None:
    (site.folder / "set" / "cards" / "films.json").unlink()
    with pytest.raises(DatasetError, match=r"set/cards/films.json: holds no card as built"):
        opened(site).cards  # noqa: B018


def test_a_name_that_leaves_the_folder(site: Site, local: Dataset, cache: Path) -> None:
    manifest = load(local.root)
    manifest["sources"]["../../../escaped"] = manifest["sources"]["films"]
    save(local.root, manifest)
    with pytest.raises(DatasetError, match="is not a manifest: sources"):
        opened(site)
    assert not list(cache.parent.rglob("escaped*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_manifest(site: Site, content: bytes) -> None:
    (site.folder / "set" / "manifest.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"set/manifest.json: is not a manifest"):
        opened(site)


def test_a_set_of_schema_1(site: Site, local: Dataset) -> None:
    save(local.root, load(local.root) | {"schema_version": 1, "manifest_version": 1})
    said = rf"^{site.url}/set: has schema version 1, this is 2. Fix: build it anew: qoqdata build f"
    with pytest.raises(DatasetError, match=said):
        opened(site)


def test_nothing_there(site: Site) -> None:
    with pytest.raises(DatasetError, match=r"/none: there is no such data set. Fix: check the URL"):
        qoqdata.open(f"{site.url}/none")


def test_a_folder_of_releases(site: Site, local: Dataset) -> None:
    root = site.folder / "releases"
    root.mkdir()
    pointer = root / "current.json"
    pointer.write_text('{"release": "1.0.0"}')
    with pytest.raises(DatasetError, match=r"releases/1.0.0: current.json names it.*not there"):
        qoqdata.open(f"{site.url}/releases")
    shutil.copytree(local.root, root / "1.0.0")
    remote = qoqdata.open(f"{site.url}/releases")
    assert remote.where == f"{site.url}/releases/1.0.0" and remote.kept().height == 11
    for content in ("{", "[]", '{"release": "../set"}', '{"release": 1}'):
        pointer.write_text(content)
        with pytest.raises(DatasetError, match="does not point to a release"):
            qoqdata.open(f"{site.url}/releases")


def test_passing_faults_of_the_manifest(site: Site) -> None:
    site.faults["set/manifest.json"] = ["503", "cut", "reset"]
    assert opened(site).manifest.name == "written"


def test_an_empty_set(site: Site, local: Dataset) -> None:
    manifest = load(local.root)
    save(local.root, manifest | {"shards": []})
    for read in (lambda: opened(site).records, opened(site).metadata):
        with pytest.raises(DatasetError, match=f"{site.url}/set: holds no record"):
            read()


def test_a_cache_smaller_than_the_set(site: Site, local: Dataset, cache: Path) -> None:
    sizes = [shard.bytes for shard in local.manifest.shards]
    bound = max(sizes) + max(sizes) // 4
    remote = qoqdata.open(f"{site.url}/set", cache_bytes=bound)
    # Every shard passes through, none stays in the way of the next.
    assert_frame_equal(remote.records.collect(), local.records.collect())
    assert sum(path.stat().st_size for path in shards(cache)) <= bound
    with pytest.raises(DatasetError, match=r"no room.*in use.*QOQDATA_CACHE_BYTES"):
        remote.paths  # noqa: B018
    remote.files.close()
    first, second, third = remote.manifest.shards
    for shard in (first, second, third):
        assert remote.files.local(shard).is_file()
        remote.files.release(shard)
    with remote.files.holding(second) as path:
        assert path.is_file()


def test_prefetch(site: Site, local: Dataset, cache: Path) -> None:
    remote = opened(site)
    remote.files.prefetch(remote.manifest.shards)
    remote.files.prefetch(remote.manifest.shards)
    for shard in remote.manifest.shards:
        assert remote.files.local(shard).stat().st_size == shard.bytes
        assert site.gets[f"set/{shard.path}"] == 1


def test_faults_of_a_prefetch_show_where_the_shard_is_asked_for(site: Site) -> None:
    site.forever[SHARD] = "404"
    remote = opened(site)
    remote.files.prefetch([SHARD.removeprefix("set/")])
    with pytest.raises(DatasetError, match="not in the store"):
        remote.files.local(SHARD.removeprefix("set/"))


def test_no_such_shard(site: Site) -> None:
    with pytest.raises(UsageError, match="is no shard"):
        opened(site).files.local("data/films/none.parquet")
