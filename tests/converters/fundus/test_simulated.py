"""Simulated trees of a useful size: they build, are valid, and every unit is accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoqdata
from qoqdata.sources.catalogue import find_source
from qoqdata.suite.examples import build_example
from qoqdata.validation import find


@pytest.mark.slow
@pytest.mark.parametrize("slug", ["aptos_2019", "messidor2", "jichi"])
def test_500_units_with_quirks(slug: str, tmp_path: Path) -> None:
    source = find_source(slug)
    assert source.simulate is not None
    source.simulate(tmp_path / "raw", 500, seed=5, quirks=True)
    built = build_example(source, tmp_path / "set", raw=tmp_path / "raw")
    assert list(find(built.dataset)) == []
    (entry,) = built.dataset.manifest.sources.values()
    counts = entry.counts
    assert counts.units >= 500
    assert counts.units == counts.converted + counts.quarantined + counts.filtered
    assert counts.records == len(built.records)
    assert qoqdata.curate(built.dataset) is not None
    assert qoqdata.stats(built.dataset) is not None
