"""What a response is scored against."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from qoqdata.boxes import BoxFrame, Corners, Size
from qoqdata.contract.vocabulary import TASK_KINDS, TaskKind
from qoqdata.errors import InputError, Misaligned, UsageError
from qoqdata.question import is_given, shows_letters, targets

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


class TrueNumber(NamedTuple):
    """The right number; an error up to `tolerance` is none.

    Both are in `unit`, a UCUM code or None; of an ordinal question they count places of options.
    """

    value: float
    unit: str | None = None
    tolerance: float = 0.0


class MaskPlace(NamedTuple):
    """The image that a mask lies on, who drew it, and the one instance that it shows, if any."""

    image: int
    reader: str | None = None
    instance: int | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """The truth of one question. None means that there is none; an empty list is not None.

    answer        the right answer; several labels are joined by ", "
    kind          what an answer is: "multi" labels by F1; "single", where naming several is wrong;
                  "choice", one option whole; "number", a quantity or, with options, a place among
                  them; "open" text by similarity; "boxes", text as well where there are no options
    options       admissible answers in the order shown, or None
    labels        the right labels as a list; where given, they are the truth instead of `answer`
    number        the right number, of the kind "number"
    letters       the question shows a letter before each option, so a choice may be named by it
    regions       annotated boxes; () says that there is nothing to find
    masks         (H, W) integer label maps in stored pixels, 0 is background. Where any pixel is
                  set, masks are the truth, else regions
    mask_places   one a mask; None: one mask an image in order, of which an entry may be None
    stored_sizes  (width, height) of every stored image
    seen_sizes    (width, height) of every image as the policy saw it; None: as stored
    frame         what the policy's corners are in: "pixels" of the size seen, or "thousandths"
    """

    answer: str | None = None
    kind: TaskKind = "multi"
    options: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    number: TrueNumber | None = None
    letters: bool = False
    regions: tuple[TrueRegion, ...] | None = None
    masks: tuple[NDArray[Any] | None, ...] | None = None
    mask_places: tuple[MaskPlace, ...] | None = None
    stored_sizes: Sizes | None = None
    seen_sizes: Sizes | None = None
    frame: BoxFrame = "pixels"

    @property
    def placed_masks(self) -> list[tuple[MaskPlace, NDArray[Any]]]:
        """The masks that are there, each with its place."""
        masks = self.masks or ()
        places = self.mask_places or tuple(MaskPlace(image) for image in range(len(masks)))
        pairs = zip(places, masks, strict=True)
        return [(place, mask) for place, mask in pairs if mask is not None]

    @property
    def images(self) -> int | None:
        """The number of images, None where no size and no mask tells it."""
        for sizes in (self.stored_sizes, self.seen_sizes):
            if sizes is not None:
                return len(sizes)
        if self.masks is None or self.mask_places is None:
            return None if self.masks is None else len(self.masks)
        return max((place.image + 1 for place in self.mask_places), default=0)

    def size(self, image: int) -> Size | None:
        """(width, height) of stored image `image`, from a mask where no size is given."""
        if self.stored_sizes is not None:
            return self.stored_sizes[image] if image < len(self.stored_sizes) else None
        for place, mask in self.placed_masks:
            if place.image == image:
                return float(mask.shape[1]), float(mask.shape[0])
        return None


def truth_of(value: Truth | Mapping[str, Any] | str, where: str = "truth") -> Truth:
    """A `Truth` from one, from a mapping with its fields, or from a bare answer.

    Regions are mappings {label, image, x_min, y_min, x_max, y_max} and, if need be, reader and
    role, as in the record; those with the role "given" are nothing to find, and where there are
    any, masks are not the truth, since they do not tell the given from the others. Raises
    UsageError for unknown fields and wrong types, InputError for a region without area or with an
    impossible image, Misaligned where sizes disagree: a malformed truth is never scored as a wrong
    response.
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
    regions = values.get("regions")
    if any(map(is_given, regions or ())):
        values["masks"] = values["mask_places"] = None
    values["masks"] = _masks(values.get("masks"), f"{where}.masks")
    values["mask_places"] = _places(values.get("mask_places"), f"{where}.mask_places")
    values["number"] = _true_number(values.get("number"), f"{where}.number")
    found = targets(regions, values.get("kind"))
    values["regions"] = _regions(found, f"{where}.regions")
    truth = Truth(**values)
    _check(truth, where)
    return truth


def truth_of_record(
    record: Mapping[str, Any],
    *,
    seen_sizes: Sequence[Size] | None = None,
    frame: BoxFrame = "pixels",
    masks: Sequence[NDArray[Any]] | None = None,
) -> Truth:
    """The truth of one record (schema version 2) for a policy that saw images of `seen_sizes`.

    `masks` are its decoded label maps, in the order of its `mask_info`; the record's own PNG masks
    are not read, its regions are. Raises as `truth_of`.
    """
    where = f"record {record.get('id')}"
    if (kind := record.get("kind")) is None:
        fix = "read that column too; build data sets of schema 1 anew"
        raise UsageError("says not of what kind its answer is", where=where, fix=fix)
    if masks is not None and record.get("mask_info") is None:
        fix = "read the column mask_info too"
        raise UsageError("says not where its masks lie", where=where, fix=fix)
    info, options = record.get("image_info"), record.get("options")
    return truth_of(
        {
            "answer": record["answer"],
            "kind": kind,
            "options": options,
            "number": record.get("number"),
            "letters": shows_letters(record.get("question") or "", options),
            "regions": record.get("regions"),
            "masks": masks,
            "mask_places": None if masks is None else record["mask_info"],
            "stored_sizes": info and [(facts["width"], facts["height"]) for facts in info],
            "seen_sizes": seen_sizes,
            "frame": frame,
        },
        where,
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
    if truth.kind not in TASK_KINDS:
        fix = f"choose one of {', '.join(TASK_KINDS)}"
        raise UsageError(f"kind {truth.kind!r}", where=where, fix=fix)
    _check_option(truth, where)
    _check_images(truth, where)
    images = truth.images
    resized = truth.seen_sizes is not None or truth.frame == "thousandths"
    annotated = truth.regions is not None or truth.masks is not None
    sized = images is not None and all(truth.size(image) for image in range(images))
    if resized and annotated and not sized:
        raise InputError("stored_sizes is needed to map what the policy saw", where=where)
    for place, mask in truth.placed_masks:
        size = truth.size(place.image)
        if size != (mask.shape[1], mask.shape[0]):
            raise Misaligned(f"a mask of {mask.shape[::-1]} on an image of {size}", where=where)
    for index, region in enumerate(truth.regions or ()):
        _check_region(truth, region, f"{where}.regions[{index}]", images)


def _check_option(truth: Truth, where: str) -> None:
    """Raise InputError where one option is the answer and none is, or another than its number."""
    if truth.kind == "choice" and not truth.options:
        raise InputError("a choice without options", where=where)
    if truth.kind not in ("choice", "number") or truth.options is None or truth.answer is None:
        return
    if truth.answer not in truth.options:
        raise InputError(f"answer {truth.answer!r} is no option", where=where)
    place = truth.options.index(truth.answer)
    if truth.number is not None and truth.number.value != place:
        what = f"the answer is at place {place} of the options, its number is {truth.number.value}"
        raise InputError(what, where=where)


def _check_images(truth: Truth, where: str) -> None:
    """Raise Misaligned unless sizes and masks are of the same images."""
    names = ("stored_sizes", "seen_sizes", *(() if truth.mask_places else ("masks",)))
    counts = {name: len(values) for name in names if (values := getattr(truth, name)) is not None}
    if len(set(counts.values())) > 1:
        raise Misaligned(f"one entry an image is needed, found {counts}", where=where)
    if truth.mask_places is None:
        return
    if len(truth.mask_places) != len(truth.masks or ()):
        what = f"{len(truth.masks or ())} masks with {len(truth.mask_places)} places"
        raise Misaligned(what, where=where)
    if astray := [p for p in truth.mask_places if not 0 <= p.image < (truth.images or 0)]:
        raise Misaligned(f"a mask on image {astray[0].image} of {truth.images}", where=where)


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


def _places(values: Any, where: str) -> tuple[MaskPlace, ...] | None:
    if values is None:
        return None
    try:
        return tuple(
            value
            if isinstance(value, MaskPlace)
            else MaskPlace(int(value["image"]), value.get("reader"), value.get("instance"))
            for value in values
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        fix = "the fields are image, reader, instance, as in mask_info"
        raise UsageError(f"{values!r} tells no places", where=where, fix=fix) from error


def _true_number(value: Any, where: str) -> TrueNumber | None:
    if value is None or isinstance(value, TrueNumber):
        return value
    try:
        unit, tolerance = value.get("unit"), float(value.get("tolerance", 0.0))
        number = TrueNumber(float(value["value"]), unit, tolerance)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        fix = "the fields are value, unit, tolerance"
        raise UsageError(f"{value!r} is no number", where=where, fix=fix) from error
    if not (math.isfinite(number.value) and 0 <= number.tolerance < math.inf):
        raise InputError(f"{value!r} is not finite", where=where)
    return number


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
