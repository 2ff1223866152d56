"""A row of the stream, decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from qoqdata.errors import InputError, Misaligned, UsageError
from qoqdata.question import is_given
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.stream.decode import encoded_images, signals
from qoqdata.stream.decode.budget import Budget, Size
from qoqdata.stream.decode.encoded_images import Encoded
from qoqdata.stream.decode.transform import (
    ShownImage,
    Transform,
    lost_codes,
    resize_image,
    resize_labels,
)

Row = Mapping[str, Any]
Form = Literal["bytes", "array", "pil"]
_IMAGED = ("images", "image_info", "masks", "mask_info", "regions")


@dataclass(frozen=True)
class Decoder:
    """Rows (columns of `qoqdata.contract.record` as Python values, any subset) to decoded records.

    images  "bytes": images and masks stay encoded, as bytes. "array": images as uint8
            (height, width, 3) RGB, grey ones repeated. "pil": the same as PIL images, mode RGB
    budget  the size at which images are shown; None: as stored
    limits  declared sizes beyond these are refused before decoding; `frames` and `voxels` bound the
            images of one record and their pixels together
    strict  refuse JPEG that libjpeg warns of as well; slower, and one image at a time a process
    reduced let libjpeg shrink large JPEG by 2, 4 or 8 while decoding (see
            `encoded_images.reduction`): half the time for radiographs, pixels a little sharper than
            by averaging. Not with `strict`

    Raises UsageError for an unknown form, for a budget with "bytes", which has no pixels to resize,
    and for `strict` with `reduced`.
    """

    images: Form = "bytes"
    budget: Budget | None = None
    limits: Limits = DEFAULT_LIMITS
    strict: bool = False
    reduced: bool = False

    def __post_init__(self) -> None:
        if self.images not in get_args(Form):
            raise UsageError(
                f"images {self.images!r}", fix=f"choose one of {', '.join(get_args(Form))}"
            )
        if self.images == "bytes" and self.budget is not None:
            raise UsageError(
                "encoded images cannot be resized", fix="choose array or pil, or no budget"
            )
        if self.strict and self.reduced:
            raise UsageError("images are decoded strictly or reduced", fix="choose one of them")

    def __call__(self, row: Row) -> dict[str, Any]:
        """The decoded record: the row's columns, and no others, but for `shown` and `left_out`.

        images      list of images in the chosen form; entries of a row are bytes-like or
                    {"bytes", "path"}
        masks       label maps of the shown images, uint8 or uint16 (height, width)
        mask_info   of those masks, with `image` and size as shown
        regions     corners and area in shown pixels, `image` counts the shown images
        image_info  of the shown images, with their shown width and height, and spacing to match
        ecg         see `signals.ecg`
        shown       one `ShownImage.facts` for each; `Transform.of` maps boxes back
        left_out    what a budget costs: "images" (stored indices), "regions" (as stored), "codes"
                    ({"mask", "code"}: codes of a shown mask without a pixel)

        So a decoded record is one whose stored images are the shown ones. `shown` and `left_out`
        come with any image column unless images are bytes; then all but the ECG stays as stored.
        Where no image is stored, masks are the canvas; where none is read, `image_info` is.

        Raises an InputError that names the record and the image, also for a region that the
        question gives on an image that is left out, or UsageError for a budget that cannot be met
        or has no size to work on.
        """
        where = f"record {row['id']}, " if row.get("id") is not None else ""
        record = dict(row)
        if row.get("ecg") is not None:
            record["ecg"] = signals.ecg(row["ecg"], where=f"{where}ecg")
        if self.images == "bytes":
            for column in ("images", "masks"):
                if row.get(column) is not None:
                    record[column] = _all_bytes(row[column], f"{where}{column}")
        elif any(column in row for column in _IMAGED):
            record |= self._shown(row, where)
        return record

    def _shown(self, row: Row, where: str) -> dict[str, Any]:
        images = self._opened(row.get("images"), f"{where}images")
        masks = self._opened(row.get("masks"), f"{where}masks")
        info, mask_info = row.get("image_info"), row.get("mask_info")
        canvases = encoded_images.mask_canvases(masks, mask_info, where)
        sizes = encoded_images.stored_sizes(images, info, canvases, where)
        if sizes is None and self.budget and row.get("regions"):
            raise UsageError(
                "boxes cannot be resized without an image's size",
                where=f"{where}regions",
                fix="read images, image_info or mask_info as well",
            )
        try:
            plan = Transform.plan(sizes or (), self.budget)
        except InputError as error:
            raise _located(error, f"{where}images") from error
        self.limits.check(
            "voxels", sum(f.stored[0] * f.stored[1] for f in plan.frames), where=f"{where}images"
        )
        out: dict[str, Any] = {"shown": [frame.facts() for frame in plan.frames]}
        indices = {frame.image for frame in plan.frames}
        left_out: dict[str, list[Any]] = {
            "images": [i for i in range(len(sizes or ())) if i not in indices],
            "regions": [],
            "codes": [],
        }
        out["left_out"] = left_out
        if images is not None:
            out["images"] = [
                self._image(images[f.image], f, f"{where}images[{f.image}]") for f in plan.frames
            ]
        places = {frame.image: place for place, frame in enumerate(plan.frames)}
        owners = enumerate(image for image, _ in canvases or ())
        kept = [(n, places[image]) for n, image in owners if image in places]
        if masks is not None:
            out["masks"] = [
                _mask(masks[n], plan.frames[at], f"{where}masks[{n}]", place, left_out["codes"])
                for place, (n, at) in enumerate(kept)
            ]
        if mask_info is not None:
            out["mask_info"] = [_mask_facts(mask_info[n], at, plan.frames[at]) for n, at in kept]
        if info is not None:
            out["image_info"] = [_facts(info[frame.image], frame) for frame in plan.frames]
        if row.get("regions") is not None and sizes is not None:
            out["regions"] = _regions(row["regions"], plan, sizes, where, left_out["regions"])
        return out

    def _opened(self, column: Sequence[Any] | None, where: str) -> list[Encoded] | None:
        if column is None:
            return None
        self.limits.check("frames", len(column), where=where)
        images: list[Encoded] = []
        for index, value in enumerate(column):
            place = f"{where}[{index}]"
            data = encoded_images.encoded_bytes(value, place)
            images.append(encoded_images.opened(data, where=place, limits=self.limits))
        return images

    def _image(self, image: Encoded, frame: ShownImage, where: str) -> Any:
        import cv2

        by = encoded_images.reduction(image, frame.shown) if self.reduced else 1
        pixels = encoded_images.pixels(image, where=where, strict=self.strict, reduction=by)
        pixels = resize_image(pixels, frame.shown)
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
        if self.images == "array":
            return pixels
        from PIL import Image

        return Image.fromarray(pixels)


def _all_bytes(column: Sequence[Any], where: str) -> list[bytes]:
    return [
        encoded_images.encoded_bytes(value, f"{where}[{index}]")
        for index, value in enumerate(column)
    ]


def _mask(
    mask: Encoded, frame: ShownImage, where: str, place: int, losses: list[Any]
) -> np.ndarray:
    """The shown label map; codes that it loses are added to `losses`."""
    codes = encoded_images.codes(mask, where=where)
    view = resize_labels(codes, frame.shown)
    if view is not codes:
        losses += [{"mask": place, "code": code} for code in lost_codes(codes, view)]
    return view


def _mask_facts(info: Mapping[str, Any], place: int, frame: ShownImage) -> dict[str, Any]:
    """`mask_info` of a mask of the image shown at `place`."""
    return {**info, "image": place, "width": frame.shown[0], "height": frame.shown[1]}


def _facts(info: Mapping[str, Any], frame: ShownImage) -> dict[str, Any]:
    """`image_info` of the shown image; in-plane spacing grows as the image shrinks."""
    if frame.shown == frame.stored:
        return dict(info)
    facts = {**info, "width": frame.shown[0], "height": frame.shown[1]}
    if info.get("spacing") is not None:
        scale_x, scale_y = frame.scale
        row, column, *through = info["spacing"]
        facts["spacing"] = [row / scale_y, column / scale_x, *through]
    return facts


def _regions(
    regions: Sequence[Row], plan: Transform, sizes: Sequence[Size], where: str, left_out: list[Any]
) -> list[dict[str, Any]]:
    """Regions on the shown images; those of other images are added to `left_out`."""
    targets = []
    for index, region in enumerate(regions):
        place = f"{where}regions[{index}]"
        if not 0 <= region["image"] < len(sizes):
            raise Misaligned(f"on image {region['image']} of {len(sizes)}", where=place)
        try:
            target = plan.show(region)
        except InputError as error:
            raise _located(error, place) from error
        if target is None and is_given(region):
            what = f"is given, on image {region['image']}, which the budget leaves out"
            fix = "raise max_images or total_pixels, or stream without the record"
            raise InputError(what, where=place, fix=fix)
        if target is None:
            left_out.append(dict(region))
        else:
            targets.append(target)
    return targets


def _located(error: InputError, where: str) -> InputError:
    return type(error)(error.what, where=where, fix=error.fix)
