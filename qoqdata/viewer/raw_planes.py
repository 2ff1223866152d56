"""Where an image of a record lies in its raw files: a frame of a DICOM file, a slice of a series of
them, or a slice of a volume (NIfTI, MetaImage, NRRD).

A record names its files, and of an image the plane and the number of the slice. What does not
follow from that, such as which of several volumes is shown, is not guessed: a plane is what the
record shows only if it gives the stored pixels again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from qoqdata.errors import InputError, QoqdataError
from qoqdata.readers import dicom, volume
from qoqdata.readers.dicom import Series, SeriesOrder, Window
from qoqdata.readers.image.exif import upright
from qoqdata.readers.volume import Plane, SlicePolicy, Volume
from qoqdata.records.dicoms import ordered_images, series_images
from qoqdata.records.slices import cut_slices
from qoqdata.records.storage import shrink_pixels

#: Grey levels of 255 that stored pixels may be away from the raw ones on the mean: what JPEG costs.
_TOLERANCE = 4.0
#: The width of the window of a constant.
_LEAST = 1e-30
_UNDECODED = (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class RawPlane:
    """One slice or frame as raw files have it.

    values      modality values (rows, columns), as the file has them
    shown       uint8 grey through a window, upright and with square pixels, as records have it; for
                None as the file says or, of a volume, over the range of all its voxels
    is_dicom    whether the file can say how it is shown
    hounsfield  whether the record was shown through a window in HU, or what the file says of it
    """

    values: Callable[[], NDArray[Any]]
    shown: Callable[[Window | str | None], Pixels]
    is_dicom: bool
    hounsfield: bool


class RawFiles:
    """The raw files of a record, opened when they are asked for and then kept."""

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self._volumes: dict[Path, Volume] = {}
        self._ranges: dict[Path, Window] = {}
        self._planes: dict[tuple[str, int], RawPlane] = {}

    def plane(self, record: Mapping[str, Any], number: int) -> RawPlane:
        """The plane that image `number` of a record shows; raises InputError where none gives its
        pixels again."""
        key = (record["id"], number)
        if key not in self._planes:
            self._planes[key] = _plane_of(self, record, number)
        return self._planes[key]

    @cached_property
    def dicoms(self) -> list[Path]:
        return [path for path in self.paths if _is_dicom(path)]

    @cached_property
    def order(self) -> SeriesOrder:
        return dicom.read_series_order(self.dicoms)

    @cached_property
    def series(self) -> Series:
        return dicom.read_series(self.dicoms)

    def volume(self, path: Path) -> Volume:
        if path not in self._volumes:
            self._volumes[path] = volume.read_volume(path)
        return self._volumes[path]

    def whole_range(self, path: Path) -> Window:
        """The range that a volume without a window is shown over, as a window."""
        if path not in self._ranges:
            low, high = volume.percentile_range(self.volume(path).voxels)
            self._ranges[path] = window_of_range(low, high)
        return self._ranges[path]


def window_of_range(low: float, high: float) -> Window:
    """The window that shows `low` black and `high` white; a constant is black."""
    return Window((low + high) / 2, max(high - low, _LEAST), "LINEAR_EXACT")


def _plane_of(raw: RawFiles, record: Mapping[str, Any], number: int) -> RawPlane:
    info = record["image_info"][number]
    stored = _grey(record["images"][number]["bytes"])
    for find in _candidates(raw, record, info):
        try:
            plane = find()
            if _gives(plane, stored, info):
                return plane
        except (QoqdataError, OSError):
            continue
    raise InputError("no slice of the raw files gives the stored pixels", where=str(record["id"]))


def _candidates(
    raw: RawFiles, record: Mapping[str, Any], info: Mapping[str, Any]
) -> Iterator[Callable[[], RawPlane]]:
    """Ways to the plane, the cheapest first."""
    # A view may say which of several series, too, as in "FLAIR axial".
    plane = next((one for one in get_args(Plane) if (info["view"] or "").endswith(one)), None)
    index = info["index"]
    if len(raw.dicoms) == 1:
        part = "CHEST" if record["domain"] == "chest_xray" else None
        yield partial(_of_file, raw.dicoms[0], index or 0, part)
    if raw.dicoms and plane is not None and index is not None:
        yield partial(_of_order, raw, plane, index)
        yield partial(_of_series, raw, plane, index)
    if plane is not None and index is not None:
        in_hu = record["domain"] == "ct" and info["window"] is not None
        for path in raw.paths:
            if path.name.lower().endswith(tuple(volume.SUFFIXES)):
                yield partial(_of_volume, raw, path, plane, index, in_hu)


def _of_file(path: Path, frame: int, part: str | None) -> RawPlane:
    def shown(window: Window | str | None) -> Pixels:
        return dicom.read_windows(path, [window], frames=[frame], part=part)[0].frames[0]

    def values() -> NDArray[Any]:
        stored = dicom.read_values(path, frames=[frame])[0][0]
        return upright(stored, dicom.read_dicom(path, frames=[frame], part=part).turn)

    return RawPlane(values, shown, is_dicom=True, hounsfield=_takes_presets(shown))


def _of_order(raw: RawFiles, plane: Plane, index: int) -> RawPlane:
    if not 0 <= index < len(raw.order.files):
        raise InputError(f"slice {index} of {len(raw.order.files)}")

    def shown(window: Window | str | None) -> Pixels:
        (image,), _ = ordered_images(raw.order, [index], [window])
        if image.view != plane:
            raise InputError(f"the series is {image.view}, the image {plane}")
        return image.pixels

    def values() -> NDArray[Any]:
        path, frame = raw.order.files[index]
        return dicom.read_values(path, frames=[frame])[0][0]

    return RawPlane(values, shown, is_dicom=True, hounsfield=_takes_presets(shown))


def _of_series(raw: RawFiles, plane: Plane, index: int) -> RawPlane:
    """A slice in any direction, or of a series whose slices share one range."""
    policy = SlicePolicy("index", indices=(index,), plane=plane)

    def shown(window: Window | str | None) -> Pixels:
        return series_images(raw.series, policy, [window])[0][0].pixels

    def values() -> NDArray[Any]:
        axis = volume.axis_of_plane(raw.series.affine, plane)
        return volume.voxel_plane(raw.series.values, axis, index)

    return RawPlane(values, shown, is_dicom=True, hounsfield=_takes_presets(shown))


def _of_volume(raw: RawFiles, path: Path, plane: Plane, index: int, hounsfield: bool) -> RawPlane:
    policy = SlicePolicy("index", indices=(index,), plane=plane)

    def shown(window: Window | str | None) -> Pixels:
        if isinstance(window, str):
            window = dicom.CT_WINDOWS[window]
        cut = cut_slices(
            raw.volume(path), None, {}, policy=policy, window=window or raw.whole_range(path)
        )
        assert cut.images is not None
        return cut.images[0].pixels

    def values() -> NDArray[Any]:
        whole = raw.volume(path)
        return volume.voxel_plane(whole.voxels, volume.axis_of_plane(whole.affine, plane), index)

    return RawPlane(values, shown, is_dicom=False, hounsfield=hounsfield)


def _takes_presets(shown: Callable[[Window | str | None], Pixels]) -> bool:
    try:
        shown("brain")
    except QoqdataError:
        return False
    return True


def _gives(plane: RawPlane, stored: Pixels, info: Mapping[str, Any]) -> bool:
    """Whether the plane, through the window of the record, is what the record stores."""
    window = None if info["window"] is None else Window(**info["window"])
    drawn = plane.shown(window)
    if drawn.ndim != 2 or any(a > b for a, b in zip(stored.shape, drawn.shape, strict=True)):
        return False
    (rows, columns), (high, wide) = stored.shape, drawn.shape
    # Stored images are bounded, with sides rounded down.
    if abs(rows * wide - columns * high) > max(high, wide):
        return False
    small = shrink_pixels(drawn, (columns, rows))
    return bool(np.abs(small.astype(np.int16) - stored).mean() <= _TOLERANCE)


def _grey(content: bytes) -> Pixels:
    try:
        with Image.open(BytesIO(content)) as image:
            if image.mode != "L":
                raise InputError("is no grey image")
            return np.asarray(image)
    except _UNDECODED as error:
        raise InputError(f"the image cannot be decoded: {error}") from error


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(132)
    return head.endswith(b"DICM") or path.suffix.lower() == ".dcm"
