"""A data set with a source of each kind: pixels, recipe, withheld."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication import privacy
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT

SLUGS = ("ham10000", "lc25000", "ptb_xl", "covid_blues")


def raw_of(slug: str) -> Path:
    return catalogue.find_source(slug).folder / "example" / "raw"


def build_set(out: Path, *slugs: str, salt=SALT, shard_units: int | None = None) -> Dataset:
    requests = tuple(SourceRequest(source=slug, raw=raw_of(slug)) for slug in slugs)
    config = BuildConfig(name="mixed", sources=requests, shard_units=shard_units)
    build(config, out, BuildSetting(salt, workers=0))
    return open_dataset(out)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four examples, curated; lc25000 in several shards."""
    dataset = build_set(tmp_path_factory.mktemp("publish") / "set", *SLUGS, shard_units=4)
    qoqdata.curate(dataset)
    return dataset


@pytest.fixture
def salt_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The salt of the examples where commands look for one, and a cache that ends with the test."""
    salt = tmp_path / "salt"
    salt.write_text(SALT.secret.hex())
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(salt))
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module", autouse=True)
def shipped_cards_are_read_once() -> Iterator[None]:
    """Every publication reads the cards of all installed sources, which no test here changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(privacy, "_shipped_texts", cache(privacy._shipped_texts))
        yield
