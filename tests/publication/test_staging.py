"""What the outgoing tree holds, and what it must never hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.publication import recipe as recipes
from qoqdata.publication.facts import gather_facts
from qoqdata.publication.front_matter import front_matter
from qoqdata.publication.staging import content_digest, seal, stage
from qoqdata.reasoning import write_traced_set
from qoqdata.validation import find
from tests.publication.conftest import build_set
from tests.statistics.written import write_stats


@pytest.fixture(scope="module")
def staged(mixed: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return stage(mixed, tmp_path_factory.mktemp("staged") / "out")


def test_pixels_leave_for_open_sources_only(mixed: Dataset, staged: Dataset) -> None:
    assert sorted(staged.manifest.sources) == ["ham10000", "ptb_xl"]
    assert {s.source for s in staged.manifest.shards} == {"ham10000", "ptb_xl"}
    files = {str(p.relative_to(staged.root)) for p in staged.root.rglob("*") if p.is_file()}
    assert not [f for f in files if "covid_blues" in f]
    assert [f for f in sorted(files) if "lc25000" in f] == [
        "cards/lc25000.json",
        "recipes/lc25000.json",
        "recipes/lc25000.parquet",
    ]
    assert not [f for f in files if f.startswith(("quarantine", ".build", "curation"))]
    release = staged.manifest.release
    assert release is not None and release.recipes == ("lc25000",)
    assert release.withheld == {"covid_blues": "its licence allows no derivatives"}


def test_shards_that_lose_nothing_are_the_same_files(mixed: Dataset, staged: Dataset) -> None:
    built = {shard.path: shard for shard in mixed.manifest.shards}
    assert all(built[shard.path] == shard for shard in staged.manifest.shards)


def test_release_is_a_sound_data_set(staged: Dataset) -> None:
    assert list(find(staged)) == []


def test_recipe_holds_annotations_and_nothing_of_the_media(mixed: Dataset, staged: Dataset) -> None:
    ((recipe, rows),) = recipes.read_recipes(staged.root)
    assert recipe.source == "lc25000"
    whole = mixed.records.filter(pl.col("source") == "lc25000").collect()
    same = ["id", "question", "answer", "labels", "split", "regions"]
    assert rows.select(same).sort("id").equals(whole.select(same).sort("id"))
    assert not {"images", "masks", "ecg", "context", "reasoning"} & set(rows.columns)
    text = (staged.root / "recipes" / "lc25000.parquet").read_bytes()
    for images in whole["images"]:
        for image in images:
            assert image["bytes"][:64] not in text


def test_record_digest_sees_every_column() -> None:
    from tests.records.sound_rows import ecg_row, image_row, region, table

    def digest(row: dict) -> str:
        return recipes.record_digests(table(row))[0]

    base = digest(image_row())
    ecg = {"leads": ["I"], "fs": 500.0, "signal": [[0.0, 0.5]], "valid": [[True, True]]}
    other = ecg | {"signal": [[0.0, 0.25]]}
    holes = ecg | {"valid": [[True, False]]}
    changed = [
        image_row(images=[{"bytes": b"\x89PNG other", "path": "0.png"}]),
        image_row(masks=None),
        image_row(regions=[region(x_min=1.0)]),
        image_row(answer="Clear"),
        image_row(patient="dd" * 16),
        image_row(uncertain=None),
        ecg_row(),
        ecg_row(ecg=ecg),
        ecg_row(ecg=other),
        ecg_row(ecg=holes),
    ]
    found = [base, *map(digest, changed)]
    assert len(set(found)) == len(found)
    assert digest(image_row()) == base


def drop(dataset: Dataset, ids: list[str]) -> None:
    columns = {"rule": "test", "reason": "test", "evidence": None}
    frame = pl.DataFrame({"id": ids, "keep": [False] * len(ids)})
    frame = frame.with_columns(pl.lit(v, pl.String).alias(k) for k, v in columns.items())
    dataset.layout.verdicts.parent.mkdir(exist_ok=True)
    frame.write_parquet(dataset.layout.verdicts)


def test_dropped_records_do_not_leave(mixed: Dataset, tmp_path: Path) -> None:
    shutil.copytree(mixed.root, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    ids = dict(mixed.metadata().group_by("source").agg(pl.col("id").sort().first()).iter_rows())
    gone = [ids["ham10000"], ids["lc25000"]]
    drop(dataset, gone)
    staged = stage(dataset, tmp_path / "out")
    assert list(find(staged)) == []
    left = staged.metadata()["id"].to_list()
    (_, rows), *_ = recipes.read_recipes(staged.root)
    assert not set(gone) & {*left, *rows["id"]}
    before = mixed.metadata().filter(pl.col("source").is_in(["ham10000", "ptb_xl"])).height
    assert len(left) == before - 1
    assert staged.manifest.digest != mixed.manifest.digest
    for path in staged.root.rglob("*"):
        assert not path.is_file() or not any(id_.encode() in path.read_bytes() for id_ in gone)


def test_statistics_are_those_of_what_leaves(mixed: Dataset, tmp_path: Path) -> None:
    shutil.copytree(mixed.root, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    from qoqdata.statistics.prior import write_prior

    table, _ = write_prior(dataset)
    write_stats(dataset, table)
    staged = stage(dataset, tmp_path / "out")
    assert staged.stats.sources["key"].to_list() == ["ham10000", "ptb_xl"]
    train = staged.metadata().filter((pl.col("split") == "train") & pl.col("shows")).height
    assert staged.stats.domains["n_records"].sum() == train
    difficulty = pl.read_parquet(next(staged.layout.difficulty.glob("*.parquet")))
    assert set(difficulty["id"]) <= set(staged.metadata()["id"])


def test_the_content_of_a_release_is_what_lies_in_folders(mixed: Dataset, tmp_path: Path) -> None:
    """Its version, and pages that name it, would make every release another one."""
    staged = stage(mixed, tmp_path / "out")
    content = content_digest(staged)
    (staged.root / "README.md").write_text("another page")
    (staged.root / "CHANGELOG.md").write_text("1.0.0")
    assert content_digest(seal(staged, version="2.0.0", previous=None)) == content
    for text in ("more", "other"):
        (staged.root / "recipes" / "more.txt").write_text(text)
        before, content = content, content_digest(staged)
        assert content != before


def test_a_set_of_withheld_sources_is_refused(tmp_path: Path) -> None:
    dataset = build_set(tmp_path / "set", "covid_blues")
    with pytest.raises(DatasetError, match="nothing of this data set may be published"):
        stage(dataset, tmp_path / "out")


def test_a_set_of_recipes_only_has_no_shard(tmp_path: Path) -> None:
    dataset = build_set(tmp_path / "set", "lc25000")
    staged = stage(dataset, tmp_path / "out")
    assert staged.manifest.shards == ()
    assert not (staged.root / "data" / "lc25000").exists()
    assert pq.read_metadata(staged.root / "recipes" / "lc25000.parquet").num_rows == 30


def test_images_that_stay_in_two_splits_are_counted(tmp_path: Path) -> None:
    dataset = build_set(tmp_path / "set", "lc25000")
    qoqdata.curate(dataset)
    ids = dataset.kept()["id"].to_list()
    found = pl.read_parquet(dataset.layout.leakage_findings).clear()
    assert stage(dataset, tmp_path / "none").manifest.release.shared_images == 0
    rows = [
        {"id": ids[0], "source": "lc25000", "outcome": "reported"},
        {"id": ids[0], "source": "lc25000", "outcome": "reported"},
        {"id": ids[1], "source": "lc25000", "outcome": "dropped"},
        {"id": ids[2], "source": "elsewhere", "outcome": "reported"},
    ]
    reported = pl.concat([found, pl.DataFrame(rows)], how="diagonal_relaxed")
    reported.write_parquet(dataset.layout.leakage_findings)
    assert stage(dataset, tmp_path / "one").manifest.release.shared_images == 1
    dataset.layout.leakage_findings.unlink()
    assert stage(dataset, tmp_path / "unknown").manifest.release.shared_images is None


def test_traces_of_what_leaves_are_a_table_of_their_own(
    mixed: Dataset, staged: Dataset, tmp_path: Path
) -> None:
    assert not staged.layout.traces.exists()
    train = mixed.records.filter(pl.col("split") == "train").select("id", "source").collect()
    chosen = train.group_by("source").first().sort("source")
    thoughts = chosen.select("id", reasoning=pl.lit("It is dark."), policy=pl.lit("tiny"))
    write_traced_set(mixed, thoughts, tmp_path / "traced", policy=None)
    release = stage(open_dataset(tmp_path / "traced"), tmp_path / "out")
    found = pl.read_parquet(release.layout.traces)
    # Of a source whose pixels stay, and of one that is withheld, nothing is told.
    assert set(found["source"]) <= {"ham10000", "ptb_xl"} and found.height > 0
    assert found["reasoning"].to_list() == ["It is dark."] * found.height
    assert not {"images", "ecg", "masks", "patient"} & set(found.columns)
    assert list(find(release)) == []
    matter = front_matter(gather_facts(release))
    assert "config_name: traces" in matter and "traces/train.parquet" in matter
    assert "traces" not in front_matter(gather_facts(staged))
    from datasets import load_dataset

    loaded = load_dataset(str(release.root), data_files={"train": "traces/train.parquet"})
    assert loaded["train"]["id"] == found["id"].to_list()
