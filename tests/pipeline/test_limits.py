"""Limits of build.yaml: what is larger ends in quarantine, with the limit's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from qoqdata.errors import UsageError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildSetting, SourceRequest, load_config
from tests.pipeline.conftest import SALT


def config(tmp_path: Path, request: SourceRequest, limits: dict[str, object]) -> Path:
    path = tmp_path / "build.yaml"
    content = {"sources": [request.model_dump(mode="json")], "limits": limits}
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(("bound", "built"), [(1999, 0), (2000, 4)])
def test_a_image_beyond_the_limit_is_quarantined(
    tmp_path: Path, films: Callable[..., SourceRequest], bound: int, built: int
) -> None:
    """The images of `films` have 40 x 50 pixels."""
    path = config(tmp_path, films(4), {"image_pixels": bound})
    manifest = build(load_config(path), tmp_path / "set", BuildSetting(SALT, workers=0))
    counts = manifest.sources["films"].counts
    assert (counts.converted, counts.quarantined) == (built, 4 - built)
    if not built:
        table = pl.read_parquet(tmp_path / "set/quarantine/films.parquet")
        assert set(table["reason"]) == {"too_large"}
        assert all("raise limits.image_pixels" in text for text in table["message"])


def test_a_limit_that_does_not_exist_is_refused(
    tmp_path: Path, films: Callable[..., SourceRequest]
) -> None:
    path = config(tmp_path, films(1), {"image_pixel": 5})
    with pytest.raises(UsageError, match="Unexpected keyword") as caught:
        load_config(path)
    assert caught.value.where is not None
    assert caught.value.where.endswith("build.yaml, line 2, limits.image_pixel")


@pytest.mark.parametrize("bound", [0, -1])
def test_a_limit_that_admits_nothing_is_refused(
    tmp_path: Path, films: Callable[..., SourceRequest], bound: int
) -> None:
    path = config(tmp_path, films(1), {"frames": bound})
    with pytest.raises(UsageError, match="frames must be at least 1"):
        load_config(path)
