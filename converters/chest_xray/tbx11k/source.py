"""TBX11K: chest films by folder, with foci of tuberculosis in COCO files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qoqdata import boxes
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, Misaligned, MissingKey
from qoqdata.records.content import Image, Record, Region
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

FILES: dict[Split, str] = {
    "train": "annotations/json/TBX11K_train.json",
    "validation": "annotations/json/TBX11K_val.json",
}
FILMS = "imgs/"
#: Folders whose films have no label here.
UNLABELLED = {"test": "no_label", "extra": "other_collection"}
TUBERCULOSIS = "tb"
OF_FOCI = ("activity", "foci", "count")
Focus = tuple[str, list[float]]


def plan(job: Job) -> Iterator[Planned]:
    """One unit a film that a COCO file lists; its folder is the diagnosis."""
    films = set(job.raw.files("*.png", under=FILMS.rstrip("/")))
    listed: dict[str, list[tuple[Split, Mapping[str, Any]]]] = defaultdict(list)
    for part, file in FILES.items():
        for one in _images(job, file):
            listed[FILMS + one["file_name"]].append((part, one))
    for path, entries in sorted(listed.items()):
        split, image = entries[0]
        films.discard(path)
        try:
            if len(entries) > 1:
                raise DuplicateKey(f"is listed {len(entries)} times", where=path)
            facts = _facts(image, path)
        except InputError as error:
            yield Refused(path, error, (path,))
            continue
        yield Unit(path, (path,), split=split, facts=facts)
    for path in sorted(films):
        if reason := UNLABELLED.get(path.removeprefix(FILMS).partition("/")[0]):
            yield Filtered(path, reason, "the publisher gives no label for it", (path,))
        else:
            what = "neither train nor validation lists this film"
            yield Refused(path, MissingKey(what, where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The film with its diagnosis, and the stage, place and number of the foci."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    shown: dict[str, Any] = {"images": (image,), "notes": notes}
    facts, card = unit.facts, job.card
    label = translate(card, facts["folder"], where=unit.key, task="diagnosis")
    found = Record(**ask(card, "diagnosis", [label]), **shown)
    if not facts["foci"]:
        return [found, *(Skipped(task, "no_focus", "no box is drawn") for task in OF_FOCI)]
    stages = [stage for stage, _ in facts["foci"]]
    if unknown := sorted(set(stages) - card.labels.keys()):
        what = f"{unknown[0]} is of no known stage"
        return [found, *(Skipped(task, "uncertain_stage", what) for task in OF_FOCI)]
    regions = _regions(job, facts["foci"], image, facts["size"], unit.key)
    if facts["repeated"]:
        shown["notes"] = (*notes, f"{facts['repeated']} boxes listed again, counted once")
    return [
        found,
        Record(**ask(card, "activity", {region.label for region in regions}), **shown),
        Record(**ask_boxes(card, "foci", regions), regions=regions, **shown),
        Record(**ask_number(card, "count", len(regions), unit="1"), **shown),
    ]


def _regions(
    job: Job, foci: Sequence[Focus], image: Image, size: Sequence[int], key: str
) -> tuple[Region, ...]:
    """Boxes in pixels of the image, which may be smaller than the one that was drawn on."""
    across, down = image.width / size[0], image.height / size[1]
    if abs(image.width - size[0] * down) > 1 and abs(image.height - size[1] * across) > 1:
        what = f"the film is {image.width} x {image.height}, and was {size[0]} x {size[1]}"
        raise Misaligned(what, where=key, fix="fetch film and table of one release")
    found = []
    for stage, (left, top, width, height) in foci:
        box = boxes.cut((left, top, left + width, top + height), (size[0], size[1]))
        if box is None:
            raise BadTable("a box lies outside of its film", where=key)
        corners = (box[0] * across, box[1] * down, box[2] * across, box[3] * down)
        found.append(Region(translate(job.card, stage, where=key), 0, *corners))
    return tuple(found)


def _images(job: Job, path: str) -> list[dict[str, Any]]:
    """The images of a COCO file, each with its `foci`; BadTable for any other content."""
    try:
        content = json.loads(read_text(job.raw, path))
        names = {one["id"]: one["name"] for one in content["categories"]}
        images = {one["id"]: dict(one) | {"foci": []} for one in content["images"]}
        for one in content["annotations"]:
            box = [float(edge) for edge in one["bbox"]]
            images[one["image_id"]]["foci"].append((names[one["category_id"]], box))
        sound = all(isinstance(one["file_name"], str) for one in images.values())
    except (ValueError, KeyError, TypeError) as error:
        what = f"is no COCO file as published: {type(error).__name__} {error}"
        raise BadTable(what, where=path, fix="fetch it again") from error
    if not sound or not images or len(images) < len(content["images"]):
        raise BadTable("images are none, without name, or of one id", where=path)
    return list(images.values())


def _facts(image: Mapping[str, Any], path: str) -> dict[str, Any]:
    folder = image["file_name"].partition("/")[0]
    foci = sorted(image["foci"])
    unlike = [focus for n, focus in enumerate(foci) if n == 0 or focus != foci[n - 1]]
    if any(len(box) != 4 for _, box in foci) or (foci and folder != TUBERCULOSIS):
        raise BadTable(f"a box that is none, or one on a film of {folder}", where=path)
    size = [image.get(side) for side in ("width", "height")]
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise BadTable("the size of the film is not given", where=path)
    repeated = len(foci) - len(unlike)
    return {"folder": folder, "foci": unlike, "size": size, "repeated": repeated}
