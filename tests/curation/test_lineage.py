"""Where records come from, told by the set alone, and made again from the raw files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

import qoqdata
from qoqdata.curation.decisions import decide, undo
from qoqdata.curation.lineage import lineage
from qoqdata.curation.replay import replay
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HAM10000's example and its raw files, in one folder."""
    root = tmp_path_factory.mktemp("lineage")
    source = catalogue.find_source("ham10000")
    shutil.copytree(source.folder / "example" / "raw", root / "raw")
    request = SourceRequest(source="ham10000", raw=root / "raw")
    build_requests([(source, request)], root / "set", BuildSetting(SALT, workers=0))
    return root


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Dataset:
    return open_dataset(shutil.copytree(built / "set", tmp_path / "set"))


@pytest.fixture
def raw(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built / "raw", tmp_path / "raw"))


def first(dataset: Dataset) -> str:
    return str(dataset.metadata(["id"])["id"][0])


def test_from_raw_files_to_rollouts(dataset: Dataset, tmp_path: Path) -> None:
    id_ = first(dataset)
    qoqdata.stats(dataset.root, prior=True)
    rollouts = tmp_path / "rollouts.parquet"
    other = dataset.metadata(["id"])["id"][1]
    pl.DataFrame({"id": [id_, other, id_], "reward": [0.25, 0.5, 1.0]}).write_parquet(rollouts)
    made = lineage(dataset, id_, rollouts=rollouts)
    whole = next(row for row in dataset if row["id"] == id_)
    assert made.record["provenance"] == whole["provenance"]
    assert set(whole) - set(made.record) == {"images", "masks", "ecg"}
    shard = next(s for s in dataset.manifest.shards if s.path == made.shard["path"])
    assert made.shard["sha256"] == shard.sha256
    ids = pl.read_parquet(dataset.root / shard.path, columns=["id"])["id"]
    assert id_ in ids.to_list()
    assert made.origin["code_digest"] == dataset.manifest.sources["ham10000"].code_digest
    assert made.kept and made.verdicts == made.decisions == [] and made.stale is None
    assert [(row["level"], row["key"]) for row in made.statistics] == [
        ("domain", "dermoscopy"),
        ("source", "ham10000"),
    ]
    assert [row["policy"] for row in made.rates] == ["prior-label-entropy"]
    assert made.rollouts == [0.25, 1.0]


def test_decisions_are_told_in_order_also_those_taken_back(dataset: Dataset) -> None:
    id_, other = dataset.metadata(["id"])["id"][:2]
    decide(dataset, id_, False, "cut off", "ana")
    decide(dataset, other, False, "blurred", "ana")
    undo(dataset, id_, "ben")
    decide(dataset, id_, False, "cut off after all", "ben")
    made = lineage(dataset, id_)
    assert [(line.order, line.author) for line in made.decisions] == [
        (1, "ana"),
        (3, "ben"),
        (4, "ben"),
    ]
    assert not made.kept
    assert [(row["rule"], row["verdict"]) for row in made.verdicts] == [("person", "drop")]
    assert made.stale == "there are no statistics yet" and not made.statistics


def test_an_unknown_id(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="holds no record '0f3a'"):
        lineage(dataset, "0f3a")


def test_a_replay_gives_the_same_bytes(dataset: Dataset, raw: Path) -> None:
    for id_ in dataset.metadata(["id"])["id"][:3]:
        made = replay(dataset, lineage(dataset, id_), raw, SALT)
        assert made.same and made.differ == () and made.failure is None and made.changed == ()


def test_a_replay_names_what_differs(dataset: Dataset, raw: Path) -> None:
    """Of another image the pixels, their digest and nothing else."""
    made = lineage(dataset, first(dataset))
    images = [
        next(path for path in row["provenance"]["raw"] if path.endswith(".jpg")) for row in dataset
    ]
    image = next(path for path in made.record["provenance"]["raw"] if path.endswith(".jpg"))
    other = next(path for path in images if path != image)
    shutil.copyfile(raw / other, raw / image)
    again = replay(dataset, made, raw, SALT)
    assert not again.same and set(again.differ) >= {"images", "provenance"}
    assert not {"id", "answer", "split", "patient", "labels"} & set(again.differ)
    (raw / image).write_bytes(b"no image")
    again = replay(dataset, made, raw, SALT)
    assert not again.same and again.failure is not None and again.differ == ()


def test_another_salt_and_another_folder_are_refused(
    dataset: Dataset, raw: Path, tmp_path: Path
) -> None:
    made = lineage(dataset, first(dataset))
    with pytest.raises(UsageError, match="another salt"):
        replay(dataset, made, raw, Salt(b"0" * 32))
    record = made.record | {"provenance": made.record["provenance"] | {"raw": ["gone.jpg"]}}
    with pytest.raises(DatasetError, match="has no unit of the files"):
        replay(dataset, replace(made, record=record), raw, SALT)
