"""The slices of files, from their headers, and whether they can be one series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from qoqdata.errors import InputError, NoPixels, NotAVolume, UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.burned_in import burned_in_notes
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.functional_groups import holder
from qoqdata.readers.dicom.geometry import ImagePlane, plane
from qoqdata.readers.dicom.header import DicomHeader, header
from qoqdata.readers.limits import Limits

#: Objects that lie in the patient by their definition: without a place they are damaged.
_CROSS_SECTIONAL = frozenset({"CT", "MR", "PT"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7."
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", None})
#: What slices must agree in; of identifiers the messages say that they differ, and not how.
_SHARED = ("rows", "columns", "modality")
_IDENTIFIERS = (
    "patient_id",
    "study_instance_uid",
    "series_instance_uid",
    "frame_of_reference_uid",
)


@dataclass(frozen=True)
class Slice:
    """A 0-based frame of a file; `thickness` in mm."""

    path: Path
    frame: int
    plane: ImagePlane
    header: DicomHeader
    thickness: float | None

    @property
    def name(self) -> str:
        """The file, and the frame where it has several."""
        return f"{self.path}, frame {self.frame}" if self.header.frames > 1 else str(self.path)


def no_slice(header: DicomHeader) -> str | None:
    """Why an image is no slice of a volume; None for one that is, or should be.

    An image without a place in the patient is none, unless its modality demands a place: then the
    file is damaged, and reading the series says so.
    """
    kind = header.modality or "image"
    if "LOCALIZER" in header.acquisition.image_type:
        return f"a {kind} localizer is no slice of a volume"
    secondary = f"{header.sop_class_uid}.".startswith(_SECONDARY_CAPTURE)
    must_lie = header.modality in _CROSS_SECTIONAL and not secondary
    if not (header.acquisition.placed or must_lie):
        return f"a {kind} without a place in the patient is no slice of a volume"
    if header.photometric not in _GREY:
        return f"a {kind} in colour has no modality values: no slice of a volume"
    return None


def read_slices(
    files: Path | str | Iterable[Path | str], *, limits: Limits
) -> tuple[list[Slice], list[str]]:
    """All slices of all files, from headers; and what was left out of a folder or repaired.

    Raises as `read_series`.
    """
    folder = isinstance(files, Path | str) and Path(files).is_dir()
    if folder:
        paths = sorted(path for path in Path(files).iterdir() if path.is_file())  # type: ignore[arg-type]
    elif isinstance(files, Path | str):
        paths = [Path(files)]
    else:
        paths = [Path(path) for path in files]
    slices: list[Slice] = []
    repairs: list[str] = []
    for path in paths:
        try:
            file = open_dataset(path, limits=limits, pixels=False)
            with located(file.where):
                slices += _slices_of(path, file.dataset, limits=limits)
        except NoPixels:
            if not folder:
                raise
            repairs.append(f"left out: {path.name}, an object without slices")
            continue
        except NotAVolume as error:
            if not folder:
                raise
            repairs.append(f"left out: {path.name}, {error.what}")
            continue
        except UnreadableFile as error:
            if not folder or error.what != "the file is not DICOM":
                raise
            repairs.append(f"left out: {path.name}, not DICOM")
            continue
        repairs += (*file.repairs, *burned_in_notes(file.dataset))
    if not slices:
        raise InputError("no slices to make a volume of", where=str(files) if folder else None)
    return slices, repairs


def check_one_series(slices: Sequence[Slice]) -> list[str]:
    """Notes on what slices of one series may differ in.

    Raises InputError, with two files and what they say, for what they may not differ in. What a
    file does not say of its identity is no contradiction.
    """
    notes = []
    for name in _IDENTIFIERS:
        values = [getattr(one.header, name) for one in slices]
        known = {value for value in values if value is not None}
        if len(known) > 2 and len(known) == len(slices) and name == "frame_of_reference_uid":
            notes.append("every file has a frame of reference of its own: not used")
        elif len(known) > 1:
            _refuse_difference(slices, values, f"the files differ in {_words(name)}")
    for name in _SHARED:
        values = [getattr(one.header, name) for one in slices]
        _refuse_difference(slices, values, f"the files differ in {_words(name)}", say=True)
    objects = [
        (uid, one.plane.position)
        for one in slices
        if one.header.frames == 1 and (uid := one.header.sop_instance_uid) is not None
    ]
    if len(set(objects)) > len({uid for uid, _ in objects}):
        notes.append("SOP instance UIDs repeat at several places: not used")
    return notes


def _refuse_difference(
    slices: Sequence[Slice], values: Sequence[object], what: str, *, say: bool = False
) -> None:
    """Raise InputError at the first slice that says something else than most.

    With `say` the values are told, and one that is missing differs.
    """
    counts = Counter(value for value in values if say or value is not None)
    at = values.index(counts.most_common(1)[0][0]) if counts else 0
    for one, value in zip(slices, values, strict=True):
        if value == values[at] or (value is None and not say):
            continue
        said = f"{value} here, {values[at]} in" if say else "this one and"
        fix = "split them with group_series"
        raise InputError(f"{what}: {said} {slices[at].name}", where=one.name, fix=fix)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _slices_of(path: Path, dataset: Dataset, *, limits: Limits) -> list[Slice]:
    facts = header(dataset)
    if facts.rows is None or facts.columns is None:
        raise NoPixels(f"a DICOM object without slices ({facts.modality or 'unknown modality'})")
    if (why := no_slice(facts)) is not None:
        raise NotAVolume(why, fix="read it as an image (`unit: file`)")
    limits.check("frames", facts.frames, where=str(path))
    return [
        Slice(path, frame, plane(dataset, frame), facts, _thickness(dataset, frame))
        for frame in range(facts.frames)
    ]


def _thickness(dataset: Dataset, frame: int) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        distance = elements.number(
            holder(dataset, frame, "PixelMeasuresSequence", keyword), keyword
        )
        if distance is not None and distance > 0:
            return distance
    return None
