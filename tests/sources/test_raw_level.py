"""A raw folder that is a level off is told with the one that is right."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from qoqdata.contract.manifest import Manifest
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.pipeline.progress import SourceRefused
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT


def told(slug: str, raw: Path, out: Path) -> tuple[Manifest, str]:
    """The manifest of a build from a wrong folder, and what the person at the console is told."""
    source = catalogue.find_source(slug)
    mapping = source.folder / "example" / "mapping.yaml"
    request = SourceRequest(source=slug, raw=raw, mapping=mapping if mapping.is_file() else None)
    events: list[Any] = []
    setting = BuildSetting(SALT, workers=0, listen=events.append)
    manifest = build_requests([(source, request)], out, setting)
    (refused,) = [event for event in events if isinstance(event, SourceRefused)]
    return manifest, refused.message


@pytest.fixture(params=["ptb_xl", "georgia", "covid_blues", "image_table", "nifti_pairs"])
def slug(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    example = catalogue.find_source(request.param).folder / "example" / "raw"
    shutil.copytree(example, tmp_path / "above" / "deep" / "right")
    return request.param


def test_from_above(slug: str, tmp_path: Path) -> None:
    manifest, message = told(slug, tmp_path / "above", tmp_path / "set")
    assert f"was looked for in {tmp_path}/above" in message
    assert message.endswith(f"it is in {tmp_path}/above/deep/right: name that folder with --raw")
    # What is written names no place of this machine.
    (entry,) = manifest.sources.values()
    assert entry.refused is not None
    assert entry.refused.endswith("it is in deep/right: name that folder with --raw")
    assert str(tmp_path) not in entry.refused


def test_from_below(slug: str, tmp_path: Path) -> None:
    right = tmp_path / "above" / "deep" / "right"
    below = next(path for path in sorted(right.rglob("*")) if path.is_dir())
    message = told(slug, below, tmp_path / "set")[1]
    up = "/".join([".."] * len(below.relative_to(right).parts))
    assert message.endswith(f"it is in {below}/{up}: name that folder with --raw")


def test_several_places_are_all_named_and_nothing_is_said_of_none(tmp_path: Path) -> None:
    for name in ("one", "two", ".hidden"):
        (tmp_path / "raw" / name).mkdir(parents=True)
        (tmp_path / "raw" / name / "severity.csv").write_text("")
    message = told("covid_blues", tmp_path / "raw", tmp_path / "set")[1]
    one, two = tmp_path / "raw" / "one", tmp_path / "raw" / "two"
    assert f"it is in {one}, {two}: name one of them with --raw" in message
    (tmp_path / "empty").mkdir()
    assert "--raw" not in told("covid_blues", tmp_path / "empty", tmp_path / "none")[1]


def test_a_linked_folder_is_not_searched(tmp_path: Path) -> None:
    shutil.copytree(
        catalogue.find_source("covid_blues").folder / "example" / "raw", tmp_path / "elsewhere"
    )
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "link").symlink_to(tmp_path / "elsewhere")
    assert "--raw" not in told("covid_blues", tmp_path / "raw", tmp_path / "set")[1]
