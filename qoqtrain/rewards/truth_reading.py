"""A truth from a record, from a mapping of its fields, or from a bare answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.boxes import BoxFrame, Size
from qoqdata.errors import InputError, UsageError
from qoqdata.question import is_given, shows_letters, targets
from qoqtrain.rewards.truth import MaskPlace, Sizes, TrueNumber, TrueRegion, Truth, check_truth

_FIELDS = {field.name for field in fields(Truth)}
_ONLY_TEXT = {str}


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
        check_truth(value, where)
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
    check_truth(truth, where)
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
