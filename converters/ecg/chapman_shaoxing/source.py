"""Chapman-Shaoxing-Ningbo: 12-lead ECGs of two hospitals, with SNOMED CT codes in their headers."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.sources.protocol import Converted, Job, Planned, Unit

from ..challenge import convert_recording, plan_recordings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a recording."""
    return plan_recordings(job, under="WFDBRecords")


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Rhythm and findings."""
    return convert_recording(unit, job)
