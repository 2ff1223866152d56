"""Shared fixtures: the optional folder of real clinical files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Root of the real files: $QOQDATA_REALDATA, or `shared/realdata` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "realdata"
    root = Path(os.environ.get("QOQDATA_REALDATA", beside))
    if not (root / "MANIFEST.tsv").is_file():
        pytest.skip(f"no real files at {root}; set QOQDATA_REALDATA to run this test")
    return root
