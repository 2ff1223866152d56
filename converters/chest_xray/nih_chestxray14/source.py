"""NIH ChestX-ray14: frontal films with findings mined from reports, and some boxes by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qoqdata.boxes import cut
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.person import read_age
from qoqdata.records.content import Image, Record, Region
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, ask_boxes, translate
from qoqdata.sources.cells import number, sex, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
BOXES = "BBox_List_2017.csv"
LISTS: dict[str, Split] = {"train_val_list.txt": "train", "test_list.txt": "test"}
NAME, FINDINGS, PATIENT = "Image Index", "Finding Labels", "Patient ID"
AGE, SEX, VIEW = "Patient Age", "Patient Gender", "View Position"
#: The heading "Bbox [x,y,w,h]" holds commas, and so is four columns.
CORNER = ("Bbox [x", "y", "w", "h]")
#: Side of the images that the boxes were drawn on, in pixels.
SIDE = 1024
NO_FINDING = "No Finding"
GIVEN = "abnormality"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a row, with the film, the boxes and the list that name it."""
    name = next((name for name in TABLES if job.raw.exists(name)), TABLES[0])
    table = job.raw.csv(name, columns=(NAME, FINDINGS, PATIENT, AGE, SEX, VIEW))
    drawn = job.raw.csv(BOXES, columns=(NAME, "Finding Label", *CORNER))
    boxes = rows_by_key(drawn, NAME, where=BOXES)
    splits = _splits(job)
    films: dict[str, list[str]] = {}
    for path in job.raw.files("*.png"):
        films.setdefault(path.rpartition("/")[2], []).append(path)
    for key, rows in rows_by_key(table, NAME, where=name).items():
        there = films.pop(key, [])
        patient = text(rows[0][PATIENT])
        try:
            if len(rows) > 1 or len(there) > 1:
                what = f"has {len(rows)} rows and {len(there)} files"
                raise DuplicateKey(what, where=key, fix="remove what is wrong")
            facts = _facts(job, rows[0], boxes.get(key, []))
            if patient is None or key not in splits:
                raise MissingKey("has no patient, or is in no list", where=key)
            if not there:
                raise MissingFile("there is no such film", where=key, fix="fetch its archive")
        except InputError as error:
            yield Refused(key, error, tuple(there), patient, splits.get(key))
            continue
        yield Unit(key, tuple(there), patient, patient, splits[key], facts)
    for key in sorted(boxes.keys() - set(table[NAME])):
        yield Refused(f"box of {key}", MissingKey(f"{name} does not name its film", where=key))
    for key, paths in films.items():
        for path in paths:
            yield Refused(path, MissingKey(f"{name} does not name {key}", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The film with its findings, its boxes, what is in one, and its projection."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    facts, card = unit.facts, job.card
    shown: dict[str, Any] = {"age": facts["age"], "sex": facts["sex"], "notes": notes}
    # The view stands in the prompt, so the film has none where it is asked for.
    bare, shown["images"] = image, (replace(image, view=facts["view"]),)
    asked: list[Converted] = [Record(**ask(card, "findings", facts["findings"]), **shown)]
    asked += _about_boxes(job, facts["boxes"], shown)
    if facts["view"] is None:
        return [*asked, Skipped("view", "no_view", "the table does not say")]
    view = translate(card, facts["view"], where=unit.key, task="view")
    return [*asked, Record(**ask(card, "view", [view]), **shown | {"images": (bare,)})]


def _about_boxes(
    job: Job, boxes: Sequence[tuple[str, list[float]]], shown: Mapping[str, Any]
) -> list[Converted]:
    if not boxes:
        return [Skipped(task, "no_box", "nobody drew one") for task in ("boxes", "marked")]
    (image,) = shown["images"]
    regions = _regions(boxes, image)
    if regions is None:
        what = "the film is not square, or a box lies outside: it was drawn on another"
        return [Skipped(task, "other_film", what) for task in ("boxes", "marked")]
    found = Record(**ask_boxes(job.card, "boxes", regions), regions=regions, **shown)
    if len(regions) > 1:
        return [found, Skipped("marked", "several_boxes", "which one is meant cannot be said")]
    given = (replace(regions[0], label=GIVEN, role="given"),)
    return [found, Record(**ask(job.card, "marked", [regions[0].label]), regions=given, **shown)]


def _regions(boxes: Sequence[tuple[str, list[float]]], image: Image) -> tuple[Region, ...] | None:
    """Boxes in pixels of the image; None where they cannot have been drawn on it."""
    scale = image.width / SIDE
    found = []
    for label, (left, top, width, height) in boxes:
        box = cut((left, top, left + width, top + height), (SIDE, SIDE))
        if image.width != image.height or box is None:
            return None
        left, top, right, bottom = (edge * scale for edge in box)
        found.append(Region(label, 0, left, top, right, bottom))
    return tuple(found)


def _facts(job: Job, row: Row, drawn: Sequence[Row]) -> dict[str, Any]:
    key, names = row[NAME] or "", (row[FINDINGS] or "").split("|")
    if NO_FINDING in names and (len(names) > 1 or drawn):
        raise BadTable(f"{NO_FINDING} beside a finding or a box", where=key, fix="mend the row")
    boxes = []
    for box in drawn:
        label = translate(job.card, box["Finding Label"] or "", where=key, task="marked")
        corner = [number(box[column]) for column in CORNER]
        if None in corner:
            raise BadTable(f"a box of {label} lacks a number", where=key)
        if (label, corner) not in boxes:  # a row that stands twice draws one box
            boxes.append((label, corner))
    return {
        "findings": [translate(job.card, name, where=key, task="findings") for name in names],
        "boxes": sorted(boxes),
        "age": read_age(row[AGE]),
        "sex": sex(row[SEX]),
        "view": text(row[VIEW]),
    }


def _splits(job: Job) -> dict[str, Split]:
    """The part of each image, by the two lists."""
    splits: dict[str, Split] = {}
    for name, split in LISTS.items():
        listed = read_text(job.raw, name).split()
        if not listed or not splits.keys().isdisjoint(listed):
            raise BadTable("is empty, or names images of the other list", where=name)
        splits |= dict.fromkeys(listed, split)
    return splits
