"""A set with single and several images, clips, masks, boxes and ECGs."""

from __future__ import annotations

import pytest

from qoqdata.dataset import Dataset
from tests.publication.conftest import build_set


@pytest.fixture(scope="session")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    slugs = ("ham10000", "ptb_xl", "covid_blues", "kits23")
    return build_set(tmp_path_factory.mktemp("export") / "set", *slugs)


@pytest.fixture(scope="session")
def wanted(varied: Dataset) -> dict[str, dict]:
    """The kept records by id, read by polars."""
    ids = varied.kept()["id"].to_list()
    return {row["id"]: row for row in varied.records.collect().to_dicts() if row["id"] in ids}
