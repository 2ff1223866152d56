"""The record, schema version 2: one row is one question about one study."""

from __future__ import annotations

from dataclasses import replace

from qoqdata.contract.types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    STRING,
    EncodedImage,
    Field,
    ListOf,
    Scalar,
    Struct,
    Table,
)
from qoqdata.contract.vocabulary import (
    DIGESTS,
    MODALITIES,
    RECORD_DOMAINS,
    REDISTRIBUTION,
    ROLES,
    SEXES,
    SPLITS,
    STORED_AS,
    TASK_KINDS,
)

VERSION = 2

WINDOW = Struct(
    (
        Field("name", STRING, "name of a standard window, such as lung", nullable=True),
        Field("centre", FLOAT32, "window centre in modality units (HU for CT)"),
        Field("width", FLOAT32, "window width in modality units"),
        Field("function", STRING, "LINEAR, LINEAR_EXACT or SIGMOID (DICOM PS3.3 C.11.2.1.2)"),
    )
)

IMAGE_INFO = Struct(
    (
        Field("width", INT32, "stored columns"),
        Field("height", INT32, "stored rows"),
        Field("original_width", INT32, "columns before any crop or resize"),
        Field("original_height", INT32, "rows before any crop or resize"),
        Field("view", STRING, "view or plane, such as PA, MLO, axial", nullable=True),
        Field("laterality", STRING, "left, right or both", nullable=True),
        Field("window", WINDOW, "grey window that made the 8 bits", nullable=True),
        Field("index", INT32, "slice or frame index in the raw volume or clip", nullable=True),
        Field(
            "spacing",
            ListOf(FLOAT32),
            "mm between stored pixel centres: row, column and, for slices, through plane",
            nullable=True,
        ),
        Field("stored_as", Scalar("string", STORED_AS), "the file's bytes, bounded, or lossless"),
    )
)

MASK_INFO = Struct(
    (
        Field("image", INT32, "index into images; where none is stored, number of the canvas"),
        Field("width", INT32, "columns, as its image's"),
        Field("height", INT32, "rows, as its image's"),
        Field("reader", STRING, "who drew it, where readers are kept apart", nullable=True),
        Field("instance", INT32, "tells instances that overlap apart", nullable=True),
    )
)

ECG = Struct(
    (
        Field("leads", ListOf(STRING), "lead names, canonical spelling and order"),
        Field("fs", FLOAT32, "sampling rate in Hz"),
        Field("signal", ListOf(ListOf(FLOAT32)), "millivolts, lead x sample"),
        Field("valid", ListOf(ListOf(BOOL)), "lead x sample; false where the signal is unusable"),
    )
)

REGION = Struct(
    (
        Field("label", STRING, "what the box encloses"),
        Field("image", INT32, "index into images; where none is stored, number of the canvas"),
        Field("x_min", FLOAT32, "left edge in stored pixels; pixel i spans [i, i + 1]"),
        Field("y_min", FLOAT32, "top edge"),
        Field("x_max", FLOAT32, "right edge"),
        Field("y_max", FLOAT32, "bottom edge"),
        Field("area", FLOAT32, "mask area in stored pixels; null for a drawn box", nullable=True),
        Field("reader", STRING, "who drew it, where readers are kept apart", nullable=True),
        Field("role", Scalar("string", ROLES), "to be found, or given as part of the question"),
    )
)

NUMBER = Struct(
    (
        Field("value", FLOAT64, "the answer; of an ordinal task the place of its option, from 0"),
        Field("unit", STRING, "UCUM code, such as mm or %; null where it has none", nullable=True),
        Field("tolerance", FLOAT64, "largest error that counts as right, in the unit or in places"),
    )
)

PROVENANCE = Struct(
    (
        Field("raw", ListOf(STRING), "raw paths below the raw root (keyed on private sources)"),
        Field("digest", STRING, "over the digests of the raw files in that order"),
        Field("algorithm", Scalar("string", DIGESTS), "what made the digests"),
        Field("converter", STRING, "source converter"),
        Field("version", STRING, "converter version"),
        Field("notes", ListOf(STRING), "repairs and choices: resampling, slices, header faults"),
    )
)

RECORD = Table(
    "record",
    VERSION,
    "One question about one study.",
    (
        Field("id", STRING, "stable hash of source, study key, task and item"),
        Field("source", STRING, "slug of the source"),
        Field("domain", Scalar("string", RECORD_DOMAINS), "clinical domain; other: none of them"),
        Field("modality", Scalar("string", MODALITIES), "what the policy is shown"),
        Field("task", STRING, "diagnosis, grounding, severity ..."),
        Field("kind", Scalar("string", TASK_KINDS), "what an answer is"),
        Field("item", STRING, "tells questions of one task about one study apart", nullable=True),
        Field("split", Scalar("string", SPLITS), "official, or by hash of the group key"),
        Field("patient", STRING, "keyed hash; null where the source names none", nullable=True),
        Field("study", STRING, "keyed hash of the study key"),
        Field(
            "images",
            ListOf(EncodedImage()),
            "8-bit, upright, windowed; slices or frames in anatomical or time order",
            nullable=True,
        ),
        Field("image_info", ListOf(IMAGE_INFO), "one entry an image", nullable=True),
        Field("ecg", ECG, "all leads at the native rate and length", nullable=True),
        Field("regions", ListOf(REGION), "boxes; null when the source has none", nullable=True),
        Field(
            "masks",
            ListOf(EncodedImage()),
            "PNG label maps; codes in the source card",
            nullable=True,
        ),
        Field("mask_info", ListOf(MASK_INFO), "one entry a mask", nullable=True),
        Field("context", STRING, "report or EHR text that the question refers to", nullable=True),
        Field("question", STRING, "what is asked"),
        Field(
            "options",
            ListOf(STRING),
            "admissible answers, of an ordinal task in ascending order; null where any may be",
            nullable=True,
        ),
        Field("answer", STRING, "one option, several joined by comma and blank, or free text"),
        Field("number", NUMBER, "the answer to a task of kind number", nullable=True),
        Field("labels", ListOf(STRING), "findings that the source asserts", nullable=True),
        Field("uncertain", ListOf(STRING), "findings it marks as uncertain", nullable=True),
        Field("absent", ListOf(STRING), "findings that it denies", nullable=True),
        Field("reasoning", STRING, "a reasoning trace", nullable=True),
        Field("reasoning_policy", STRING, "the policy that wrote the trace", nullable=True),
        Field("age", INT16, "years, capped at 90", nullable=True),
        Field("sex", Scalar("string", SEXES), "as recorded by the source", nullable=True),
        Field("licence", STRING, "from the source card"),
        Field("redistribution", Scalar("string", REDISTRIBUTION), "from the source card"),
        Field("provenance", PROVENANCE, "where the record comes from"),
    ),
)

#: Columns, and members of the signal's column, that only shards hold.
MEDIA = ("images", "masks")
SIGNALS = ("signal", "valid")


def _without_signals(field: Field) -> Field:
    if field.type is not ECG:
        return field
    light = Struct(tuple(member for member in ECG.fields if member.name not in SIGNALS))
    return replace(field, type=light, doc="leads and rate; the signal is in the shard")


METADATA = Table(
    "metadata",
    VERSION,
    "A record without images, masks and signals: what passes over a whole source read.",
    tuple(_without_signals(field) for field in RECORD.fields if field.name not in MEDIA),
)
