"""Pictures of DICOM files and series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.errors import InputError
from qoqdata.readers import dicom, video_frames
from qoqdata.readers.dicom import DicomImage, Series, Window
from qoqdata.readers.dicom.facts import read_header
from qoqdata.readers.dicom.windows import ct_window
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.video_frames import FramePolicy
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records import slices
from qoqdata.records.content import Picture
from qoqdata.records.pictures import from_pixels

_LATERALITY = {"L": "left", "R": "right", "B": "both"}
_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def file_pictures(
    path: Path, window: Window | str | None, *, frames: int, limits: Limits = DEFAULT_LIMITS
) -> tuple[tuple[Picture, ...], tuple[str, ...], DicomImage]:
    """Pictures of one file (at most `frames`, at the centres of equal parts), notes, and facts.

    Raises the errors of `dicom.read`.
    """
    count = read_header(path, limits=limits).frames
    policy = FramePolicy("uniform", count=frames)
    chosen = video_frames.choose(policy, count)
    image = dicom.read(path, window=window, frames=chosen, limits=limits)
    pictures = tuple(
        from_pixels(
            frame,
            original_width=image.original_columns,
            original_height=image.original_rows,
            view=image.view,
            laterality=_LATERALITY.get(image.laterality or ""),
            window=image.window,
            index=index if count > 1 else None,
            spacing=image.spacing,
        )
        for frame, index in zip(image.frames, chosen, strict=True)
    )
    of = (f"frames: {video_frames.describe(policy)} of {count}",) if count > 1 else ()
    return pictures, (*of, *image.repairs), image


def series_pictures(
    series: Series, policy: SlicePolicy, window: Window | str | None
) -> tuple[tuple[Picture, ...], tuple[str, ...]]:
    """Slices of an ordered series, windowed, in anatomical order, with notes.

    Raises UsageError for an unknown window name, InputError for a named window on values that are
    not Hounsfield units.
    """
    if isinstance(window, str):
        if series.header.modality != "CT" or series.header.rescale_type not in (None, "HU"):
            what = f"the window {window!r} is in Hounsfield units, and these values are not"
            raise InputError(what, fix="give the window as [centre, width]")
        window = ct_window(window)
    grid = Volume(series.values, _RAS_FROM_LPS @ series.affine, series.spacing, "dicom series")
    stack = slices.cut(grid, None, {}, policy=policy, window=window)
    assert stack.images is not None
    return stack.images, (*stack.notes, *series.repairs)
