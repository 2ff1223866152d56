"""Pixels as they are stored: size and encoding by the build's policy, and all that follows them.

`training` is for training: more pixels than a policy is shown are averaged away (each stored pixel
is the mean of the area it covers), and JPEG keeps colour at full resolution, since small red
lesions lose theirs when chroma is halved. `native` loses nothing. Masks are lossless under both;
where their image shrinks, a stored pixel gets the code that covers most of it, and a code too
small to win anywhere keeps the pixel that it covers most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qoqdata.contract.storage import Storage
from qoqdata.errors import Misaligned
from qoqdata.readers import encode
from qoqdata.readers.image import png as png_format
from qoqdata.records.content import Ecg, Image, Mask, Record, Region
from qoqdata.records.likeness import Likeness, Sight, image_sight, signal_likeness

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class StoredImage:
    """Encoded bytes, their size in pixels, spacing in mm between stored pixels, and how stored."""

    data: bytes
    extension: str
    width: int
    height: int
    spacing: tuple[float, ...] | None
    stored_as: str


@dataclass(frozen=True, eq=False)
class StoredMask:
    """A PNG label map and its size in pixels."""

    data: bytes
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class StoredMedia:
    """What a record stores for its images, masks, regions and, as its row has it, signal."""

    images: tuple[StoredImage, ...] | None
    masks: tuple[StoredMask, ...] | None
    regions: tuple[Region, ...] | None
    ecg: dict[str, Any] | None = None


class MediaStore:
    """Stores the media of a unit's records; images, masks and signals that records share, once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._images: dict[int, tuple[Image, StoredImage]] = {}
        self._masks: dict[tuple[int, Size], tuple[Mask, StoredMask]] = {}
        self._ecgs: dict[int, tuple[Ecg, dict[str, Any]]] = {}
        self._likenesses: dict[int, tuple[Image | Ecg, Likeness | Sight]] = {}

    def likenesses(self, record: Record) -> list[tuple[str, int, Likeness | Sight]]:
        """Medium, place and likeness of each image and of the signal of a record."""
        images = [("image", n, self._likeness(one)) for n, one in enumerate(record.images or ())]
        return images if record.ecg is None else [*images, ("ecg", 0, self._likeness(record.ecg))]

    def _likeness(self, shown: Image | Ecg) -> Likeness | Sight:
        if (known := self._likenesses.get(id(shown))) is None:
            likeness: Likeness | Sight
            if isinstance(shown, Ecg):
                likeness = signal_likeness(shown)
            else:
                stored = self._store_image(shown)
                lossy = stored.data if stored.stored_as == "training" else None
                likeness = image_sight(shown.pixels, lossy)
            known = self._likenesses[id(shown)] = (shown, likeness)
        return known[1]

    def store(self, record: Record) -> StoredMedia:
        """The stored media of a record, boxes in stored pixels.

        Raises Misaligned for a mask or region of an image that is not there or of another size.
        """
        images = None if record.images is None else tuple(map(self._store_image, record.images))
        native, stored = self._canvases(record, images)
        masks = None
        if record.masks is not None:
            masks = tuple(self._store_mask(mask, native, stored) for mask in record.masks)
        regions = record.regions
        if native != stored and regions:
            regions = tuple(_scaled(region, native, stored) for region in regions)
        ecg = None if record.ecg is None else self._store_ecg(record.ecg)
        return StoredMedia(images, masks, regions, ecg)

    def _canvases(
        self, record: Record, images: Sequence[StoredImage] | None
    ) -> tuple[dict[int, Size], dict[int, Size]]:
        """(width, height) of every image before and after; without images, of the masks."""
        if images is not None and record.images is not None:
            native = {n: (image.width, image.height) for n, image in enumerate(record.images)}
            return native, {n: (one.width, one.height) for n, one in enumerate(images)}
        native = {mask.image: _size(mask.codes) for mask in record.masks or ()}
        return native, {n: self._bounded(size) for n, size in native.items()}

    def _bounded(self, size: Size) -> Size:
        return size if self._storage.policy == "native" else bounded(size, self._storage.max_pixels)

    def _store_image(self, image: Image) -> StoredImage:
        # The image is kept beside its result: an id is unique among objects that live.
        if (known := self._images.get(id(image))) is None:
            known = self._images[id(image)] = (image, store_image(image, self._storage))
        return known[1]

    def _store_ecg(self, ecg: Ecg) -> dict[str, Any]:
        """One object for all rows that show the recording: by it a shard tells that they do."""
        if (known := self._ecgs.get(id(ecg))) is None:
            known = self._ecgs[id(ecg)] = (ecg, _ecg_cell(ecg))
        return known[1]

    def _store_mask(
        self, mask: Mask, native: dict[int, Size], stored: dict[int, Size]
    ) -> StoredMask:
        if mask.image not in native or native[mask.image] != _size(mask.codes):
            what = f"a mask of {_size(mask.codes)} on image {mask.image} of {native}"
            raise Misaligned(what, fix="a mask has its image's size")
        size = stored[mask.image]
        if (known := self._masks.get((id(mask), size))) is None:
            codes = mask.codes if size == _size(mask.codes) else shrink_codes(mask.codes, size)
            known = (mask, StoredMask(encode.label_png(codes), *size))
            self._masks[(id(mask), size)] = known
        return known[1]


def _ecg_cell(ecg: Ecg) -> dict[str, Any]:
    return {
        "leads": list(ecg.leads),
        "fs": ecg.fs,
        "signal": list(ecg.signal),
        "valid": list(ecg.valid),
    }


def store_image(image: Image, storage: Storage) -> StoredImage:
    """One image under the policy; its own bytes where they may be kept."""
    size = (image.width, image.height)
    small = bounded(size, storage.max_pixels) == size
    if image.encoded is not None and (small or storage.policy == "native"):
        extension = "png" if image.encoded.startswith(png_format.MAGIC) else "jpg"
        return StoredImage(image.encoded, extension, *size, image.spacing, "verbatim")
    if storage.policy == "native":
        return StoredImage(encode.png(image.pixels), "png", *size, image.spacing, "native")
    width, height = bounded(size, storage.max_pixels)
    data = encode.jpeg(shrink_pixels(image.pixels, (width, height)), quality=storage.quality)
    spacing = image.spacing
    if spacing is not None:
        row, column, *through = spacing
        spacing = (row * image.height / height, column * image.width / width, *through)
    return StoredImage(data, "jpg", width, height, spacing, "training")


def bounded(size: Size, max_pixels: int) -> Size:
    """The largest (width, height) of the same shape with at most `max_pixels`, at least 1 x 1.

    A size within the bound stays as it is. Sides are rounded down, and a side that would vanish
    is 1, so that a long thin image keeps its bound as well.
    """
    width, height = size
    if width * height <= max_pixels:
        return size
    scale = math.sqrt(max_pixels / (width * height))
    narrow = max(1, int(min(size) * scale))
    long = max(1, min(int(max(size) * scale), max_pixels // narrow))
    return (narrow, long) if width <= height else (long, narrow)


def shrink_pixels(pixels: np.ndarray, size: Size) -> np.ndarray:
    """uint8 pixels at a smaller (width, height), by area averaging."""
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    import cv2

    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def shrink_codes(codes: np.ndarray, size: Size) -> np.ndarray:
    """A label map at a smaller (width, height): the code that covers most of each pixel.

    Of codes that cover the same the smaller number wins. A code that would vanish keeps the one
    pixel that it covers most.
    """
    import cv2

    present = np.unique(codes)
    shape = (size[1], size[0])
    best = np.full(shape, -1.0, np.float32)
    out = np.zeros(shape, codes.dtype)
    peaks: dict[int, int] = {}
    for code in present.tolist():
        share = cv2.resize((codes == code).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        wins = share > best
        out[wins], best[wins] = code, share[wins]
        if code:
            peaks[code] = int(share.argmax())
    flat = out.reshape(-1)
    for code, place in peaks.items():
        if not (flat == code).any():
            flat[place] = code
    return out


def _size(codes: np.ndarray) -> Size:
    return int(codes.shape[1]), int(codes.shape[0])


def _scaled(region: Region, native: dict[int, Size], stored: dict[int, Size]) -> Region:
    if region.image not in native:
        what = f"the region {region.label!r} is on image {region.image} of {len(native)}"
        raise Misaligned(what)
    (width, height), (new_width, new_height) = native[region.image], stored[region.image]
    area = region.area
    # Multiplied first: an edge on the border stays on it, to the last bit.
    return replace(
        region,
        x_min=region.x_min * new_width / width,
        y_min=region.y_min * new_height / height,
        x_max=region.x_max * new_width / width,
        y_max=region.y_max * new_height / height,
        area=None if area is None else area * (new_width * new_height) / (width * height),
    )
