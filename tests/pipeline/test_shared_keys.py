"""Sources of one namespace contradict each other about a study or a patient: refused, and told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.contract.manifest import Manifest
from qoqdata.dataset import open_dataset
from qoqdata.pipeline import parts
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, build_part, finish
from qoqdata.pipeline.splits import hashed_split
from qoqdata.sources.protocol import Job, Planned
from qoqdata.validation import find
from tests.pipeline import toys
from tests.pipeline.conftest import SALT
from tests.pipeline.toys import keys, raw_tree, run, toy

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
SOURCES = {slug: toy(slug, keys=keys("hospital")) for slug in ("films", "hearts")}
APART = {slug: toy(slug, keys=keys()) for slug in SOURCES}
#: In both: s1 of two patients in two splits, s2 of two patients in one, s3 of nobody knows whom,
#: s4 as it should be. The patient of s5 is officially elsewhere in the other source.
TRAIN, OTHER, TEST = "p1", "p2", "p18"
FILMS = [
    *(("s1", TRAIN, ""), ("s2", TRAIN, ""), ("s3", TEST, ""), ("s4", OTHER, "")),
    *(("s5", "p4", "test"), ("f", OTHER, "")),
]
HEARTS = [
    *(("s1", TEST, ""), ("s2", OTHER, ""), ("s3", "", ""), ("s4", OTHER, "")),
    *(("s6", "p4", ""), ("h", TEST, "")),
]
WRONG = {"films": {"s1", "s2", "s3", "s5"}, "hearts": {"s1", "s2", "s3", "s6"}}


def splits_by_hash(*names: str) -> list[str]:
    return [hashed_split("hospital", name, SHARES) for name in names]  # type: ignore[arg-type]


@pytest.fixture
def raw(tmp_path: Path) -> dict[str, Path]:
    return {
        "films": raw_tree(tmp_path / "films", FILMS),
        "hearts": raw_tree(tmp_path / "hearts", HEARTS),
    }


def left_out(root: Path) -> dict[str, set[str]]:
    found = {}
    for slug in SOURCES:
        path = root / "quarantine" / f"{slug}.parquet"
        rows = pl.read_parquet(path).to_dicts() if path.exists() else []
        assert {row["reason"] for row in rows} <= {"contradicted_key"}
        assert {row["stage"] for row in rows} <= {"plan"}
        found[slug] = {row["unit"] for row in rows}
    return found


def counts_reconcile(manifest: Manifest, root: Path) -> None:
    for slug, entry in manifest.sources.items():
        units = len(FILMS if slug == "films" else HEARTS)
        assert entry.counts.units == units
        assert entry.counts.quarantined + entry.counts.converted == units
    assert list(find(open_dataset(root))) == []


def test_the_trees_are_what_they_claim() -> None:
    train, other, test, third, fifth = splits_by_hash(TRAIN, OTHER, TEST, "s3", "p4")
    assert train == other == third == fifth == "train" and test == "test"


def test_both_are_refused_whatever_their_order(raw: dict[str, Path], tmp_path: Path) -> None:
    digests = set()
    for order in (("films", "hearts"), ("hearts", "films")):
        out = tmp_path / f"{order[0]}-first"
        manifest = run(out, *((SOURCES[slug], raw[slug]) for slug in order))
        assert left_out(out) == WRONG
        counts_reconcile(manifest, out)
        digests.add(manifest.digest)
    assert len(digests) == 1
    messages = pl.read_parquet(tmp_path / "films-first/quarantine/films.parquet")
    told = dict(messages.select("unit", "message").iter_rows())
    assert told["s2"].startswith("s2: the study, which hearts has too, has two patients. Fix: ")
    assert "the study, which hearts has too, is in test and train" in told["s3"]
    assert "its patient 'p4', which hearts has too, is in test and train" in told["s5"]
    assert "splits.patients" in told["s5"]


@pytest.mark.parametrize("order", [("films", "hearts"), ("hearts", "films")])
def test_what_was_built_before_stays(
    raw: dict[str, Path], tmp_path: Path, order: tuple[str, str]
) -> None:
    first, second = order
    out = tmp_path / "set"
    alone = run(out, (SOURCES[first], raw[first]))
    counts_reconcile(alone, out)
    manifest = run(out, (SOURCES[second], raw[second]))
    assert left_out(out) == {first: set(), second: WRONG[second]}
    counts_reconcile(manifest, out)
    # Once built together, both are what they are from scratch.
    both = [(SOURCES[slug], raw[slug]) for slug in order]
    together = run(out, *both)
    assert left_out(out) == WRONG
    assert together.digest == run(tmp_path / "scratch" / "set", *both).digest


def test_in_parts_as_in_one(raw: dict[str, Path], tmp_path: Path) -> None:
    setting = BuildSetting(SALT, workers=0)
    pairs = [
        (source, SourceRequest(source=slug, raw=raw[slug])) for slug, source in SOURCES.items()
    ]
    config = BuildConfig(sources=tuple(request for _, request in pairs))
    out = tmp_path / "parts" / "set"
    parts.plan(pairs, out, setting, config)
    build_part(out, Part(1, 1), setting, SOURCES.__getitem__)
    manifest = finish(out, setting, SOURCES.__getitem__)
    assert left_out(out) == WRONG
    counts_reconcile(manifest, out)
    whole = run(tmp_path / "set", *((SOURCES[slug], raw[slug]) for slug in SOURCES))
    assert manifest.digest == whole.digest


def test_without_a_namespace_names_mean_nothing_elsewhere(
    raw: dict[str, Path], tmp_path: Path
) -> None:
    run(tmp_path / "set", *((APART[slug], raw[slug]) for slug in APART))
    assert left_out(tmp_path / "set") == {"films": set(), "hearts": set()}


def test_a_record_that_names_the_study_of_another_unit(tmp_path: Path) -> None:
    """Of one source: such units are in one split, whatever it is called."""

    def convert(unit: Any, job: Job) -> Any:
        (record,) = toys.convert(unit, job)
        # By item, so that the two are not one record.
        below = replace(record, study=f"{unit.key}/x", item="whole")
        return [record if "/" in unit.key else below]

    def plan(job: Job) -> Iterable[Planned]:
        for unit in toys.plan(job):
            yield unit
            yield replace(unit, key=f"{unit.key}/x", group=f"other {unit.key}", patient=None)

    studies = [(f"s{n}", f"p{n}", "") for n in range(40)]
    source = replace(toy("films", convert), plan=plan)
    manifest = run(tmp_path / "set", (source, raw_tree(tmp_path / "raw", studies)))
    assert manifest.sources["films"].counts.converted == 80
    assert [one for one in find(open_dataset(tmp_path / "set")) if "split" in one.rule] == []
