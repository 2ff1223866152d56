"""Images of DICOM files and series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from qoqdata.errors import InputError
from qoqdata.readers import dicom, video_frames, volume
from qoqdata.readers.dicom import DicomImage, Series, SeriesOrder, Window
from qoqdata.readers.dicom.presentation import BITS_RANGE, Presentation
from qoqdata.readers.dicom.units import refuse_window
from qoqdata.readers.dicom.windowing import Voi, ct_window, displayed
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.square_pixels import resample_linear
from qoqdata.readers.video_frames import FramePolicy
from qoqdata.readers.volume import SliceFrame, SlicePolicy, Volume
from qoqdata.records import slices
from qoqdata.records.content import Image

_LATERALITY = {"L": "left", "R": "right", "B": "both"}
_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def file_images(
    path: Path,
    windows: Sequence[Window | str | None],
    *,
    frames: int,
    part: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[tuple[Image, ...], tuple[str, ...], DicomImage]:
    """Images of one file (at most `frames`, at the centres of equal parts), notes, and facts.

    Each frame is shown through every window before the next one. Frames that are slices of a volume
    come in anatomical order, others in that of the file; `index` is the number in the file. `part`
    is that of `dicom.read_dicom`. Raises its errors.
    """
    policy = FramePolicy("uniform", count=frames)

    @cache
    def choose(count: int) -> tuple[int, ...]:
        order = _frame_order(path, limits) if count > 1 else None
        chosen = video_frames.choose(policy, count)
        if order is None or len(order) < count:
            return tuple(chosen)
        return tuple(order[place] for place in chosen)

    windowed = dicom.read_windows(path, windows, frames=choose, part=part, limits=limits)
    count = windowed[0].original_frames
    images = tuple(
        _frame_image(image, place, index if count > 1 else None)
        for place, index in enumerate(choose(count))
        for image in windowed
    )
    shuffled = any(one > other for one, other in pairwise(choose(count)))
    how = f"{video_frames.describe(policy)} of {count}{', by place' if shuffled else ''}"
    of = (f"frames: {how}",) if count > 1 else ()
    repairs = dict.fromkeys(repair for image in windowed for repair in image.repairs)
    return images, (*of, *repairs), windowed[0]


def _frame_order(path: Path, limits: Limits) -> tuple[int, ...] | None:
    """The frames of a file in anatomical order; None where they are no slices of one volume."""
    try:
        order = dicom.read_series_order([path], limits=limits)
    except InputError:
        return None
    frames = tuple(frame for _, frame in order.files)
    upwards = volume.anatomical_axes(_RAS_FROM_LPS @ order.affine)[0][1]
    return frames if upwards else frames[::-1]


def _frame_image(image: DicomImage, place: int, index: int | None) -> Image:
    height, width = image.original_rows, image.original_columns
    if image.turn >= 5:  # rows became columns
        height, width = width, height
    return Image(
        image.frames[place],
        original_width=width,
        original_height=height,
        view=image.view,
        laterality=_LATERALITY.get(image.laterality or ""),
        window=image.windows[place],
        index=index,
        spacing=image.spacing,
        turn=image.turn,
    )


def series_images(
    series: Series, policy: SlicePolicy, windows: Sequence[Window | str | None]
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """Slices of an ordered series, in anatomical order, each through every window, with notes.

    A slice is shown as `file_images` shows its file: through a given window or, for None, through
    its file's own VOI LUT or window, then inverted where the file says so, padding black. Slices
    whose files have neither share one range, the `percentile_range` of all voxels but padding.
    Without a plane in `policy` the slices are those that were acquired, whatever their orientation.

    Raises UsageError for an unknown window name, InputError for a named window on values that are
    not Hounsfield units and for slices of a single row.
    """
    grid = Volume(series.values, _RAS_FROM_LPS @ series.affine, series.spacing, "dicom series")
    policy = replace(policy, plane=policy.plane or volume.plane_of_axis(grid.affine, 0))
    axis, indices = volume.choose_slices(policy, grid)
    notes = [f"slices: {volume.describe(policy)}, of {grid.voxels.shape[axis]}"]
    stacks = []
    for request in windows:
        grey, told = _series_grey(series, _window_of(series, request))
        stacks.append(slices.slice_images(grid, axis, indices, grey))
        notes += (*told, *slices.square_notes(stacks[-1]))
    images = tuple(image for slice_ in zip(*stacks, strict=True) for image in slice_)
    return images, tuple(dict.fromkeys((*notes, *series.repairs)))


def ordered_images(
    order: SeriesOrder,
    indices: Sequence[int],
    windows: Sequence[Window | str | None],
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """The slices `indices` of an ordered series, read one by one, each through every window.

    As `series_images` shows them: upright, with square pixels, `index` and `spacing` those of the
    whole series. Raises as `file_images`.
    """
    images, notes = [], list(order.repairs)
    for index in indices:
        path, frame = order.files[index]
        windowed = dicom.read_windows(path, windows, frames=[frame], square=False, limits=limits)
        place = order_frame(order, index)
        for image in windowed:
            pixels = volume.upright(image.frames[0], place)
            shown = Image(
                resample_linear(pixels, place.shape),
                original_width=place.voxel_shape[1],
                original_height=place.voxel_shape[0],
                view=place.plane,
                window=image.windows[0],
                index=index,
                spacing=(*place.spacing, order.spacing[0]),
            )
            images.append(shown)
            notes += image.repairs
    notes += slices.square_notes(images)
    return tuple(images), tuple(dict.fromkeys(notes))


def order_frame(order: SeriesOrder, index: int) -> SliceFrame:
    """How slice `index` of an ordered series lies in the image that `ordered_images` gives."""
    shape = (len(order.files), order.header.rows or 0, order.header.columns or 0)
    return volume.slice_frame(shape, _RAS_FROM_LPS @ order.affine, 0, index, square=True)


def choose_ordered(
    policy: SlicePolicy, order: SeriesOrder, *, profile: Sequence[float] | None = None
) -> tuple[int, ...]:
    """The slices that `policy` takes from an ordered series, in anatomical order.

    `profile` has a number for each slice, above 0 where an annotation touches it. Raises as
    `volume.choose`.
    """
    upwards = volume.anatomical_axes(_RAS_FROM_LPS @ order.affine)[0][1]
    count = len(order.files)
    return volume.choose(policy, count, mask_profile=profile, descending=not upwards)


def _window_of(series: Series, request: Window | str | None) -> Window | None:
    if not isinstance(request, str):
        return request
    window = ct_window(request)
    if series.not_hounsfield is not None:
        raise refuse_window(request, series.not_hounsfield)
    return window


def _series_grey(
    series: Series, window: Window | None
) -> tuple[slices.ShownPlane, tuple[str, ...]]:
    """The grey of a plane in any direction, each slice by its own presentation, and notes."""
    shown = [presentation.through(window) for presentation in series.presentations]
    own = [one.voi for one in shown]
    # The range of stored bits means one thing for all slices only where they share a rescale.
    ranges = {voi for voi in own if isinstance(voi, tuple)}
    lost = [voi is None or (isinstance(voi, tuple) and len(ranges) > 1) for voi in own]
    notes = [note for one in shown for note in one.notes if len(ranges) < 2 or note != BITS_RANGE]
    whole = (0.0, 0.0)
    if any(lost):
        present = series.values if series.void is None else series.values[~series.void]
        whole = volume.percentile_range(present) if present.size else whole
        some = "" if all(lost) else "slices without a window: "
        notes.append(f"{some}{slices.range_note(*whole)}")
    vois = [
        voi if voi is not None and not gone else whole for voi, gone in zip(own, lost, strict=True)
    ]
    differ = any(voi != vois[0] for voi in vois)
    if differ:
        notes.append("windows differ between slices: each slice is shown with its own")

    def plane(axis: int, index: int) -> tuple[np.ndarray, Window | None]:
        values = volume.voxel_plane(series.values, axis, index)
        void = None if series.void is None else volume.voxel_plane(series.void, axis, index)
        if void is not None:
            values = np.where(void, np.float32(0), values)
        if axis == 0:
            grey = _displayed(values, vois[index], shown[index])
        else:
            rows = zip(values, vois, shown, strict=True)
            grey = np.stack([_displayed(row, voi, one) for row, voi, one in rows])
        if void is not None:
            grey[void] = 0
        first = vois[index if axis == 0 else 0]
        return grey, first if isinstance(first, Window) and (axis == 0 or not differ) else None

    return plane, tuple(notes)


def _displayed(values: np.ndarray, voi: Voi, shown: Presentation) -> np.ndarray:
    return displayed(values, voi, inverted=shown.inverted)
