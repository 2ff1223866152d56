"""Images of DICOM files and series."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from qoqdata.errors import InputError
from qoqdata.readers import dicom, video_frames
from qoqdata.readers.dicom import DicomImage, Series, Window
from qoqdata.readers.dicom.windowing import ct_window
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.video_frames import FramePolicy
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records import slices
from qoqdata.records.content import Image

_LATERALITY = {"L": "left", "R": "right", "B": "both"}
_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def file_images(
    path: Path,
    windows: Sequence[Window | str | None],
    *,
    frames: int,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[tuple[Image, ...], tuple[str, ...], DicomImage]:
    """Images of one file (at most `frames`, at the centres of equal parts), notes, and facts.

    Each frame is shown through every window before the next one. Raises the errors of
    `dicom.read`.
    """
    policy = FramePolicy("uniform", count=frames)
    choose = partial(video_frames.choose, policy)
    windowed = dicom.read_windows(path, windows, frames=choose, limits=limits)
    count = windowed[0].original_frames
    images = tuple(
        _frame_image(image, place, index if count > 1 else None)
        for place, index in enumerate(choose(count))
        for image in windowed
    )
    of = (f"frames: {video_frames.describe(policy)} of {count}",) if count > 1 else ()
    repairs = dict.fromkeys(repair for image in windowed for repair in image.repairs)
    return images, (*of, *repairs), windowed[0]


def _frame_image(image: DicomImage, place: int, index: int | None) -> Image:
    return Image(
        image.frames[place],
        original_width=image.original_columns,
        original_height=image.original_rows,
        view=image.view,
        laterality=_LATERALITY.get(image.laterality or ""),
        window=image.window,
        index=index,
        spacing=image.spacing,
    )


def series_images(
    series: Series, policy: SlicePolicy, windows: Sequence[Window | str | None]
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """Slices of an ordered series, in anatomical order, each through every window, with notes.

    Raises UsageError for an unknown window name, InputError for a named window on values that are
    not Hounsfield units.
    """
    grid = Volume(series.values, _RAS_FROM_LPS @ series.affine, series.spacing, "dicom series")
    stacks = [
        slices.cut_slices(grid, None, {}, policy=policy, window=_window_of(series, window))
        for window in windows
    ]
    by_slice = zip(*(stack.images or () for stack in stacks), strict=True)
    notes = dict.fromkeys(note for stack in stacks for note in stack.notes)
    return tuple(image for slice_ in by_slice for image in slice_), (*notes, *series.repairs)


def _window_of(series: Series, window: Window | str | None) -> Window | None:
    if not isinstance(window, str):
        return window
    if series.header.modality != "CT" or series.header.rescale_type not in (None, "HU"):
        what = f"the window {window!r} is in Hounsfield units, and these values are not"
        raise InputError(what, fix="give the window as [centre, width]")
    return ct_window(window)
