"""The rules that every record keeps; a breach names the record id, the column and the rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from qoqdata.contract.record import RECORD
from qoqdata.contract.vocabulary import AGE_CAP, ANSWER_JOIN, LABEL_SEPARATORS, OTHER_DOMAIN
from qoqdata.errors import RecordError
from qoqdata.readers.image import jpeg, png
from qoqdata.records.shapes import Breach, Row, is_shaped, shape_breaches

TEXTS = ("question", "answer", "context", "reasoning", "licence", "task", "source", "item")
_MEDIA = (("images", "image_info", "an image"), ("masks", "mask_info", "a mask"))
#: What a source may say of a label.
_STATES = ("labels", "uncertain", "absent")
#: In mV, of `_swing`. Beats stay below 10, and what amplifiers take up below 33; microvolts that a
#: header calls millivolts are beyond.
_WIDEST = 50.0
#: A record outside of the clinical domains that is trained on.
OTHER_BREACH = ("domain", "other is for evaluation sources", f"is {OTHER_DOMAIN}")
_Rule = Callable[[Row], Iterable[Breach]]
_SEPARATOR = re.compile("|".join(map(re.escape, LABEL_SEPARATORS)))


def validate(row: Row, role: str = "training") -> None:
    """Raise RecordError for the first breach of the record contract in `row`.

    `role` is that of the record's source.
    """
    for column, rule, what in breaches(row, role):
        raise RecordError(what, record=str(row.get("id")), column=column, rule=rule)


def validate_unit(rows: Iterable[Row], role: str = "training") -> None:
    """As `validate` for each row of a unit."""
    for row, found in breaches_of_rows(rows, role):
        for column, rule, what in found:
            raise RecordError(what, record=str(row.get("id")), column=column, rule=rule)


def breaches_of_rows(
    rows: Iterable[Row], role: str = "training"
) -> Iterator[tuple[Row, list[Breach]]]:
    """Each row with its every breach; a signal without one that neighbours share, the same object,
    is asked once."""
    sound: object = None
    for row in rows:
        ecg = row.get("ecg")
        known = ecg is not None and ecg is sound
        found = list(breaches(row, role, _BUT_SIGNALS if known else RULES))
        sound = None if found else ecg
        yield row, found


def breaches(
    row: Row, role: str = "training", rules: Iterable[_Rule] | None = None
) -> Iterable[Breach]:
    """Every breach of the record contract in `row`, the shape of its columns first.

    `role` is that of the record's source; `rules`, by default all, are those beyond the shape.
    """
    shape = () if is_shaped(row) else tuple(shape_breaches(row, RECORD))
    yield from shape
    if not shape:
        for rule in RULES if rules is None else rules:
            yield from rule(row)
        if row["domain"] == OTHER_DOMAIN and role != "evaluation":
            yield OTHER_BREACH


def null_and_empty(row: Row) -> Iterable[Breach]:
    for column in TEXTS:
        if (text := row[column]) is not None and (not text or text.isspace()):
            yield column, "absent text is null, not empty", "is an empty text"
    for column in ("images", "masks", "options"):
        if row[column] is not None and len(row[column]) == 0:
            yield column, "absent is null, not an empty list", "is an empty list"


def age_rule(row: Row) -> Iterable[Breach]:
    if row["age"] is not None and not 0 <= row["age"] <= AGE_CAP:
        yield "age", f"between 0 and {AGE_CAP}", f"is {row['age']}"


def modality_rule(row: Row) -> Iterable[Breach]:
    if row["modality"] == "ecg" and row["images"] is not None:
        yield "images", "an ECG record shows no image", f"holds {len(row['images'])} images"
    if row["modality"] in ("image_2d", "volume_3d", "video") and row["ecg"] is not None:
        yield "ecg", "an image record holds no ECG", "holds an ECG"


def _images(row: Row) -> Iterable[Breach]:
    for media, facts, one in _MEDIA:
        pixels, info = row[media], row[facts]
        if (pixels is None) != (info is None) or (pixels and len(pixels) != len(info)):
            yield facts, f"one entry {one}", f"does not match {media}"
            return
        for index, (image, stated) in enumerate(zip(pixels or (), info or (), strict=True)):
            if (size := _size(image)) != (stated["width"], stated["height"]):
                rule = "the stored image has the stated size"
                what = f"{size} against {stated['width'], stated['height']}"
                yield f"{media}[{index}]", rule, what


def _masks(row: Row) -> Iterable[Breach]:
    if not row["mask_info"]:
        return
    sizes = canvas_sizes(row)
    if row["image_info"] is None and sorted(sizes) != list(range(len(sizes))):
        yield "mask_info", "canvases are numbered from 0", f"{sorted(sizes)}"
    for index, (mask, info) in enumerate(_pairs(row["masks"], row["mask_info"])):
        path = f"masks[{index}]"
        if not (mask["bytes"] or b"").startswith(png.MAGIC):
            yield path, "masks are lossless: PNG", "is no PNG"
        if (size := sizes.get(info["image"])) is None:
            yield (
                f"mask_info[{index}].image",
                "names a stored image",
                f"{info['image']} of {len(sizes)}",
            )
        elif size != (info["width"], info["height"]):
            what = f"{info['width'], info['height']} against {size}"
            yield path, "a mask has its image's size", what


def regions_rule(row: Row) -> Iterable[Breach]:
    if not row["regions"]:
        return
    sizes = canvas_sizes(row)
    for index, region in enumerate(row["regions"]):
        path = f"regions[{index}]"
        if region["image"] not in sizes:
            yield f"{path}.image", "names a stored image", f"{region['image']} of {len(sizes)}"
            continue
        width, height = sizes[region["image"]]
        x_min, y_min, x_max, y_max = (region[k] for k in ("x_min", "y_min", "x_max", "y_max"))
        if not (0 <= x_min < x_max <= width and 0 <= y_min < y_max <= height):
            box = f"({x_min:g}, {y_min:g}, {x_max:g}, {y_max:g}) in {width} x {height}"
            yield path, "a box lies inside its image", box


def _labels(row: Row) -> Iterable[Breach]:
    for column in ("options", *_STATES):
        if not (values := row[column]):
            continue
        # Only answers that join several labels are ever split again.
        if row["kind"] in ("single", "multi") and _SEPARATOR.search("\0".join(values)):
            for value in values:
                if mark := next((mark for mark in LABEL_SEPARATORS if mark in value), None):
                    yield (
                        column,
                        "labels survive the scorer's separators",
                        f"{value!r} holds {mark!r}",
                    )
        if len(set(values)) < len(values):
            yield column, "no repeats", f"{list(values)} repeats a value"
    options = None if row["options"] is None else set(row["options"])
    for column in _STATES if options is not None else ():
        if stray := sorted(set(row[column] or ()) - (options or set())):
            yield column, "labels are options", f"{stray} not among the options"
    denied = set(row["absent"] or ())
    if torn := sorted(denied & (set(row["labels"] or ()) | set(row["uncertain"] or ()))):
        yield "absent", "a denied label is neither asserted nor doubted", f"{torn}"


def _answer(row: Row) -> Iterable[Breach]:
    kind, options, answer = row["kind"], row["options"], row["answer"]
    if options is None:
        if kind in ("single", "multi", "choice"):
            yield "options", "a closed question has options", "is null"
        return
    answers = answer.split(ANSWER_JOIN) if kind == "multi" else [answer]
    if not set(answers) <= set(options) or len(set(answers)) < len(answers):
        yield "answer", "the answer is an option or a join of options", f"{answer!r}"


def _number(row: Row) -> Iterable[Breach]:
    number = row["number"]
    if (row["kind"] == "number") != (number is not None):
        yield "number", "there for kind number and no other", f"the kind is {row['kind']}"
    if number is None:
        return
    value, tolerance, options = number["value"], number["tolerance"], row["options"]
    if not (np.isfinite(value) and 0 <= tolerance < np.inf):
        yield "number", "a finite value and a tolerance from 0", f"{value} within {tolerance}"
    if options is not None and (
        value != int(value) or not 0 <= value < len(options) or options[int(value)] != row["answer"]
    ):
        yield "number.value", "the place of the answer among the options", f"is {value:g}"


def _ecg(row: Row) -> Iterable[Breach]:
    if (ecg := row["ecg"]) is None:
        return
    leads, signal, valid = ecg["leads"], ecg["signal"], ecg["valid"]
    if not len(leads) or len(set(leads)) < len(leads):
        yield "ecg.leads", "leads are named once each", f"{list(leads)}"
    if not 0 < ecg["fs"] < np.inf:
        yield "ecg.fs", "a positive rate", f"is {ecg['fs']}"
    for member, rows in (("ecg.signal", signal), ("ecg.valid", valid)):
        if any(lead is None for lead in rows):
            yield member, "leads x samples", "a lead is null"
            return
    lengths = {len(lead) for lead in signal}
    if len(signal) != len(leads) or len(lengths) > 1 or 0 in lengths:
        yield "ecg.signal", "leads x samples", f"{len(leads)} leads, {len(signal)} rows, {lengths}"
        return
    if [len(lead) for lead in valid] != [len(lead) for lead in signal]:
        yield "ecg.valid", "the mask has the signal's shape", "shapes differ"
    elif not any(np.any(lead) for lead in valid):
        yield "ecg.valid", "a lead has a usable sample", "every sample is masked"
    if not all(map(_is_finite, signal)):
        yield "ecg.signal", "finite millivolts", "holds NaN or infinity"
    elif (swing := _swing(signal)) > _WIDEST:
        told = f"leads swing by {swing:.4g} mV, so that a unit or a gain of the raw file is wrong"
        yield "ecg.signal", "millivolts as electrodes give them", told


#: Of question, options, answer and labels.
ANSWER_RULES = (_labels, _answer, _number)


def _is_finite(lead: Any) -> bool:
    samples = np.asarray(lead, np.float32)
    # A sum is finite only where all samples are, and costs a third of asking each.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(samples.sum()) or np.isfinite(samples).all())


def _swing(signal: Any) -> float:
    """From the 5th to the 95th hundredth of the samples of the middle lead, in mV; 0.0 where no
    lead goes so far as to make it matter."""
    leads = [np.asarray(lead, np.float32) for lead in signal]
    if max((float(np.ptp(lead)) for lead in leads), default=0.0) <= _WIDEST:  # nearly always
        return 0.0
    ends = np.percentile(np.stack(leads).astype(np.float64), (5, 95), axis=1)
    return float(np.median(ends[1] - ends[0]))


#: The rules beyond column shape, in reporting order.
RULES: tuple[_Rule, ...] = (
    null_and_empty,
    age_rule,
    modality_rule,
    _images,
    _masks,
    regions_rule,
    _labels,
    _answer,
    _number,
    _ecg,
)
_BUT_SIGNALS = tuple(rule for rule in RULES if rule is not _ecg)


def _pairs(masks: Any, info: Any) -> Iterable[tuple[Any, Any]]:
    """Masks with their facts; a column that lacks entries is another rule's breach."""
    return zip(masks or (), info or (), strict=False)


def canvas_sizes(row: Row) -> dict[int, tuple[int, int]]:
    """(width, height) by the number that boxes and masks name: of the images or, in a record of
    annotations only, of the canvases that its masks lie on."""
    if row["image_info"] is not None:
        return {n: (one["width"], one["height"]) for n, one in enumerate(row["image_info"])}
    masks = reversed(row["mask_info"] or ())
    return {one["image"]: (one["width"], one["height"]) for one in masks}


def _size(image: Mapping[str, Any]) -> tuple[int, int]:
    """(width, height) from the encoded header; (0, 0) when it is neither JPEG nor PNG."""
    data = image["bytes"] or b""
    size = jpeg.size(data) if data.startswith(jpeg.MAGIC) else png.size(data)
    return size or (0, 0)
