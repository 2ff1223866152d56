"""What a build leaves beside its shards is what a later pass would take from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from qoqdata.curation.likenesses import SHOWN, likenesses, thumbnails
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from tests.pipeline.conftest import SALT, mapping
from tests.scenes import scene


@pytest.fixture(params=["training", "native"])
def films(tmp_path: Path, request: pytest.FixtureRequest) -> Dataset:
    """JPEG and PNG, grey and colour, kept as they are and encoded anew; one needs more pixels."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "c.png", "d.jpg")):
        pixels = scene(number, 200)
        cv2.imwrite(str(raw / name), pixels if number < 2 else pixels[..., 0])
    deep = scene(9)[..., 0].astype(np.uint16) * 256
    cv2.imwrite(str(raw / "e.png"), deep)
    rows = [f"{name},a,p{name}" for name in ("a.png", "b.jpg", "c.png", "d.jpg", "e.png")]
    (raw / "labels.csv").write_text("\n".join(["file,label,patient", *rows]) + "\n")
    said = mapping("films")
    sources = (SourceRequest(source="image_table", raw=raw, mapping=said),)
    storage = {"policy": request.param} | (
        {"max_pixels": 30_000} if request.param == "training" else {}
    )
    config = BuildConfig(sources=sources, storage=storage)
    build(config, tmp_path / "set", BuildSetting(SALT, workers=0))
    return open_dataset(tmp_path / "set")


def test_what_the_build_left_is_what_the_shards_give(films: Dataset) -> None:
    left = likenesses(films)
    assert dict(left.schema) == SHOWN
    assert left.height == 5
    assert left["record"].to_list() == [0, 1, 2, 3, 4]
    small = thumbnails(films, left)
    shutil.rmtree(films.layout.root / "curation" / "likeness")
    taken = likenesses(films)
    assert taken.select("record", "medium", "place", "shard", "line").equals(
        left.select("record", "medium", "place", "shard", "line")
    )
    # The digests are of the stored pixels or bytes, whoever takes them.
    assert taken.select("first", "second").equals(left.select("first", "second"))
    again = thumbnails(films, taken)
    # A row in 173 is trimmed before they are halved.
    assert np.abs(small.astype(int) - again).max() <= 12
    distances = np.bitwise_count(left["bits"].to_numpy() ^ taken["bits"].to_numpy())
    assert distances.max() <= 2


def test_those_of_another_shard_are_made_anew(films: Dataset) -> None:
    left = likenesses(films)
    slug = films.manifest.shards[0].source
    paths = sorted(films.layout.likenesses(slug).glob("*.parquet"))
    content = paths[0].read_bytes()
    for damage in (content[:-40], b"", content[:50] + b"\0" * 30 + content[80:]):
        paths[0].write_bytes(damage)
        assert likenesses(films).select("first", "second").equals(left.select("first", "second"))
    other = pl.read_parquet(paths[0]).with_columns(pl.lit(0, pl.UInt64).alias("bits"))
    other.write_parquet(paths[0])
    assert likenesses(films)["bits"].null_count() == 0
    assert (likenesses(films)["bits"] != 0).all()


def test_thumbnails_come_in_the_order_asked(films: Dataset) -> None:
    left = likenesses(films)
    whole = thumbnails(films, left)
    np.testing.assert_array_equal(thumbnails(films, left[[3, 0, 3]]), whole[[3, 0, 3]])
