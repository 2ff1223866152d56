"""The rules that every record keeps; a breach names the record id, the column and the rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any

import numpy as np

from qoqdata.contract.record import RECORD
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, Struct, Table, Type
from qoqdata.contract.vocabulary import AGE_CAP, ANSWER_JOIN, LABEL_SEPARATORS
from qoqdata.errors import RecordError

Row = Mapping[str, Any]
#: A breach: column, rule, what was found.
Breach = tuple[str, str, str]

_PNG = b"\x89PNG\r\n\x1a\n"


def validate(row: Row) -> None:
    """Raise RecordError for the first breach of the record contract in `row`."""
    for column, rule, what in breaches(row):
        raise RecordError(what, record=str(row.get("id")), column=column, rule=rule)


def breaches(row: Row) -> Iterable[Breach]:
    """Every breach of the record contract in `row`, the shape of its columns first."""
    shape = list(shape_breaches(row, RECORD))
    yield from shape
    if not shape:
        for rule in RULES:
            yield from rule(row)


def shape_breaches(row: Row, table: Table) -> Iterable[Breach]:
    """Missing and unknown columns, nulls where none may be, and values outside a vocabulary."""
    for name in sorted(set(row) - set(table.names)):
        yield name, "no other columns", "the schema has no such column"
    for field in table.fields:
        if field.name not in row:
            yield field.name, "every column is there", "the column is missing"
        else:
            yield from _field_breaches(row[field.name], field, field.name)


def _field_breaches(value: Any, field: Field, path: str) -> Iterable[Breach]:
    if value is None:
        if not field.nullable:
            yield path, "not null", "is null"
        return
    yield from _value_breaches(value, field.type, path)


def _value_breaches(value: Any, kind: Type, path: str) -> Iterable[Breach]:
    match kind:
        case Scalar(choices=choices) if choices and value not in choices:
            yield path, "one of the vocabulary", f"{value!r} is not among {', '.join(choices)}"
        case ListOf(item=Struct() | EncodedImage() | Scalar("string"), nullable_items=nullable):
            # Lists of numbers are left to the ECG rule: walking them one by one takes seconds.
            for index, item in enumerate(value):
                if item is not None:
                    yield from _value_breaches(item, kind.item, f"{path}[{index}]")
                elif not nullable:
                    yield f"{path}[{index}]", "not null", "is null"
        case Struct(fields=fields):
            for field in fields:
                if field.name not in value:
                    yield f"{path}.{field.name}", "every member is there", "the member is missing"
                else:
                    yield from _field_breaches(value[field.name], field, f"{path}.{field.name}")


def _null_and_empty(row: Row) -> Iterable[Breach]:
    for column in ("question", "answer", "context", "reasoning", "licence", "task", "source"):
        if row[column] is not None and not row[column].strip():
            yield column, "absent text is null, not empty", "is an empty text"
    for column in ("images", "masks", "options"):
        if row[column] is not None and len(row[column]) == 0:
            yield column, "absent is null, not an empty list", "is an empty list"


def _age(row: Row) -> Iterable[Breach]:
    if row["age"] is not None and not 0 <= row["age"] <= AGE_CAP:
        yield "age", f"between 0 and {AGE_CAP}", f"is {row['age']}"


def _modality(row: Row) -> Iterable[Breach]:
    if row["modality"] == "ecg" and row["images"] is not None:
        yield "images", "an ECG record shows no image", f"holds {len(row['images'])} images"
    if row["modality"] in ("image_2d", "volume_3d", "video") and row["ecg"] is not None:
        yield "ecg", "an image record holds no ECG", "holds an ECG"


def _images(row: Row) -> Iterable[Breach]:
    images, info, masks = row["images"], row["image_info"], row["masks"]
    if (images is None) != (info is None) or (images and len(images) != len(info)):
        yield "image_info", "one entry an image", "does not match images"
        return
    for index, mask in enumerate(masks or ()):
        if mask is not None and not (mask["bytes"] or b"").startswith(_PNG):
            yield f"masks[{index}]", "masks are lossless: PNG", "is no PNG"
    for index, (image, facts) in enumerate(zip(images or (), info or (), strict=True)):
        if (size := _size(image)) != (facts["width"], facts["height"]):
            rule = "the stored image has the stated size"
            yield f"images[{index}]", rule, f"{size} against {facts['width'], facts['height']}"
    if images is not None and masks is not None:
        if len(masks) != len(images):
            yield "masks", "one an image", f"{len(masks)} masks for {len(images)} images"
            return
        for index, (mask, facts) in enumerate(zip(masks, info, strict=True)):
            if mask is not None and (size := _size(mask)) != (facts["width"], facts["height"]):
                rule = "a mask has its image's size"
                yield f"masks[{index}]", rule, f"{size} against {facts['width'], facts['height']}"


def _regions(row: Row) -> Iterable[Breach]:
    sizes = _canvas_sizes(row)
    for index, region in enumerate(row["regions"] or ()):
        path = f"regions[{index}]"
        if not 0 <= region["image"] < len(sizes):
            yield f"{path}.image", "names a stored image", f"{region['image']} of {len(sizes)}"
            continue
        width, height = sizes[region["image"]]
        x_min, y_min, x_max, y_max = (region[k] for k in ("x_min", "y_min", "x_max", "y_max"))
        if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
            box = f"({x_min:g}, {y_min:g}, {x_max:g}, {y_max:g}) in {width} x {height}"
            yield path, "a box lies inside its image", box


def _labels(row: Row) -> Iterable[Breach]:
    for column in ("options", "labels", "uncertain"):
        for value in row[column] or ():
            if mark := next((mark for mark in LABEL_SEPARATORS if mark in value), None):
                yield column, "labels survive the scorer's separators", f"{value!r} holds {mark!r}"
        if row[column] and len(set(row[column])) < len(row[column]):
            yield column, "no repeats", f"{list(row[column])} repeats a value"
    if row["options"] is None:
        return
    options = set(row["options"])
    for column in ("labels", "uncertain"):
        if stray := sorted(set(row[column] or ()) - options):
            yield column, "labels are options", f"{stray} not among the options"
    answers = row["answer"].split(ANSWER_JOIN)
    if not set(answers) <= options or len(set(answers)) < len(answers):
        yield "answer", "the answer is an option or a join of options", f"{row['answer']!r}"


def _ecg(row: Row) -> Iterable[Breach]:
    if (ecg := row["ecg"]) is None:
        return
    leads, signal, valid = ecg["leads"], ecg["signal"], ecg["valid"]
    if not len(leads) or len(set(leads)) < len(leads):
        yield "ecg.leads", "leads are named once each", f"{list(leads)}"
    if not 0 < ecg["fs"] < np.inf:
        yield "ecg.fs", "a positive rate", f"is {ecg['fs']}"
    lengths = {len(lead) for lead in signal}
    if len(signal) != len(leads) or len(lengths) > 1 or 0 in lengths:
        yield "ecg.signal", "leads x samples", f"{len(leads)} leads, {len(signal)} rows, {lengths}"
        return
    if [len(lead) for lead in valid] != [len(lead) for lead in signal]:
        yield "ecg.valid", "the mask has the signal's shape", "shapes differ"
    if not all(np.isfinite(np.asarray(lead, np.float32)).all() for lead in signal):
        yield "ecg.signal", "finite millivolts", "holds NaN or infinity"


#: The rules beyond column shape, in reporting order.
RULES: tuple[Callable[[Row], Iterable[Breach]], ...] = (
    _null_and_empty,
    _age,
    _modality,
    _images,
    _regions,
    _labels,
    _ecg,
)


def _canvas_sizes(row: Row) -> list[tuple[int, int]]:
    """(width, height) that boxes refer to: the images', else the masks' (annotation-only)."""
    if row["image_info"] is not None:
        return [(facts["width"], facts["height"]) for facts in row["image_info"]]
    return [_size(mask) if mask is not None else (0, 0) for mask in row["masks"] or ()]


def _size(image: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height) from the encoded header; (0, 0) when it is no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(image["bytes"])) as file:
            return file.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return 0, 0
