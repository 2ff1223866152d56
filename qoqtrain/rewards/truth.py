"""What a response is scored against."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from numpy.typing import NDArray

from qoqdata.boxes import BoxFrame, Corners, Size
from qoqdata.contract.vocabulary import TASK_KINDS, TaskKind
from qoqdata.errors import InputError, Misaligned, UsageError

# Stored corners are float32: a box may overlap the rim of its image by this many pixels.
_ROUNDING = 0.5

Sizes = tuple[Size, ...]
_FRAMES: tuple[BoxFrame, ...] = get_args(BoxFrame)


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


def check_truth(truth: Truth, where: str) -> None:
    """Raise UsageError for a wrong type or name, InputError for a region without area, an
    impossible image or an answer that is no option, Misaligned where sizes disagree."""
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
