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
    *("vindr_mammo", "cmmd", "cbis_ddsm", "aptos_2019", "messidor2", "jichi"),
    *("ham10000", "lc25000", "covid_blues", "chase_db1", "pocus"),
    *("brain_tumor", "brain_mri", "isles22", "mimic_iv"),
    *("ptb_xl", "mimic_iv_ecg", "chapman_shaoxing", "georgia", "cpsc2018"),
    *("rspect", "lndb", "hemorrhage", "inspect", "lidc", "kits23"),
    *("vqa_rad", "path_vqa", "pmc_vqa", "medxpertqa_mm", "omnimedvqa", "gmai_mmbench"),
    *("funbench", "u2_bench", "ecgbench", "ecg_grounding"),
)
CHEST = [
    slug
    for slug, card in qoqdata.cards().items()
    if card.domain == "chest_xray" and slug in qoqdata.simulated()
]


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
    # Before curation: made-up images of one kind look alike, and all of train may leak into test.
    if source.card.role == "training":
        assert qoqdata.stats(tmp_path / "set")
    assert qoqdata.curate(built.dataset) is not None


@pytest.mark.slow
@pytest.mark.parametrize("slug", CHEST)
def test_every_record_is_counted_by_each_command(slug: str, tmp_path: Path) -> None:
    """Units are converted, quarantined or filtered, from raw files to statistics."""
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
