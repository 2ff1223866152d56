"""Chapman-Shaoxing-Ningbo: 12-lead ECGs of two hospitals, with SNOMED CT codes in their headers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qoqdata.sources.protocol import Converted, Job, Planned, Unit

from ..challenge import convert_recording, plan_recordings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a recording; those of a benchmark's list are tests."""
    held_out = _listed(job)
    for item in plan_recordings(job, under="WFDBRecords"):
        if isinstance(item, Unit) and item.key in held_out:
            yield replace(item, split="test")
        else:
            yield item


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Rhythm, findings and axis."""
    return convert_recording(unit, job)


def _listed(job: Job) -> frozenset[str]:
    """Recordings that the table of the option `held_out` names by their path."""
    table = job.options.get("held_out")
    if not table:
        return frozenset()
    paths = job.raw.csv(str(table), columns=["ecg_path"])["ecg_path"].drop_nulls()
    return frozenset(path.rpartition("/")[2].removesuffix(".mat") for path in paths)
