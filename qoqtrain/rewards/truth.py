"""What a response is scored against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from qoqdata.boxes import BoxFrame, Corners, Size
from qoqdata.errors import InputError, Misaligned, UsageError

# Stored corners are float32: a box may overlap the rim of its image by this many pixels.
_ROUNDING = 0.5

Sizes = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class TrueRegion:
    """One annotated box: edges in stored pixels of image `image`, `reader` if kept apart."""

    label: str
    image: int
    corners: Corners
    reader: str | None = None

    @property
    def is_blank(self) -> bool:
        """The box 0, 0, 0, 0, which the published data writes where there is no annotation."""
        return not any(self.corners)


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of one question. None means that there is none; an empty list is not None.

    answer        the right answer; several labels are joined by ", "
    options       admissible labels in the order shown, or None
    labels        the right labels as a list; where given, they are the truth instead of `answer`
    open          free text, scored by similarity and not as labels
    single        exactly one label is asked for, so naming several is wrong
    regions       annotated boxes; () says that there is nothing to find
    masks         one (H, W) integer label map an image in stored pixels, 0 is background; an
                  entry may be None. Where any pixel is set, masks are the truth, else regions
    stored_sizes  (width, height) of every stored image
    seen_sizes    (width, height) of every image as the policy saw it; None: as stored
    frame         what the policy's corners are in: "pixels" of the size seen, or "thousandths"
    """

    answer: str | None = None
    options: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    open: bool = False
    single: bool = False
    regions: tuple[TrueRegion, ...] | None = None
    masks: tuple[NDArray[Any] | None, ...] | None = None
    stored_sizes: Sizes | None = None
    seen_sizes: Sizes | None = None
    frame: BoxFrame = "pixels"

    def size(self, image: int) -> Size | None:
        """(width, height) of stored image `image`, from its mask where no size is given."""
        if self.stored_sizes is not None:
            return self.stored_sizes[image] if image < len(self.stored_sizes) else None
        mask = self.masks[image] if self.masks and image < len(self.masks) else None
        return None if mask is None else (float(mask.shape[1]), float(mask.shape[0]))


def truth_of(value: Truth | Mapping[str, Any] | str, where: str = "truth") -> Truth:
    """A `Truth` from one, from a mapping with its fields, or from a bare answer.

    Regions are mappings {label, image, x_min, y_min, x_max, y_max} and, if need be, reader, as in
    the record. Raises UsageError for unknown fields and wrong types, InputError for a region
    without area or with an impossible image, Misaligned where sizes disagree: a malformed truth
    is never scored as a wrong response.
    """
    if isinstance(value, Truth):
        _check(value, where)
        return value
    if isinstance(value, str):
        return Truth(answer=value)
    if not isinstance(value, Mapping):
        raise UsageError(f"{type(value).__name__} is no truth", where=where, fix="pass a mapping")
    if unknown := sorted(value.keys() - _FIELDS):
        raise UsageError(
            f"a truth has no field {', '.join(map(repr, unknown))}",
            where=where,
            fix=f"the fields are {', '.join(sorted(_FIELDS))}; for a record use truth_of_record",
        )
    values = dict(value)
    for name in ("options", "labels"):
        values[name] = _strings(values.get(name), f"{where}.{name}")
    for name in ("stored_sizes", "seen_sizes"):
        values[name] = _sizes(values.get(name), f"{where}.{name}")
    values["masks"] = _masks(values.get("masks"), f"{where}.masks")
    values["regions"] = _regions(values.get("regions"), f"{where}.regions")
    truth = Truth(**values)
    _check(truth, where)
    return truth


def truth_of_record(
    record: Mapping[str, Any],
    *,
    single: bool = False,
    seen_sizes: Sequence[Size] | None = None,
    frame: BoxFrame = "pixels",
    masks: Sequence[NDArray[Any] | None] | None = None,
) -> Truth:
    """The truth of one record (schema version 1) for a policy that saw images of `seen_sizes`.

    A record without options is an open answer. `single` says that exactly one label is asked for:
    that is a fact of the task (kind "single" on the card of the source) and not in the record, and
    one right label does not tell it, for a question of several may have one. `masks` are decoded
    label maps; the record's own PNG masks are not read, its regions are. Raises as `truth_of`.
    """
    info = record.get("image_info")
    return truth_of(
        {
            "answer": record["answer"],
            "options": record.get("options"),
            "open": record.get("options") is None,
            "single": single,
            "regions": record.get("regions"),
            "masks": masks,
            "stored_sizes": info and [(facts["width"], facts["height"]) for facts in info],
            "seen_sizes": seen_sizes,
            "frame": frame,
        },
        f"record {record.get('id')}",
    )


_FIELDS = {field.name for field in fields(Truth)}
_ONLY_TEXT = {str}
_FRAMES: tuple[BoxFrame, ...] = get_args(BoxFrame)


def _check(truth: Truth, where: str) -> None:
    if truth.answer is not None and not isinstance(truth.answer, str):
        raise UsageError(f"answer {truth.answer!r} is no text", where=where)
    if truth.frame not in _FRAMES:
        raise UsageError(
            f"frame {truth.frame!r}", where=where, fix=f"choose one of {', '.join(_FRAMES)}"
        )
    counts = {
        name: len(values)
        for name in ("stored_sizes", "seen_sizes", "masks")
        if (values := getattr(truth, name)) is not None
    }
    if len(set(counts.values())) > 1:
        raise Misaligned(f"one entry an image is needed, found {counts}", where=where)
    images = next(iter(counts.values()), None)
    resized = truth.seen_sizes is not None or truth.frame == "thousandths"
    annotated = truth.regions is not None or truth.masks is not None
    sized = images is not None and all(truth.size(image) for image in range(images))
    if resized and annotated and not sized:
        raise InputError("stored_sizes is needed to map what the policy saw", where=where)
    for image, mask in enumerate(truth.masks or ()):
        size = truth.size(image)
        if mask is not None and size != (mask.shape[1], mask.shape[0]):
            raise Misaligned(f"a mask of {mask.shape[::-1]} on an image of {size}", where=where)
    for index, region in enumerate(truth.regions or ()):
        _check_region(truth, region, f"{where}.regions[{index}]", images)


def _check_region(truth: Truth, region: TrueRegion, where: str, images: int | None) -> None:
    x_min, y_min, x_max, y_max = region.corners
    if region.image < 0 or (images is not None and region.image >= images):
        raise InputError(f"region of image {region.image}, of {images}", where=where)
    if region.is_blank:
        return
    if not (math.isfinite(sum(region.corners)) and x_min < x_max and y_min < y_max):
        raise InputError(
            f"box {region.corners} has no area", where=where, fix="x_min < x_max and y_min < y_max"
        )
    if size := truth.size(region.image):
        width, height = size[0] + _ROUNDING, size[1] + _ROUNDING
        if min(x_min, y_min) < -_ROUNDING or x_max > width or y_max > height:
            raise Misaligned(f"box {region.corners} leaves its image of {size}", where=where)


def _strings(values: Any, where: str) -> tuple[str, ...] | None:
    if values is None:
        return None
    if isinstance(values, str) or not (
        _ONLY_TEXT.issuperset(map(type, values)) or all(isinstance(v, str) for v in values)
    ):
        raise UsageError(f"{values!r} is no list of labels", where=where)
    return tuple(values)


def _sizes(values: Any, where: str) -> Sizes | None:
    if values is None:
        return None
    try:
        sizes = tuple((float(width), float(height)) for width, height in values)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{values!r} is no list of sizes", where=where, fix="one (width, height) an image"
        ) from error
    if not all(0 < side < math.inf for size in sizes for side in size):
        raise InputError(f"{values!r} holds an impossible size", where=where)
    return sizes


def _masks(values: Any, where: str) -> tuple[NDArray[Any] | None, ...] | None:
    if values is None:
        return None
    masks = tuple(None if mask is None else np.asarray(mask) for mask in values)
    for mask in masks:
        if mask is not None and (mask.ndim != 2 or mask.dtype.kind not in "biu" or not mask.size):
            raise InputError(
                f"a mask of {mask.dtype} {mask.shape}", where=where, fix="an (H, W) label map"
            )
    return masks


def _regions(values: Any, where: str) -> tuple[TrueRegion, ...] | None:
    if values is None:
        return None
    return tuple(_region(value, f"{where}[{index}]") for index, value in enumerate(values))


def _region(value: Any, where: str) -> TrueRegion:
    if isinstance(value, TrueRegion):
        return value
    try:
        x_min, y_min, x_max, y_max = (
            float(value[edge]) for edge in ("x_min", "y_min", "x_max", "y_max")
        )
        return TrueRegion(
            str(value["label"]),
            int(value["image"]),
            (x_min, y_min, x_max, y_max),
            value.get("reader"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{value!r} is no region",
            where=where,
            fix="the fields are label, image, x_min, y_min, x_max, y_max",
        ) from error
