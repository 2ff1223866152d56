"""A small data set, and a server on loopback that serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from qoqdata.dataset import Dataset
from qoqdata.remote import faults
from qoqdata.statistics import difficulty
from tests.records.sound_rows import encoded, facts, image_row
from tests.remote.servers import Site, serving
from tests.statistics.written import write_stats
from tests.validation.written_set import write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as ever, with hardly a wait between them."""
    monkeypatch.setattr(faults, "WAITS", tuple(wait / 100 for wait in faults.WAITS))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the test, by the environment."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("QOQDATA_CACHE", str(folder))
    monkeypatch.delenv("QOQDATA_CACHE_BYTES", raising=False)
    return folder


#: Pixels; shards must outgrow what a reader of a footer fetches at least (64 KB).
SIDE = 160


def noise(seed: int, size: int = SIDE) -> bytes:
    """A PNG of random pixels, which nothing compresses."""
    from io import BytesIO

    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    with BytesIO() as stream:
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue()


def row(number: int, split: str) -> dict:
    image = {"bytes": noise(number), "path": "0.png"}
    mask = {"bytes": encoded(width=SIDE, height=SIDE), "path": "0-mask.png"}
    return image_row(
        id=f"r{number}",
        split=split,
        patient=f"p{number}",
        study=f"s{number}",
        images=[image],
        image_info=[facts(width=SIDE, height=SIDE)],
        masks=[mask],
    )


@pytest.fixture
def local(tmp_path: Path) -> Dataset:
    """Three shards, a dropped record, statistics and a difficulty table, in a folder."""
    rows = [
        row(number, split) for split in ("train", "validation", "test") for number in _of(split)
    ]
    dataset = write(tmp_path / "site" / "set", rows)
    dataset.layout.verdicts.parent.mkdir()
    verdicts = pl.DataFrame({"id": ["r1", "r2"], "keep": [False, True], "rule": ["leakage"] * 2})
    verdicts.write_parquet(dataset.layout.verdicts)
    kept = dataset.kept().filter(pl.col("split") == "train")
    rollouts = tmp_path / "rollouts.parquet"
    pl.DataFrame({"id": kept["id"], "rewards": [[0.0, 1.0]] * kept.height}).write_parquet(rollouts)
    scored = difficulty.from_rollouts(rollouts, policy="some-policy", scorer="exact")
    difficulty.write_difficulty(dataset.layout, scored)
    write_stats(dataset)
    return dataset


def _of(split: str) -> range:
    return {"train": range(6), "validation": range(6, 9), "test": range(9, 12)}[split]


@pytest.fixture
def site(local: Dataset) -> Iterator[Site]:
    """The parent of the data set's folder, served; the data set is at `site.url + "/set"`."""
    with serving(Site(local.root.parent)) as running:
        yield running
