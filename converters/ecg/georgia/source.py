"""Georgia 12-lead ECG: recordings of the PhysioNet/CinC Challenges with SNOMED CT codes."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg.header import WfdbHeader
from qoqdata.sources.protocol import Converted, Job, Planned, Unit

from ..challenge import convert_recording, plan_recordings

#: Steps a mV in headers of the Challenge of 2020. That of 2021 has the same samples at 1000 a mV.
OUTDATED_GAIN = 4880


def plan(job: Job) -> Iterator[Planned]:
    """One unit a recording, but for headers of 2020, whose amplitudes are a fifth of the true."""
    return plan_recordings(job, under="training/georgia", check=_refuse_outdated)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Rhythm, findings and axis."""
    return convert_recording(unit, job)


def _refuse_outdated(header: WfdbHeader) -> None:
    if any(line.gain == OUTDATED_GAIN for line in header.signals):
        what = f"states {OUTDATED_GAIN} steps a mV, which the release of 2021 corrected to 1000"
        raise UnreadableFile(what, where=header.record, fix="fetch Challenge 2021, release 1.0.3")
