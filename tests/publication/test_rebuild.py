"""From the release and the raw files back to the same bytes, at another site."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

import qoqdata
from qoqdata.contract.storage import Storage
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import UsageError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication.rebuild import rebuild
from qoqdata.publication.staging import stage
from qoqdata.records.identity import Salt
from qoqdata.suite.examples import SALT
from qoqdata.validation import find
from tests.publication.conftest import build_set, raw_of
from tests.publication.test_staging import drop

ELSEWHERE = BuildSetting(Salt(b"the secret of quite another site"), workers=0)


@pytest.fixture
def staged(mixed: Dataset, tmp_path: Path) -> Dataset:
    return stage(mixed, tmp_path / "release")


def shards(dataset: Dataset, *slugs: str) -> dict[str, str]:
    return {s.path: s.sha256 for s in dataset.manifest.shards if s.source in slugs}


def test_rebuilt_shards_are_the_published_ones_byte_for_byte(
    mixed: Dataset, staged: Dataset, tmp_path: Path
) -> None:
    manifest, (outcome,) = rebuild(
        staged, {"lc25000": raw_of("lc25000")}, tmp_path / "out", ELSEWHERE
    )
    assert (outcome.same, outcome.differ, outcome.missing) == (30, (), ())
    rebuilt = open_dataset(tmp_path / "out")
    assert list(find(rebuilt)) == []
    assert shards(rebuilt, "lc25000", "ham10000", "ptb_xl") == shards(
        mixed, "lc25000", "ham10000", "ptb_xl"
    )
    assert len(shards(rebuilt, "lc25000")) > 1
    assert manifest.release == staged.manifest.release


def test_pseudonyms_are_the_publishers(mixed: Dataset, staged: Dataset, tmp_path: Path) -> None:
    rebuild(staged, {"lc25000": raw_of("lc25000")}, tmp_path / "out", ELSEWHERE)
    keys = ["id", "patient", "study"]
    mine = open_dataset(tmp_path / "out").metadata().select(keys).sort("id")
    theirs = mixed.metadata().select(keys).join(mine.select("id"), on="id", how="semi")
    assert mine.equals(theirs.sort("id"))


def test_pixels_are_stored_as_the_publisher_stored_them(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(raw_of("lc25000"), raw)
    for tile in raw.rglob("*.jpeg"):
        Image.open(tile).resize((96, 96)).save(tile)
    request = SourceRequest(source="lc25000", raw=raw)
    config = BuildConfig(name="small", sources=(request,), storage=Storage(max_pixels=4096))
    build(config, tmp_path / "set", BuildSetting(SALT, workers=0))
    dataset = open_dataset(tmp_path / "set")
    assert dataset[0]["image_info"][0]["stored_as"] == "training"
    staged = stage(dataset, tmp_path / "release")
    _, (outcome,) = rebuild(staged, {"lc25000": raw}, tmp_path / "out", ELSEWHERE)
    assert (outcome.same, outcome.whole) == (30, True)


def test_without_dropped_records(mixed: Dataset, tmp_path: Path) -> None:
    shutil.copytree(mixed.root, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    gone = mixed.metadata().filter(pl.col("source") == "lc25000")["id"].sort()[3]
    drop(dataset, [gone])
    staged = stage(dataset, tmp_path / "release")
    _, (outcome,) = rebuild(staged, {"lc25000": raw_of("lc25000")}, tmp_path / "out", ELSEWHERE)
    assert (outcome.same, outcome.whole) == (29, True)
    rebuilt = open_dataset(tmp_path / "out")
    assert list(find(rebuilt)) == []
    assert gone not in rebuilt.metadata()["id"].to_list()


def test_another_image_and_a_missing_one_are_named(staged: Dataset, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(raw_of("lc25000"), raw)
    tiles = sorted(raw.rglob("*.jpeg"))
    Image.open(tiles[0]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tiles[0])
    tiles[1].unlink()
    _, (outcome,) = rebuild(staged, {"lc25000": raw}, tmp_path / "out", ELSEWHERE)
    # Three questions are asked of each tile.
    assert (outcome.same, len(outcome.differ), len(outcome.missing)) == (24, 3, 3)
    assert not outcome.whole
    # What does not agree is not passed off as the release.
    assert list(find(open_dataset(tmp_path / "out"))) == []


def test_unknown_source_is_refused(staged: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no recipe of ptb_xl"):
        rebuild(staged, {"ptb_xl": raw_of("ptb_xl")}, tmp_path / "out", ELSEWHERE)


def test_another_converter_version_is_refused(staged: Dataset, tmp_path: Path) -> None:
    path = staged.root / "recipes" / "lc25000.json"
    text = path.read_text()
    code = (
        staged.root.joinpath("recipes/lc25000.json").read_text().split('"code_digest": "')[1][:64]
    )
    path.write_text(text.replace(code, "0" * 64))
    with pytest.raises(UsageError, match="made by qoqdata"):
        rebuild(staged, {"lc25000": raw_of("lc25000")}, tmp_path / "out", ELSEWHERE)


def test_corrected_records_are_rebuilt_with_the_answer_of_the_release(tmp_path: Path) -> None:
    """Raw files have the wrong answer; the recipe has the one that a person gave."""
    built = build_set(tmp_path / "set", "lc25000")
    record = built[3]
    right = next(one for one in record["options"] if one != record["answer"])
    qoqdata.relabel(built, record["id"], right, why="benign after all", author="ana")
    qoqdata.correct(built, out=tmp_path / "corrected")
    mine = open_dataset(tmp_path / "corrected")
    qoqdata.curate(mine)
    release = stage(mine, tmp_path / "release")
    _, (outcome,) = rebuild(release, {"lc25000": raw_of("lc25000")}, tmp_path / "out", ELSEWHERE)
    assert outcome.whole and outcome.same == len(mine)
    rebuilt = open_dataset(tmp_path / "out")
    assert shards(rebuilt, "lc25000") == shards(mine, "lc25000")
    (again,) = [one for one in rebuilt if one["id"] == record["id"]]
    assert again["answer"] == right and again["images"] == record["images"]


def test_nothing_is_built_into_a_corrected_set(tmp_path: Path) -> None:
    """It would bring the wrong answers back, with verdicts that say they are right."""
    built = build_set(tmp_path / "set", "lc25000")
    record = built[3]
    right = next(one for one in record["options"] if one != record["answer"])
    qoqdata.relabel(built, record["id"], right, why="benign after all", author="ana")
    qoqdata.correct(built, out=tmp_path / "corrected")
    for slug in ("lc25000", "ham10000"):
        with pytest.raises(UsageError, match="answers that people corrected"):
            build_set(tmp_path / "corrected", slug)
    assert open_dataset(tmp_path / "corrected")[3]["answer"] == right
    # The set that it was made from goes on, and what was relabelled there stays out.
    build_set(tmp_path / "set", "lc25000")
    assert record["id"] not in {one["id"] for one in open_dataset(tmp_path / "set")}


def test_nothing_is_built_into_a_rebuilt_set(staged: Dataset, tmp_path: Path) -> None:
    """Its sources have no build there, from which a new manifest could list them."""
    out = tmp_path / "out"
    here = BuildSetting(SALT, workers=0)
    rebuild(staged, {"lc25000": raw_of("lc25000")}, out, here)
    before = (out / "manifest.json").read_bytes()
    with pytest.raises(UsageError, match="holds ham10000, lc25000, ptb_xl, which no build made"):
        build_set(out, "busi")
    assert (out / "manifest.json").read_bytes() == before
    assert list(find(open_dataset(out))) == []
    # The same release may be rebuilt there again, with more raw folders than before.
    rebuild(staged, {"lc25000": raw_of("lc25000")}, out, here)
    assert (out / "manifest.json").read_bytes() == before


def test_nothing_is_rebuilt_into_another_set(staged: Dataset, tmp_path: Path) -> None:
    built = build_set(tmp_path / "set", "busi")
    with pytest.raises(UsageError, match="holds another data set"):
        rebuild(staged, {"lc25000": raw_of("lc25000")}, tmp_path / "set", ELSEWHERE)
    assert list(find(open_dataset(tmp_path / "set"))) == []
    assert list(open_dataset(tmp_path / "set").manifest.sources) == list(built.manifest.sources)
