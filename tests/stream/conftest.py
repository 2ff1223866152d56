"""Shared data sets of the stream's tests."""

from __future__ import annotations

import pytest

from qoqdata.dataset import Dataset
from tests.stream.sets import Part, write

PARTS = (
    Part("films", "chest_xray", (37, 23, 40), labels=("Opacity", "Effusion")),
    Part("scans", "ct", (19, 11)),
    Part("hearts", "ecg", (13,), labels=("AFIB", "Opacity", "Normal")),
    Part("films", "chest_xray", (7,), split="validation"),
)


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """143 training records of three domains in six shards and 31 row groups; 7 for validation."""
    return write(tmp_path_factory.mktemp("mixed"), PARTS)
