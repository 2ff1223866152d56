"""JSON lines of CLIMB or QoQ-Med: one record a line."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, field_validator

from qoqdata.boxes import iou
from qoqdata.contract.card import Card
from qoqdata.contract.task import Text
from qoqdata.contract.vocabulary import ANSWER_JOIN, Split
from qoqdata.errors import BadTable, InputError, Misaligned
from qoqdata.person import read_age
from qoqdata.readers import masks
from qoqdata.records.content import Mask, Record, Region
from qoqdata.records.images import (
    check_boxes,
    check_mask,
    image_from_file,
    regions_from_boxes,
)
from qoqdata.sources import cells
from qoqdata.sources.annotations import Annotation, answered
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import read_text

_PLACEHOLDERS = re.compile(r"<(?:image|video|time-series)>\s*")
_SERIES = ("videos", "time-series")
_BOX = 4
#: Intersection over union from which on a box is that of a mask.
SAME_PLACE = 0.5


class ClimbJsonl(SourceMapping):
    """The mapping of old annotation files."""

    question: Text = Field("as each line asks", description="in the card; each line asks its own")
    files: dict[Text, Split] = Field(min_length=1, description="annotation file to its split")
    kind: Literal["single", "multi"] = Field("single", description="one label a line, or several")
    region: Text | None = Field(None, description="what boxes and masks enclose")
    patient: str | None = Field(None, description="pattern with a group, for image paths")

    @field_validator("patient")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        if pattern is not None and re.compile(pattern).groups != 1:
            raise ValueError("needs exactly one group, as in 'patient([0-9]+)/'")
        return pattern


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, ClimbJsonl]:
    """The card of the user's source."""
    settings = parse_mapping(ClimbJsonl, mapping, source=card.slug)
    card = complete_card(card, settings, modality="image_2d")
    splits = card.splits.model_copy(update={"rule": "official"})
    return card.model_copy(update={"splits": splits}), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a line; lines that cannot be read are refused one by one."""
    mapping: ClimbJsonl = job.mapping
    for name, split in sorted(mapping.files.items()):
        # Not splitlines(), which also cuts where a question holds a separator of lines.
        lines = read_text(job.raw, name).split("\n")
        if not any(map(str.strip, lines)):
            raise BadTable(
                "holds no line", where=name, fix="fetch it again, or drop it from `files`"
            )
        for number, text in enumerate(lines, start=1):
            if text.strip():
                where = f"{name}, line {number}"
                try:
                    yield _unit(_line(text, where), split, mapping, where)
                except InputError as error:
                    yield Refused(where, error)


def convert(unit: Unit, job: Job) -> list[Record]:
    """The line's images, with its box and mask where it names them."""
    mapping: ClimbJsonl = job.mapping
    facts = unit.facts
    paths = unit.files[: facts["images"]]
    pairs = [image_from_file(job.raw.resolve(path), limits=job.limits) for path in paths]
    images = tuple(image for image, _ in pairs)
    regions, label_maps = _boxes(facts, mapping), None
    if len(unit.files) > len(paths):
        label = mapping.region or "region"
        mask = masks.read_mask(
            job.raw.resolve(unit.files[-1]), codes={1: label}, binarise=True, limits=job.limits
        )
        check_mask(mask, images[0], where=unit.key)
        label_maps = (Mask(mask.codes),)
        around = regions_from_boxes(masks.boxes(mask.codes, mask.table), image=0)
        if regions and around:
            _check_same_place(facts["box"], around[0], unit.key)
        regions = regions or around
    elif regions:
        check_boxes(images[0], where=unit.key)
    return [
        Record(
            **fields | {"forms": (facts["wording"],)},
            images=images,
            masks=label_maps,
            regions=regions,
            notes=tuple(note for _, notes in pairs for note in notes),
        )
        for fields in answered(job.card, mapping.task, unit)
    ]


def _line(text: str, where: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise BadTable(f"is not JSON: {error}", where=where) from error
    if not isinstance(line, dict):
        raise BadTable("is no JSON object", where=where)
    return line


def _unit(
    line: Mapping[str, Any], split: Split, mapping: ClimbJsonl, where: str
) -> Unit | Filtered:
    images = _paths(line, "images", where)
    problem, answer = _turns(line, where)
    if not images:
        content = next((name for name in _SERIES if line.get(name)), "no image")
        return Filtered(where, "no_image", f"the line holds {content}")
    mask = line.get("segmentation_path")
    if mask is not None and not isinstance(mask, str):
        raise BadTable("segmentation_path is no path", where=where)
    question = _PLACEHOLDERS.sub("", problem).strip()
    key = (
        line.get("id") or f"{' '.join(images)} {hashlib.sha256(question.encode()).hexdigest()[:8]}"
    )
    match = re.search(mapping.patient, images[0]) if mapping.patient else None
    annotation = Annotation(
        tuple(label.strip() for label in answer.split(ANSWER_JOIN)),
        patient=match[1] if match else None,
        split=split,
        **_demographics(line.get("demo"), mapping),
    )
    files = (*images, mask) if mask else images
    box = _box(line.get("bbox"), where)
    unit = annotation.unit(str(key), files, wording=question, images=len(images), box=box)
    # The files' splits stand, also where they tear a patient.
    return replace(unit, group=None)


def _turns(line: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Question and answer, from either spelling."""
    problem, answer = line.get("problem"), line.get("answer")
    if problem is None and answer is None:
        turns = {
            turn.get("from"): turn.get("value")
            for turn in line.get("conversations") or ()
            if isinstance(turn, dict)
        }
        problem, answer = turns.get("human"), turns.get("gpt")
    if not isinstance(problem, str) or not isinstance(answer, str) or not answer.strip():
        fix = "a line needs `problem` and `answer`, or `conversations`"
        raise BadTable("has no question or no answer", where=where, fix=fix)
    return problem, answer


def _paths(line: Mapping[str, Any], name: str, where: str) -> tuple[str, ...]:
    paths = line.get(name) or []
    if not isinstance(paths, list) or not all(isinstance(path, str) and path for path in paths):
        raise BadTable(f"{name} is no list of paths", where=where)
    return tuple(paths)


def _box(box: Any, where: str) -> list[float] | None:
    """One box in pixels of the first image; all zeros is how the old files say "none"."""
    if box is None:
        return None
    numbers = isinstance(box, list) and all(
        isinstance(edge, int | float) and not isinstance(edge, bool) for edge in box
    )
    if not numbers or len(box) != _BOX:
        raise BadTable("bbox is no list of four numbers", where=where)
    if any(box) and max(map(abs, box)) <= 1:
        what = f"bbox {box} lies within one pixel: these are shares of the sides"
        raise BadTable(what, where=where, fix="multiply by width and height: bbox is in pixels")
    return [float(edge) for edge in box] if any(box) else None


def _boxes(facts: Mapping[str, Any], mapping: ClimbJsonl) -> tuple[Region, ...] | None:
    if facts["box"] is None:
        return None
    return (Region(mapping.region or "region", 0, *facts["box"]),)


def _check_same_place(box: list[float], around: Region, where: str) -> None:
    """Raise Misaligned for a box that does not enclose what its mask shows: it may be of another
    size of the image, or hold width and height for its last corner."""
    corners = (around.x_min, around.y_min, around.x_max, around.y_max)
    if iou((box[0], box[1], box[2], box[3]), corners) < SAME_PLACE:
        what = f"bbox {box} is elsewhere than the mask, which lies in {list(corners)}"
        fix = "write x_min, y_min, x_max, y_max in pixels of the first image"
        raise Misaligned(what, where=where, fix=fix)


def _demographics(demo: Any, mapping: ClimbJsonl) -> dict[str, Any]:
    """Age and sex of a text such as "sex: Male, age: 68"; other words are left alone."""
    words = dict(re.findall(r"(sex|age)\s*:\s*([^,;]+)", str(demo or "").lower()))
    return {
        "age": read_age(words.get("age")),
        "sex": cells.sex(words.get("sex"), mapping.sex_values),
    }
