"""The statistics of built data sets: what is counted, what is left out, what is written."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.contract import statistics
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import DIFFICULTY
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.sources import catalogue
from qoqdata.statistics import difficulty, tables
from qoqdata.statistics.basis import KEY, Basis, basis_of
from qoqdata.statistics.tables import Stats
from qoqdata.suite.examples import SALT
from tests.statistics.written import write_stats

SLUGS = ("ham10000", "ptb_xl", "kits23")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sources in one data set; kits23 has a record of annotations only."""
    out = tmp_path_factory.mktemp("stats") / "set"
    sources = [catalogue.find_source(slug) for slug in SLUGS]
    requests = [
        (source, SourceRequest(source=source.card.slug, raw=source.folder / "example" / "raw"))
        for source in sources
    ]
    build_requests(requests, out, BuildSetting(SALT, workers=0))
    return out


@pytest.fixture
def dataset(built: Path) -> Dataset:
    opened = open_dataset(built)
    opened.layout.verdicts.unlink(missing_ok=True)
    return opened


def drop(dataset: Dataset, ids: list[str], kept: list[str] | None = None) -> None:
    """Verdicts that drop `ids` and keep `kept`."""
    verdicts = pl.DataFrame(
        {"id": [*ids, *(kept or ())], "keep": [False] * len(ids) + [True] * len(kept or ())}
    ).with_columns(rule=pl.lit("r"), reason=pl.lit("r"), evidence=pl.lit(None, pl.String))
    dataset.layout.verdicts.parent.mkdir(exist_ok=True)
    verdicts.write_parquet(dataset.layout.verdicts)


def train(dataset: Dataset) -> pl.DataFrame:
    return dataset.kept().filter(pl.col("split") == "train")


def scores(dataset: Dataset, **means: float) -> pl.DataFrame:
    """Difficulty of every training record: the mean of its source, from 4 rollouts."""
    return train(dataset).select(
        "id",
        rewards=pl.lit([], pl.List(pl.Float32)),
        success_rate=pl.col("source").replace_strict(means, return_dtype=pl.Float64, default=None),
        n_rollouts=pl.lit(4, pl.Int32),
        policy=pl.lit("one"),
        scorer=pl.lit("exact"),
    )


def test_counts_are_those_of_the_kept_training_records(dataset: Dataset) -> None:
    shown = pl.col("images").is_not_null() | pl.col("ecg").is_not_null()
    records = dataset.records.select("source", "split", "study", "images", shown=shown).collect()
    train = records.filter((pl.col("split") == "train") & pl.col("shown"))
    table = tables.compute(dataset.kept(), None)["sources"]
    total = train["study"].n_unique()
    for row in table.to_dicts():
        own = train.filter(pl.col("source") == row["key"])
        assert row["n_records"] == own.height
        most = own.group_by("study").agg(pl.col("images").list.len().fill_null(0).max())
        assert row["n_images"] == most["images"].sum()
        # KiTS23 asks several questions about a case.
        studies = own["study"].n_unique()
        assert row["n_studies"] == studies
        assert row["share"] == studies / total
        assert row["rarity"] == pytest.approx(math.sqrt(total / (table.height * studies)))
        assert row["success_rate"] is None and row["n_questions"] == 0 and row["policy"] is None
    assert table["n_records"].sum() == train.height


def test_annotation_only_records_are_left_out(dataset: Dataset) -> None:
    """One case of the kits23 example has a segmentation and no volume."""
    metadata = dataset.metadata().filter(pl.col("source") == "kits23")
    assert metadata.filter(~pl.col("shows")).height == 1
    assert dataset.kept().filter(pl.col("source") == "kits23").height == metadata.height - 1
    hidden = metadata.filter(~pl.col("shows"))["id"].to_list()
    kept = tables.compute(dataset.kept(), None)["sources"].filter(pl.col("key") == "kits23")
    shown = metadata.filter((pl.col("split") == "train") & ~pl.col("id").is_in(hidden))
    assert kept["n_records"].to_list() == [shown.height]


def test_dropped_records_are_left_out(dataset: Dataset) -> None:
    before = tables.compute(dataset.kept(), None)
    ids = train(dataset).filter(pl.col("source") == "ham10000")["id"].to_list()
    drop(dataset, ids[:2], kept=ids[2:])
    after = tables.compute(dataset.kept(), None)

    def count(found: dict[str, pl.DataFrame]) -> int:
        return found["sources"].filter(pl.col("key") == "ham10000")["n_records"][0]

    assert count(after) == count(before) - 2
    asserted = after["labels"].filter(pl.col("source") == "ham10000")["n_train"].sum()
    assert asserted == before["labels"].filter(pl.col("source") == "ham10000")["n_train"].sum() - 2


def test_a_source_without_kept_training_records_is_not_listed(dataset: Dataset) -> None:
    drop(dataset, train(dataset).filter(pl.col("source") == "ham10000")["id"].to_list())
    found = tables.compute(dataset.kept(), None)
    assert "ham10000" not in found["sources"]["key"].to_list()
    assert "dermoscopy" not in found["domains"]["key"].to_list()


def test_nothing_left_to_describe(dataset: Dataset) -> None:
    drop(dataset, dataset.metadata()["id"].to_list())
    with pytest.raises(DatasetError, match="no training record"):
        tables.compute(dataset.kept(), None)


def test_difficulty_by_source_and_domain(dataset: Dataset) -> None:
    found = tables.compute(dataset.kept(), scores(dataset, ham10000=0.25, ptb_xl=1.0))
    rows = {row["key"]: row for row in found["sources"].to_dicts()}
    counts = dict(train(dataset).group_by("source").len().iter_rows())
    ham = rows["ham10000"]
    assert (ham["success_rate"], ham["success_rate_variance"]) == (0.25, 0.0)
    assert ham["n_questions"] == counts["ham10000"]
    assert ham["n_rollouts"] == 4 * counts["ham10000"]
    assert (ham["policy"], ham["scorer"]) == ("one", "exact")
    assert rows["kits23"]["success_rate"] is None and rows["kits23"]["n_questions"] == 0
    assert {row["domain"] for row in rows.values()} == {"dermoscopy", "ecg", "ct"}
    bins = found["clusters"].filter(pl.col("level") == "source")
    assert bins.select("key", "cluster", "count").rows() == [
        ("ham10000", 16, counts["ham10000"]),
        ("ptb_xl", 63, counts["ptb_xl"]),
    ]


def test_variance_is_over_questions(dataset: Dataset) -> None:
    """Half of the questions at 0, half at 1 (up to one): mean and variance by hand."""
    ids = train(dataset).filter(pl.col("source") == "ham10000")["id"].sort()
    means = pl.Series([float(n % 2) for n in range(len(ids))])
    table = scores(dataset).filter(pl.col("id").is_in(ids.to_list())).sort("id")
    found = tables.compute(dataset.kept(), table.with_columns(success_rate=means))["sources"]
    row = found.filter(pl.col("key") == "ham10000").to_dicts()[0]
    p = (len(ids) // 2) / len(ids)
    assert row["success_rate"] == pytest.approx(p)
    assert row["success_rate_variance"] == pytest.approx(p * (1 - p))


def test_difficulty_of_records_that_are_not_trained_on_is_ignored(dataset: Dataset) -> None:
    others = dataset.metadata().filter((pl.col("split") != "train") | ~pl.col("shows"))
    assert others.height
    table = others.select(
        "id",
        success_rate=pl.lit(0.0),
        n_rollouts=pl.lit(1, pl.Int32),
        policy=pl.lit("p"),
        scorer=pl.lit("s"),
    )
    assert tables.compute(dataset.kept(), table)["domains"]["n_questions"].sum() == 0


def test_a_prior_has_no_rollouts(dataset: Dataset) -> None:
    table = scores(dataset, ham10000=0.5).with_columns(n_rollouts=pl.lit(0, pl.Int32))
    found = tables.compute(dataset.kept(), table)["sources"]
    row = found.filter(pl.col("key") == "ham10000").to_dicts()[0]
    assert row["n_rollouts"] is None and row["n_questions"] > 0


def test_tables_on_disk_have_the_schema_of_the_contract(dataset: Dataset) -> None:
    rates = scores(dataset, ham10000=0.5, ptb_xl=0.75, kits23=0.0)
    computed = tables.compute(dataset.kept(), rates)
    stats = write_stats(dataset, rates)
    for table in statistics.TABLES:
        path = dataset.root / "stats" / f"{table.name}.parquet"
        schema = pq.read_schema(path)
        stated = Basis.of_metadata(schema.metadata)
        assert stated == stats.basis == basis_of(dataset.manifest, dataset.layout, "one")
        bare = {name: text for name, text in schema.metadata.items() if name != KEY}
        assert schema.with_metadata(bare).equals(arrow_schema(table), check_metadata=True)
        assert getattr(stats, table.name).equals(computed[table.name].select(table.names))
    assert (
        Stats.read(dataset.layout).digest == stats.digest == open_dataset(dataset.root).stats.digest
    )


def test_the_digest_names_the_numbers(dataset: Dataset) -> None:
    digests = {write_stats(dataset).digest for _ in range(8)}
    assert len(digests) == 1
    other = write_stats(dataset, scores(dataset, ham10000=0.5))
    assert other.digest not in digests


def test_no_statistics_yet(dataset: Dataset) -> None:
    write_stats(dataset)
    (dataset.root / "stats" / "labels.parquet").unlink()
    with pytest.raises(DatasetError, match="no statistics yet") as raised:
        dataset.stats  # noqa: B018
    assert "qoqdata stats" in str(raised.value)


@pytest.mark.parametrize(
    "older", [{}, {"success_rate": "mu", "success_rate_variance": "mu_variance"}]
)
def test_tables_that_count_no_studies_are_refused(dataset: Dataset, older: dict[str, str]) -> None:
    """Those of versions 1 and 2; one line says how to make them anew, and that does."""
    write_stats(dataset)
    for name in ("domains", "sources", "labels"):
        path = dataset.layout.statistics(name)
        table = pl.read_parquet(path).drop("^n_.*studies$", "n_absent", strict=False)
        table.rename(older, strict=False).write_parquet(path)
    with pytest.raises(DatasetError, match=r"lacks the column .*: version 3 has it") as raised:
        open_dataset(dataset.root).stats  # noqa: B018
    assert f"qoqdata stats {dataset.root}" in str(raised.value)
    assert "\n" not in str(raised.value)
    qoqdata.stats(dataset.root)
    assert open_dataset(dataset.root).stats.sources.columns == list(statistics.SOURCES.names)


def test_a_difficulty_table_of_version_1_gives_the_same_statistics(
    dataset: Dataset, tmp_path: Path
) -> None:
    rates = scores(dataset, ham10000=0.25, ptb_xl=1.0)
    layout = Layout(tmp_path)
    path = difficulty.write_difficulty(layout, rates)
    old = pl.read_parquet(path).rename({"success_rate": "mean"})
    old.write_parquet(path)
    table = difficulty.choose(layout)
    assert table is not None and table.columns == list(DIFFICULTY.names)
    found, expected = (tables.compute(dataset.kept(), one) for one in (table, rates))
    assert all(found[name].equals(expected[name]) for name in expected)
    # What is written from it has the present names.
    difficulty.write_difficulty(layout, table)
    assert "success_rate" in pl.read_parquet_schema(path)
