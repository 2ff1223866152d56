"""Rows of the record table from what converters say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pyarrow as pa

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.record import RECORD
from qoqdata.person import read_age
from qoqdata.records.content import Image, Mask, Number, Record, Region
from qoqdata.records.ecg_column import ecg_array
from qoqdata.records.media_column import media_array
from qoqdata.records.storage import StoredImage, StoredMask, StoredMedia

SCHEMA = arrow_schema(RECORD)
#: Columns whose cells are large.
_ARRAYS = {"ecg": ecg_array, "images": media_array, "masks": media_array}


class RecordFacts(NamedTuple):
    """What the build knows about a record beside its content."""

    id: str
    source: str
    domain: str
    modality: str
    split: str
    patient: str | None
    study: str
    licence: str
    redistribution: str
    raw: tuple[str, ...]
    digest: str
    algorithm: str
    converter: str
    version: str


def row(record: Record, media: StoredMedia, facts: RecordFacts) -> dict[str, Any]:
    """The record as a dictionary in schema order; an age is capped, and null where it is none."""
    images, masks = media.images, media.masks
    return {
        "id": facts.id,
        "source": facts.source,
        "domain": record.domain or facts.domain,
        "modality": facts.modality,
        "task": record.task,
        "kind": record.kind,
        "item": record.item,
        "split": facts.split,
        "patient": facts.patient,
        "study": facts.study,
        "images": _each(images, lambda n, image: _image(facts.id, n, image)),
        "image_info": _pairs(record.images, images, _image_info),
        "ecg": media.ecg,
        "regions": _each(media.regions, lambda _, region: _region(region)),
        "masks": _each(masks, lambda n, mask: _mask(facts.id, n, mask)),
        "mask_info": _pairs(record.masks, masks, _mask_info),
        "context": record.context,
        "question": _form(record.forms, facts.id),
        "options": _list(record.options),
        "answer": record.answer,
        "number": record.number and _number(record.number),
        "labels": _list(record.labels),
        "uncertain": _list(record.uncertain),
        "absent": _list(record.absent),
        "reasoning": None,
        "reasoning_policy": None,
        "age": read_age(record.age),
        "sex": record.sex,
        "licence": facts.licence,
        "redistribution": facts.redistribution,
        "provenance": {
            "raw": list(facts.raw),
            "digest": facts.digest,
            "algorithm": facts.algorithm,
            "converter": facts.converter,
            "version": facts.version,
            "notes": list(record.notes),
        },
    }


def batch(rows: Iterable[dict[str, Any]]) -> pa.RecordBatch:
    """An Arrow batch of rows in the record schema."""
    rows = list(rows)
    columns = [_column([row[field.name] for row in rows], field) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _column(values: list[Any], field: pa.Field) -> pa.Array:
    return _ARRAYS.get(field.name, pa.array)(values, field.type)


def shows_something(row: dict[str, Any]) -> bool:
    """Whether the policy is shown anything: an image, an ECG or text. If not, the record is
    annotation-only, and training leaves it out."""
    return bool(row["images"] or row["ecg"] or row["context"])


def _form(forms: tuple[str, ...], record: str) -> str:
    """The wording that the id picks: the same for everyone, and about as often as any other."""
    return forms[int(record[:16], 16) % len(forms)]


def _image(record: str, number: int, image: StoredImage) -> dict[str, Any]:
    return {"bytes": image.data, "path": f"{record}-{number}.{image.extension}"}


def _image_info(image: Image, stored: StoredImage) -> dict[str, Any]:
    window = image.window
    return {
        "width": stored.width,
        "height": stored.height,
        "original_width": image.original_width or image.width,
        "original_height": image.original_height or image.height,
        "view": image.view,
        "laterality": image.laterality,
        "window": window
        and {
            "name": window.name,
            "centre": window.centre,
            "width": window.width,
            "function": window.function,
        },
        "index": image.index,
        "spacing": _list(stored.spacing),
        "stored_as": stored.stored_as,
    }


def _mask(record: str, number: int, mask: StoredMask) -> dict[str, Any]:
    return {"bytes": mask.data, "path": f"{record}-mask-{number}.png"}


def _mask_info(mask: Mask, stored: StoredMask) -> dict[str, Any]:
    return {
        "image": mask.image,
        "width": stored.width,
        "height": stored.height,
        "reader": mask.reader,
        "instance": mask.instance,
    }


def _number(number: Number) -> dict[str, Any]:
    return {"value": number.value, "unit": number.unit, "tolerance": number.tolerance}


def _region(region: Region) -> dict[str, Any]:
    return {
        "label": region.label,
        "image": region.image,
        "x_min": region.x_min,
        "y_min": region.y_min,
        "x_max": region.x_max,
        "y_max": region.y_max,
        "area": region.area,
        "reader": region.reader,
        "role": region.role,
    }


def _list(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)


def _each(values: tuple[Any, ...] | None, convert: Callable[[int, Any], Any]) -> list[Any] | None:
    return None if values is None else [convert(n, value) for n, value in enumerate(values)]


def _pairs(
    values: tuple[Any, ...] | None,
    stored: tuple[Any, ...] | None,
    convert: Callable[[Any, Any], Any],
) -> list[Any] | None:
    if values is None or stored is None:
        return None
    return list(map(convert, values, stored))
