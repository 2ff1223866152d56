"""Read one DICOM file as 8-bit frames for people and models, or as modality values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers.dicom.belief import agreeing, asks_values, believed
from qoqdata.readers.dicom.burned_in import burned_in_notes
from qoqdata.readers.dicom.dataset import OpenFile, located, open_dataset
from qoqdata.readers.dicom.decode import StoredFrame, stored_frames
from qoqdata.readers.dicom.film_orientation import film_turn
from qoqdata.readers.dicom.frames import FrameChoice, places, wanted_frames
from qoqdata.readers.dicom.geometry import pixel_aspect, pixel_spacing
from qoqdata.readers.dicom.grey import Frames, grey_frames, grey_plan, words
from qoqdata.readers.dicom.header import free_text_notes, header
from qoqdata.readers.dicom.image_pixel import GREY, ImagePixel, image_pixel
from qoqdata.readers.dicom.photometric import palette, palette_rgb, rgb
from qoqdata.readers.dicom.units import not_hounsfield, refuse_window
from qoqdata.readers.dicom.windowing import Window, ct_window
from qoqdata.readers.image.exif import upright
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.square_pixels import RESAMPLED, resample_linear, square_size


@dataclass(frozen=True)
class DicomImage:
    """An image ready to look at, and the facts that its header may give.

    `frames` is uint8, (n, rows, columns) grey with 0 black, or (n, rows, columns, 3) RGB. `windows`
    has the VOI window that was applied to each of them, None for a VOI LUT, a range or a colour
    image. `spacing` is (between rows, between columns) of `frames` in mm,
    `spacing_kind` the element that gives it; `pixel_aspect` is the height of a stored pixel over
    its width; `original_rows`, `original_columns` and `original_frames` are the stored size, `turn`
    the Exif orientation by which a film was turned (see `film_orientation`), 1 for none.
    `repairs` names all that was not as the standard asks, and what was done about it. The four
    identifiers are raw: hash them, never store them. The other facts are those of `DicomHeader`.
    """

    frames: NDArray[np.uint8]
    windows: tuple[Window | None, ...]
    spacing: tuple[float, float] | None
    spacing_kind: str | None
    pixel_aspect: float
    modality: str | None
    body_part: str | None
    view: str | None
    laterality: str | None
    patient_orientation: tuple[str, str] | None
    age: int | None
    sex: str | None
    frame_time_ms: float | None
    sop_instance_uid: str | None
    series_instance_uid: str | None
    study_instance_uid: str | None
    patient_id: str | None
    original_rows: int
    original_columns: int
    original_frames: int
    turn: int
    repairs: tuple[str, ...]


def read_dicom(
    path: Path | str,
    *,
    window: Window | str | None = None,
    frames: FrameChoice | None = None,
    square: bool = True,
    part: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> DicomImage:
    """Read an image through modality, VOI and presentation transforms (PS3.3 C.11, PS3.4 N.2).

    window: None for the file's own VOI transform: its first VOI LUT, else its first window with its
        function. A file without one is shown over a range, which `repairs` tells: the full range
        of the stored bits when BitsStored is 8 or less, otherwise the lowest to the highest
        modality value in all frames of the file, padding left out. A name from CT_WINDOWS is a
        window in HU, for CT only. A Window is taken as it is. Nothing is stretched afterwards.
    frames: 0-based frames to decode, in the order to return them, or a function that gives them for
        the number of frames in the file; None for all.
    square: resample once to square pixels when PixelSpacing, ImagerPixelSpacing or
        PixelAspectRatio say that they are not.
    part: the part of the body, such as "CHEST", that the source says all its films show; it goes
        before that of the header. Films of the trunk and mammograms are turned to how they are
        read where PatientOrientation says that they lie otherwise (see `film_orientation`).

    MONOCHROME1 and PresentationLUTShape INVERSE are inverted, once. Pixel padding is black.
    Colour is RGB: YBR and palettes are converted, samples of more than 8 bits keep the top 8; ICC
    profiles are not applied. Overlays and burned-in text are left as they are; `repairs` tells
    what the header says of such text (see `burned_in`).

    Raises MissingFile, UnreadableFile (damaged, or header, codestream and values contradict each
    other; names each decoder tried), UnsupportedFormat, NoPixels, TooLarge; InputError when the
    file lacks a frame that was asked for or cannot take the window; UsageError for an unknown
    window name.
    """
    read = read_windows(path, (window,), frames=frames, square=square, part=part, limits=limits)
    return read[0]


def read_windows(
    path: Path | str,
    windows: Sequence[Window | str | None],
    *,
    frames: FrameChoice | None = None,
    square: bool = True,
    part: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[DicomImage, ...]:
    """One image for each of several windows; a file of one frame is decoded once for all.

    Everything else is as in `read_dicom`.
    """
    choices = [ct_window(window) if isinstance(window, str) else window for window in windows]
    file = open_dataset(Path(path), limits=limits)
    with located(file.where):
        pixel = image_pixel(file, limits=limits)
        indices = wanted_frames(frames, pixel)
        for request in windows:
            if request is not None:
                _check_window(file, pixel, request, indices)
        pixel, source = _borne_out(file, pixel, _frames(pixel), indices[0])
        return tuple(
            _read(file, pixel, source, indices, window, square=square, part=part, limits=limits)
            for window in choices
        )


def _borne_out(
    file: OpenFile, pixel: ImagePixel, frames: Frames, index: int
) -> tuple[ImagePixel, Frames]:
    """The layout that the values of one frame bear out, and the frames while they do so too."""
    dataset = file.dataset
    if not asks_values(dataset, pixel, index):
        return pixel, frames
    known = believed(dataset, pixel, next(frames([index])))
    if pixel.samples == 3 and not pixel.colour_in_doubt:  # one order of samples holds for all
        return known, frames if known == pixel else _frames(known)
    return known, lambda indices: agreeing(dataset, pixel, known, frames(indices), index)


def _frames(pixel: ImagePixel) -> Frames:
    """Stored frames by index; a file of one frame is decoded once, however often it is asked."""
    once: list[StoredFrame] = []

    def frames(indices: Sequence[int]) -> Iterator[StoredFrame]:
        if pixel.frames > 1:
            return stored_frames(pixel, indices)
        if not once:
            once.extend(stored_frames(pixel, indices))
        return iter(once)

    return frames


def _read(
    file: OpenFile,
    pixel: ImagePixel,
    frames: Frames,
    indices: Sequence[int],
    window: Window | None,
    *,
    square: bool,
    part: str | None,
    limits: Limits,
) -> DicomImage:
    dataset = file.dataset
    facts = header(dataset, frame=indices[0])
    repairs = [*file.repairs, *pixel.repairs, *free_text_notes(dataset)]
    rows, columns, spacing = pixel.rows, pixel.columns, facts.spacing
    measure = pixel_spacing(dataset, indices[0])
    if any(pixel_spacing(dataset, index) != measure for index in indices[1:]):
        raise InputError("the frames differ in pixel spacing", fix="read them one by one")
    if square:
        rows, columns = square_size(rows, columns, pixel_aspect(dataset, spacing))
        limits.check_shape("image_pixels", (rows, columns), where=file.where)
    if (rows, columns) != (pixel.rows, pixel.columns):
        repairs.append(RESAMPLED)
        if spacing is not None:
            spacing = (spacing[0] * pixel.rows / rows, spacing[1] * pixel.columns / columns)
    images, vois, notes = _shown(file, pixel, frames, indices, window)
    place = places(indices)
    grey = pixel.photometric in GREY
    if grey and len(indices) == 1:  # a new array: no need to copy it
        out = resample_linear(next(images)[1], (rows, columns))[np.newaxis]
    else:
        out = np.empty((len(indices), rows, columns) + (() if grey else (3,)), np.uint8)
        for index, image in images:
            out[place[index]] = resample_linear(image, (rows, columns))
    turn = film_turn(facts, part, out[0] if grey else None)
    if turn.value > 1:
        out = np.stack([upright(frame, turn.value) for frame in out])
        spacing = spacing[::-1] if spacing is not None and turn.swaps_sides else spacing
    return DicomImage(
        frames=out,
        windows=vois,
        spacing=spacing,
        spacing_kind=facts.spacing_kind,
        pixel_aspect=facts.pixel_aspect,
        modality=facts.modality,
        body_part=facts.body_part,
        view=facts.view,
        laterality=facts.laterality,
        patient_orientation=facts.patient_orientation,
        age=facts.age,
        sex=facts.sex,
        frame_time_ms=facts.frame_time_ms,
        sop_instance_uid=facts.sop_instance_uid,
        series_instance_uid=facts.series_instance_uid,
        study_instance_uid=facts.study_instance_uid,
        patient_id=facts.patient_id,
        original_rows=pixel.rows,
        original_columns=pixel.columns,
        original_frames=pixel.frames,
        turn=turn.value,
        repairs=tuple(dict.fromkeys((*repairs, *notes, *turn.notes, *burned_in_notes(dataset)))),
    )


def _shown(
    file: OpenFile,
    pixel: ImagePixel,
    frames: Frames,
    indices: Sequence[int],
    window: Window | None,
) -> tuple[Iterator[tuple[int, NDArray[np.uint8]]], tuple[Window | None, ...], tuple[str, ...]]:
    """Index and 8-bit image of each wanted frame as they are decoded, its window by the order of
    `indices`, and the repairs."""
    dataset = file.dataset
    if pixel.photometric in GREY:
        plan = grey_plan(dataset, pixel, frames, indices, window)
        windows = tuple(plan.window(index) for index in indices)
        return grey_frames(pixel, frames(indices), plan), windows, plan.repairs
    none = (None,) * len(indices)
    if pixel.photometric == "PALETTE COLOR":
        table = palette(dataset, pixel)
        images = (
            (frame.index, palette_rgb(words(frame.values), table)) for frame in frames(indices)
        )
        return images, none, ()
    return ((frame.index, rgb(pixel, frame)) for frame in frames(indices)), none, ()


def _check_window(
    file: OpenFile, pixel: ImagePixel, request: Window | str, indices: Sequence[int]
) -> None:
    """Raise InputError for a window on colour, or for a CT window on values that are not HU."""
    if pixel.photometric not in GREY:
        raise InputError(f"a window was asked for, the image is {pixel.photometric}")
    if isinstance(request, str):
        reasons = (not_hounsfield(file.dataset, index) for index in indices)
        if reason := next((one for one in reasons if one is not None), None):
            raise refuse_window(request, reason)
