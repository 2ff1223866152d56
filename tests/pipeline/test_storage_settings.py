"""`--storage` and `storage:`: which policy a source is built under, and that the manifest tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import qoqdata
from qoqdata.contract.storage import Storage
from qoqdata.errors import UsageError
from qoqdata.sources import catalogue
from tests.pipeline.conftest import mapping


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One BMP of 1500 x 1000, which keeps no bytes of its own."""
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(tmp_path / "salt"))
    folder = tmp_path / "raw"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (1000, 1500), np.uint8)
    Image.fromarray(pixels).save(folder / "a.bmp")
    (folder / "labels.csv").write_text("file,label,patient\na.bmp,a,p\n")
    return folder


def facts(manifest: Any, out: Path) -> tuple[str, int, int, str]:
    (shard,) = manifest.shards
    (row,) = pq.read_table(out / shard.path).to_pylist()
    (info,) = row["image_info"]
    extension = row["images"][0]["path"].rpartition(".")[2]
    return info["stored_as"], info["width"], info["height"], extension


def test_training_is_the_default(raw: Path, tmp_path: Path) -> None:
    manifest = qoqdata.build(
        "image_table", raw=raw, mapping=mapping("films"), out=tmp_path / "set", workers=0
    )
    assert manifest.sources["films"].storage == Storage()
    # sqrt(1048576 / 1500000) = 0.8361: 1254.1 x 836.1
    assert facts(manifest, tmp_path / "set") == ("training", 1254, 836, "jpg")


@pytest.mark.parametrize(
    "asked",
    [
        {"storage": "native"},
        {"storage": {"policy": "native"}},
        {"mapping": mapping("films") | {"storage": "native"}},
    ],
)
def test_native_by_argument_and_mapping(asked: dict[str, Any], raw: Path, tmp_path: Path) -> None:
    settings = {"mapping": mapping("films")} | asked
    out = tmp_path / "set"
    manifest = qoqdata.build("image_table", raw=raw, out=out, workers=0, **settings)
    assert facts(manifest, out) == ("native", 1500, 1000, "png")


def test_a_source_may_differ_from_its_build(raw: Path, tmp_path: Path) -> None:
    one = {"source": "image_table", "raw": raw, "mapping": mapping("one")}
    two = one | {"mapping": mapping("two"), "storage": {"max_pixels": 10_000}}
    config = {"storage": "native", "sources": [one, two]}
    manifest = qoqdata.build(config=config, out=tmp_path / "set", workers=0)
    stored = {slug: entry.storage for slug, entry in manifest.sources.items()}
    assert stored == {"one": Storage(policy="native"), "two": Storage(max_pixels=10_000)}
    widths = {
        shard.source: pq.read_table(tmp_path / "set" / shard.path)["image_info"][0][0]["width"]
        for shard in manifest.shards
    }
    assert {slug: width.as_py() for slug, width in widths.items()} == {"one": 1500, "two": 122}


PLACES = ("card", "build", "source", "mapping", "command")


@pytest.mark.parametrize("last", range(len(PLACES)))
def test_the_place_nearest_to_the_command_says_how_pixels_are_stored(
    last: int, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of card < build.yaml < its source < mapping < command, those up to `last` speak."""
    said = {place: {"max_pixels": 5_000 + 1_000 * number} for number, place in enumerate(PLACES)}
    said = {place: said[place] for place in PLACES[: last + 1]}
    found = catalogue.find_source("image_table")
    card = found.card.model_copy(update={"storage": Storage(**said["card"])})
    monkeypatch.setattr(catalogue, "find_source", lambda slug: replace(found, card=card))
    own = {"storage": said["mapping"]} if "mapping" in said else {}
    source: dict[str, Any] = {
        "source": "image_table",
        "raw": raw,
        "mapping": mapping("films") | own,
    }
    config: dict[str, Any] = {"sources": [source]}
    if "source" in said:
        source["storage"] = said["source"]
    if "build" in said:
        config["storage"] = said["build"]
    manifest = qoqdata.build(
        config=config, out=tmp_path / "set", workers=0, storage=said.get("command")
    )
    assert manifest.sources["films"].storage == Storage(max_pixels=5_000 + 1_000 * last)


def test_film_mammograms_are_stored_at_four_megapixels() -> None:
    """A calcification of 10 pixels of 3328 x 4096 is 6 at four megapixels, and 3 at one."""
    assert catalogue.cards()["cbis_ddsm"].storage == Storage(max_pixels=4 * 1024 * 1024)


def test_another_policy_builds_anew(raw: Path, tmp_path: Path) -> None:
    heard: list[bool] = []

    def build(storage: str) -> None:
        qoqdata.build(
            "image_table",
            raw=raw,
            mapping=mapping("films"),
            out=tmp_path / "set",
            storage=storage,  # type: ignore[arg-type]
            workers=0,
            progress=lambda event: heard.append(event.reused) if hasattr(event, "reused") else None,
        )

    for storage in ("training", "training", "native"):
        build(storage)
    assert heard == [False, True, False]


def test_settings_that_cannot_be_name_the_field(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="storage"):
        qoqdata.build(
            "image_table",
            raw=raw,
            mapping=mapping("films"),
            out=tmp_path / "set",
            storage={"quality": 5},
            workers=0,
        )
