"""Statistics by families of sources: the same as of all at once, and counted again where needed."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

import qoqdata
from qoqdata.contract.manifest import Manifest
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.sources import catalogue
from qoqdata.statistics import difficulty, families, tables
from qoqdata.statistics.prior import write_prior
from qoqdata.statistics.tally import Tally, tables_of, tally
from qoqdata.suite.examples import SALT
from tests.statistics.training_rows import frame, record


def build(out: Path, *slugs: str) -> Dataset:
    sources = [catalogue.find_source(slug) for slug in slugs]
    requests = [
        (one, SourceRequest(source=one.card.slug, raw=one.folder / "example" / "raw"))
        for one in sources
    ]
    build_requests(requests, out, BuildSetting(SALT, workers=0))
    return open_dataset(out)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("families") / "set"
    build(out, "ham10000", "kits23")
    return out


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Dataset:
    """A copy that a test may change."""
    return open_dataset(shutil.copytree(built, tmp_path / "set"))


def counted(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that `qoqdata.stats` reads whole."""
    read: list[str] = []
    records = families._records

    def listening(opened: Dataset, slug: str, marks: pl.DataFrame | None) -> object:
        read.append(slug)
        return records(opened, slug, marks)

    monkeypatch.setattr(families, "_records", listening)
    qoqdata.stats(dataset.root)
    monkeypatch.undo()
    return read


def drop(dataset: Dataset, *ids: str) -> None:
    verdicts = pl.DataFrame({"id": ids}).with_columns(
        keep=pl.lit(False), rule=pl.lit("r"), reason=pl.lit("r"), evidence=pl.lit(None, pl.String)
    )
    dataset.layout.verdicts.parent.mkdir(exist_ok=True)
    verdicts.write_parquet(dataset.layout.verdicts)


def equal(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> bool:
    return all(one[name].equals(other[name]) for name in one)


def test_families_give_what_all_at_once_gives(dataset: Dataset) -> None:
    write_prior(dataset)
    ids = dataset.kept().filter(source="ham10000")["id"]
    drop(dataset, ids[0], ids[3])
    rates = difficulty.choose(dataset.layout)
    whole = tables.compute(dataset.for_training(), rates)
    assert whole["domains"]["n_questions"].sum() > 0
    for _ in range(2):  # counted, then as kept
        assert equal(whole, tables.joined(families.count_families(dataset, rates), rates))


def test_only_what_has_changed_is_counted_again(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert counted(dataset, monkeypatch) == ["ham10000", "kits23"]
    assert counted(dataset, monkeypatch) == []
    drop(dataset, dataset.kept().filter(source="kits23")["id"][0])
    assert counted(dataset, monkeypatch) == ["ham10000", "kits23"]  # marks: none before
    drop(dataset, dataset.kept().filter(source="kits23")["id"][0])
    assert counted(dataset, monkeypatch) == ["kits23"]
    write_prior(dataset)
    assert counted(dataset, monkeypatch) == ["ham10000", "kits23"]
    rates = difficulty.choose(dataset.layout)
    assert rates is not None
    mine = pl.col("id").is_in(dataset.kept().filter(source="ham10000")["id"].implode())
    changed = pl.when(mine).then(0.5).otherwise("success_rate")
    difficulty.write_difficulty(dataset.layout, rates.with_columns(success_rate=changed))
    assert counted(dataset, monkeypatch) == ["ham10000"]
    # A damaged tally is counted anew.
    dataset.layout.tally("kits23").write_text("{")
    assert counted(dataset, monkeypatch) == ["kits23"]


def test_a_new_source_leaves_the_others_as_they_are(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(dataset, monkeypatch)
    more = build(dataset.root, "ham10000", "kits23", "ptb_xl")
    assert counted(more, monkeypatch) == ["ptb_xl"]
    assert more.stats.sources["key"].to_list() == ["ham10000", "kits23", "ptb_xl"]


def test_stale_statistics_are_refused_with_what_has_changed(dataset: Dataset) -> None:
    qoqdata.stats(dataset.root)
    drop(dataset, dataset.kept()["id"][0])
    with pytest.raises(DatasetError, match="stale: the verdicts have changed since") as raised:
        dataset.stats  # noqa: B018
    assert f"qoqdata stats {dataset.root}" in str(raised.value) and "\n" not in str(raised.value)
    qoqdata.stats(dataset.root)
    write_prior(dataset)
    with pytest.raises(DatasetError, match="without the difficulty that is there"):
        dataset.stats  # noqa: B018
    qoqdata.stats(dataset.root)
    rates = difficulty.choose(dataset.layout)
    assert rates is not None
    difficulty.write_difficulty(dataset.layout, rates[1:])
    with pytest.raises(DatasetError, match="the difficulty of prior-label-entropy has changed"):
        dataset.stats  # noqa: B018
    qoqdata.stats(dataset.root, policy="prior-label-entropy")
    assert dataset.stats.basis is not None
    more = build(dataset.root, "ptb_xl")
    with pytest.raises(DatasetError, match="over other records"):
        more.stats  # noqa: B018


def test_tables_of_two_runs_do_not_pass_for_one(dataset: Dataset) -> None:
    qoqdata.stats(dataset.root)
    path = dataset.layout.statistics("labels")
    before = path.read_bytes()
    write_prior(dataset)
    qoqdata.stats(dataset.root)
    path.write_bytes(before)
    with pytest.raises(DatasetError, match="do not say what they were computed over"):
        dataset.stats  # noqa: B018


ROWS = frame(
    record(0, "x", study="s0", patient="p1"),
    record(1, "y", study="s0", patient="p1", source="b"),
    record(2, "y", study="s2", patient="p1", source="b", domain="ecg"),
    record(3, "x", study="s9", patient="p9", source="c"),
    record(4, "x", study="s9", patient="p9", source="c", split="test"),
).with_columns(success_rate=pl.Series([1.0, 0.5, 0.25, None, 0.75]), n_rollouts=pl.lit(4))


def test_sources_with_patients_in_common_are_counted_together() -> None:
    """a and b share the study s0 and the patient p1; c stands alone: ct has two studies of two
    patients, and three questions."""
    together, alone = pl.col("source") != "c", pl.col("source") == "c"
    parts = [tally(ROWS.filter(one)) for one in (together, alone)]
    found = tables_of(parts, policy="p", scorer="s")
    assert equal(found, tables_of([tally(ROWS)], policy="p", scorer="s"))
    ct = found["domains"].filter(key="ct").to_dicts()[0]
    assert (ct["n_records"], ct["n_studies"], ct["n_patients"]) == (3, 2, 2)
    # The rate of a test question does not count.
    assert (ct["success_rate"], ct["n_questions"], ct["n_rollouts"]) == (0.75, 2, 8)


def test_a_tally_survives_being_kept() -> None:
    one = tally(ROWS)
    again = Tally.from_state(one.to_state())
    assert all(getattr(again, name).equals(getattr(one, name)) for name in one.to_state())


def test_a_namespace_makes_a_family(dataset: Dataset) -> None:
    def changed(**facts: str) -> Manifest:
        entries = dataset.manifest.sources.items()
        own = {slug: entry.model_copy(update=facts) for slug, entry in entries}
        return dataset.manifest.model_copy(update={"sources": own})

    assert families.families(dataset.manifest) == {"ham10000": ["ham10000"], "kits23": ["kits23"]}
    assert families.families(changed(namespace="site")) == {"site": ["ham10000", "kits23"]}
    assert families.families(changed(role="evaluation")) == {}
