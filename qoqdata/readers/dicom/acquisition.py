"""Where a slice lies and how it was acquired: what tells the stacks of one series apart."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.functional_groups import holder

_NUMBERS = {
    "acquisition_number": "AcquisitionNumber",
    "series_number": "SeriesNumber",
    "echo_time": "EchoTime",
    "echo_number": "EchoNumbers",
    "inversion_time": "InversionTime",
    "temporal_position": "TemporalPositionIdentifier",
    "trigger_time": "TriggerTime",
    "cardiac_phase": "NominalPercentageOfCardiacPhase",
    "frame_reference_time": "FrameReferenceTime",
    "b_value": "DiffusionBValue",
}


@dataclass(frozen=True)
class Acquisition:
    """Facts of one frame; what the file does not say, or says badly, is None.

    `position` is that of the first pixel in mm, `orientation` the direction cosines of a row and of
    a column (LPS); times are in ms, the cardiac phase in percent, the b-value in s/mm2 with its
    `gradient` direction. `image_type` is empty where there is none.
    """

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    image_type: tuple[str, ...]
    acquisition_number: float | None
    series_number: float | None
    echo_time: float | None
    echo_number: float | None
    inversion_time: float | None
    temporal_position: float | None
    trigger_time: float | None
    cardiac_phase: float | None
    frame_reference_time: float | None
    b_value: float | None
    gradient: tuple[float, ...] | None

    @property
    def placed(self) -> bool:
        """Whether the frame has a place in the patient."""
        return self.position is not None and self.orientation is not None


def acquisition(dataset: Dataset, frame: int) -> Acquisition:
    """The facts of a 0-based frame; place and orientation may lie in functional groups.

    Never raises for a bad value.
    """
    numbers = {name: _numbers(dataset, keyword) for name, keyword in _NUMBERS.items()}
    return Acquisition(
        position=_placed(dataset, frame, "PlanePositionSequence", "ImagePositionPatient", 3),
        orientation=_placed(
            dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient", 6
        ),
        image_type=elements.code_strings(dataset, "ImageType"),
        gradient=_numbers(dataset, "DiffusionGradientOrientation"),
        **{name: values[0] if values else None for name, values in numbers.items()},
    )


def _placed(
    dataset: Dataset, frame: int, macro: str, keyword: str, count: int
) -> tuple[float, ...] | None:
    try:
        values = elements.numbers(holder(dataset, frame, macro, keyword), keyword)
    except UnreadableFile:
        return None
    return values if values is not None and len(values) == count else None


def _numbers(dataset: Dataset, keyword: str) -> tuple[float, ...] | None:
    try:
        return elements.numbers(dataset, keyword)
    except UnreadableFile:
        return None
