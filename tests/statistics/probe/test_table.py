"""The probe over a whole data set: a source that images decide, and one that nothing decides."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from qoqdata.cli.main import app
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import UsageError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.statistics import difficulty
from qoqdata.statistics.difficulty import PROBE
from qoqdata.statistics.probe.table import probe_difficulty, write_probe
from tests.pipeline.conftest import SALT, mapping


def films(root: Path, labels: list[str], *, bright: str | None) -> Path:
    """Two images of each of many patients; those labelled `bright` are brighter."""
    rng = np.random.default_rng(len(labels))
    rows = ["file,patient,label,set"]
    root.mkdir(parents=True)
    for number, label in enumerate(labels):
        level = 170 if label == bright else 90
        pixels = rng.normal(level, 25, (48, 48)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number:03d}.png"), pixels)
        rows.append(f"{number:03d}.png,p{number // 2},{label},train")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


def request(slug: str, raw: Path) -> SourceRequest:
    said = mapping(slug)
    said["table"]["split"] = "set"
    return SourceRequest(source="image_table", raw=raw, mapping=said)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("probe")
    labels = ["a" if draw else "b" for draw in np.random.default_rng(3).integers(0, 2, 160)]
    requests = (
        request("told_films", films(root / "told", labels, bright="a")),
        request("mute_films", films(root / "mute", labels, bright=None)),
        request("few_films", films(root / "few", ["a", "b"], bright="a")),
    )
    build(BuildConfig(sources=requests), root / "set", BuildSetting(SALT, workers=0))
    return open_dataset(root / "set")


def means(dataset: Dataset, table: pl.DataFrame) -> dict[str, float]:
    sources = dataset.metadata().select("id", "source")
    by_source = table.join(sources, on="id").group_by("source").agg(pl.col("success_rate").mean())
    return dict(by_source.iter_rows())


def test_what_images_decide_is_easy_and_what_nothing_decides_is_not(built: Dataset) -> None:
    heard = []
    table, left_out = probe_difficulty(
        built, progress=lambda done, total: heard.append((done, total))
    )
    found = means(built, table)
    assert found["told_films"] > 0.95
    assert 0.3 < found["mute_films"] < 0.7
    assert left_out == ["few_films, diagnosis"]
    train = built.kept().filter(pl.col("split") == "train")
    assert set(table["id"]) == set(train.filter(pl.col("source") != "few_films")["id"])
    assert heard[-1] == (train.height, train.height)
    assert table["n_rollouts"].unique().to_list() == [0]


def test_a_limit_draws_the_same_questions_of_each_source_again(built: Dataset) -> None:
    table, _ = probe_difficulty(built, limit=40)
    again, _ = probe_difficulty(built, limit=40)
    assert table.equals(again)
    sources = table.join(built.metadata().select("id", "source"), on="id")["source"]
    assert sources.value_counts()["count"].to_list() == [40, 40]


def test_the_command_writes_what_statistics_use_until_a_policy_is_known(built: Dataset) -> None:
    root = str(built.root)
    done = CliRunner().invoke(app, ["difficulty", root, "--probe"])
    assert done.exit_code == 0, done.output
    assert "few_films, diagnosis: too few patients" in done.output
    assert CliRunner().invoke(app, ["difficulty", root, "--prior"]).exit_code == 0
    chosen = difficulty.choose(built.layout)
    assert chosen is not None and chosen["policy"].unique().to_list() == [PROBE]
    assert CliRunner().invoke(app, ["stats", root]).exit_code == 0
    sources = dict(open_dataset(built.root).stats.sources.select("key", "success_rate").iter_rows())
    assert sources["told_films"] > 0.95
    assert sources["few_films"] is None
    assert open_dataset(built.root).stats.domains["policy"].to_list() == [PROBE]


def test_too_few_patients_for_any_question(tmp_path: Path) -> None:
    requests = (request("few_films", films(tmp_path / "few", ["a", "b"], bright="a")),)
    build(BuildConfig(sources=requests), tmp_path / "set", BuildSetting(SALT, workers=0))
    with pytest.raises(UsageError, match="no question can be probed: too few patients"):
        write_probe(open_dataset(tmp_path / "set"))


def test_one_origin_of_difficulty_at_a_time(built: Dataset) -> None:
    done = CliRunner().invoke(app, ["difficulty", str(built.root), "--probe", "--prior"])
    assert done.exit_code != 0
    assert "one of --from ROLLOUTS, --probe and --prior" in str(done.exception)
