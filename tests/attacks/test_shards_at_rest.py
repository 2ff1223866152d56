"""Shards that change between two builds, and what others on the machine may read."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication.staging import stage
from qoqdata.suite.examples import SALT
from qoqdata.validation import find
from tests.publication.conftest import build_set, raw_of


@pytest.fixture
def built(tmp_path: Path) -> Dataset:
    return build_set(tmp_path / "set", "lc25000", shard_units=4)


def again(dataset: Dataset) -> None:
    request = SourceRequest(source="lc25000", raw=raw_of("lc25000"))
    config = BuildConfig(name="mixed", sources=(request,), shard_units=4)
    build(config, dataset.root, BuildSetting(SALT, workers=0))


def truncate(first: Path, second: Path) -> None:
    first.write_bytes(first.read_bytes()[:-10])


def pad(first: Path, second: Path) -> None:
    """As a file system leaves a file whose last blocks were never written."""
    content = first.read_bytes()
    first.write_bytes(content[:-4096] + bytes(4096))


def swap(first: Path, second: Path) -> None:
    """Of equal size: only the content tells them apart."""
    content = second.read_bytes()
    second.write_bytes(first.read_bytes())
    first.write_bytes(content)


def remove(first: Path, second: Path) -> None:
    first.unlink()


@pytest.mark.parametrize("damage", [truncate, pad, swap, remove])
def test_a_build_makes_a_changed_shard_anew(
    built: Dataset, damage: Callable[[Path, Path], None]
) -> None:
    first, second, *_ = built.paths
    before = {path: path.read_bytes() for path in built.paths}
    manifest = built.layout.manifest.read_bytes()
    damage(first, second)
    assert list(find(built)) != []
    again(built)
    assert {path: path.read_bytes() for path in built.paths} == before
    assert built.layout.manifest.read_bytes() == manifest


def test_a_flipped_bit_is_found_before_anything_is_sent(built: Dataset, tmp_path: Path) -> None:
    path = built.paths[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match=f"{path.name}: differs from its digest"):
        stage(built, tmp_path / "release")


def test_what_names_raw_files_is_for_the_owner_only(built: Dataset) -> None:
    for folder in (built.layout.build, built.layout.quarantine("lc25000").parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
