"""CPSC2018: 12-lead ECGs of the China Physiological Signal Challenge, with nine classes."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Converted, Job, Planned, Skipped, Unit

from ..challenge import plan_recordings, twin_notes
from ..recordings import questions, read_recording

NORMAL = "Normal ECG"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a recording."""
    return plan_recordings(job, under="training/cpsc_2018")


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The classes of a recording, which the card maps its codes to: 426783006 is Normal here."""
    labels = {translate(job.card, code, where=unit.key) for code in unit.facts["codes"]}
    if NORMAL in labels and len(labels) > 1:
        return [Skipped("findings", "normal_with_finding", ", ".join(sorted(labels)))]
    recording = read_recording(unit.files[0], job)
    asked = [ask(job.card, "findings", labels)]
    notes = twin_notes(unit)
    return questions(asked, recording, age=recording.age, sex=recording.sex, notes=notes)
