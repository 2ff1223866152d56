"""Made-up trees of many units with all quirks: valid, described, and nothing unaccounted for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import qoqdata
from qoqdata.sources.catalogue import find_source, quirks
from qoqdata.suite.examples import build_example
from qoqdata.validation import find

UNITS = 500
SOURCES = (
    *("pad_ufes_20", "isic_2020", "busi", "echonet_dynamic", "covid_us", "bcss"),
    *("vindr_mammo", "cmmd", "aptos_2019", "messidor2", "jichi"),
    *("rspect", "lndb", "hemorrhage", "inspect", "lidc", "kits23"),
)


@pytest.mark.slow
@pytest.mark.parametrize("slug", SOURCES)
def test_five_hundred_units_are_accounted_for(slug: str, tmp_path: Path) -> None:
    source = find_source(slug)
    simulate = import_module(source.module.removesuffix("source") + "simulate").simulate
    simulate(tmp_path / "raw", UNITS, seed=11, quirks=True)
    built = build_example(source, tmp_path / "set", raw=tmp_path / "raw")
    counts = built.dataset.manifest.sources[slug].counts
    assert counts.units >= UNITS
    assert counts.units == counts.converted + counts.quarantined + counts.filtered
    rows = [row for row in built.quarantine if row["outcome"] == "quarantined"]
    assert len(rows) == counts.quarantined
    assert {row["reason"] for row in rows} == quirks(source)
    assert list(find(built.dataset)) == []
    groups: dict[str, set[str]] = {}
    for record in built.records:
        groups.setdefault(record.get("patient", record["study"]), set()).add(record["split"])
    assert {len(splits) for splits in groups.values()} == {1}
    assert counts.records == len(built.records)
    assert qoqdata.curate(built.dataset) is not None
    assert qoqdata.stats(tmp_path / "set")
