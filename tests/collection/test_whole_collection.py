"""All sources at once: from made-up raw files to one set that keeps its promises."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoqdata
from qoqdata.collection.collection import load_collection


@pytest.mark.slow
def test_every_simulated_source_of_the_collection_becomes_one_set(tmp_path: Path) -> None:
    """Counts are reconciled source by source; nothing is published that may not be."""
    raw, out, units = tmp_path / "raw", tmp_path / "set", 20
    files = qoqdata.simulate_all(n=units, out=raw, seed=3, quirks=True)
    slugs = [part.source for part in load_collection("qoq_med").parts]
    manifest = qoqdata.build(config="qoq_med", raw=raw, out=out, workers=0)
    assert set(manifest.sources) == set(slugs) & set(files)
    for slug, entry in manifest.sources.items():
        counts = entry.counts
        assert counts.units == counts.converted + counts.quarantined + counts.filtered, slug
        assert counts.records == sum(counts.by_split.values()), slug
        assert counts.records, slug
    assert qoqdata.validate(out) == []
    dataset = qoqdata.open(out)
    passed = qoqdata.curate(out, burned_in=False)
    dropped = set(passed.verdicts.filter(keep=False)["id"])
    total = sum(entry.counts.records for entry in manifest.sources.values())
    assert len(qoqdata.open(out)) == total - len(dropped)
    assert qoqdata.stats(out, prior=True)
    domains = set(dataset.records.select("domain").unique().collect()["domain"])
    cards = qoqdata.cards()
    assert {cards[slug].domain for slug in manifest.sources} <= domains
