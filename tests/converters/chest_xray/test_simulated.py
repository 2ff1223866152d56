"""Large made-up trees of every chest X-ray source, from raw files to statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoqdata

UNITS = 500
SOURCES = [slug for slug in qoqdata.simulated() if qoqdata.cards()[slug].domain == "chest_xray"]


@pytest.mark.slow
@pytest.mark.parametrize("slug", SOURCES)
def test_a_large_tree_with_quirks_keeps_its_counts(tmp_path: Path, slug: str) -> None:
    """Units are converted, quarantined or filtered, and every record is counted by each command."""
    raw, out = tmp_path / "raw", tmp_path / "set"
    qoqdata.simulate(slug, n=UNITS, out=raw, seed=7, quirks=True)
    manifest = qoqdata.build(slug, raw=raw, out=out, workers=0)
    counts = manifest.sources[slug].counts
    assert counts.units == counts.converted + counts.quarantined + counts.filtered >= UNITS
    assert counts.converted > 0.9 * UNITS and counts.quarantined > 0
    assert counts.records == sum(counts.by_split.values()) == len(qoqdata.open(out))
    assert qoqdata.validate(out) == []
    dropped = qoqdata.curate(out).verdicts.height
    (counted,) = qoqdata.stats(out).sources["n_records"]
    assert counts.by_split["train"] - dropped <= counted <= counts.by_split["train"]
