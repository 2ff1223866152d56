"""BUSI: breast ultrasound images whose folder is the label, with a mask for each lesion."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from qoqdata.errors import (
    BadLabel,
    BadTable,
    DuplicateKey,
    InputError,
    Misaligned,
    MissingFile,
    MissingKey,
)
from qoqdata.readers import masks
from qoqdata.records.content import Mask, Record, Region
from qoqdata.records.images import image_from_file, regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

CLASSES = ("normal", "benign", "malignant")
GROUPS = "busi_groups.csv"
#: Numbers of a run that shares a split.
NEIGHBOURS = 10
NAME = re.compile(r"(?P<stem>(?P<label>[a-z]+)[ _]?\(?(?P<number>\d+)\)?)(?P<mask>_mask(?:_\d+)?)?")


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image; masks join it by the beginning of their name."""
    images: dict[str, list[str]] = defaultdict(list)
    lesions: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.png"):
        try:
            stem, is_mask = _named(path)
        except InputError as error:
            yield Refused(path, error, (path,))
            continue
        (lesions if is_mask else images)[stem].append(path)
    if not images:
        fix = "point --raw at the unpacked Dataset_BUSI_with_GT"
        raise MissingFile("holds no image", where="the raw folder", fix=fix)
    groups = _groups(job)
    first, disputed = _same_bytes(job, images)
    for stem in sorted(images, key=_place):
        files = (*images[stem], *lesions.pop(stem, ()))
        try:
            if stem in disputed:
                raise BadLabel("the same file lies in folders of other labels", where=stem)
            if stem in first:
                message = f"is the same file as {first[stem]}"
                yield Filtered(stem, "duplicate", message, files)
                continue
            yield _unit(stem, images[stem], files, groups)
        except InputError as error:
            yield Refused(stem, error, files)
    for stem, paths in sorted(lesions.items()):
        yield Refused(stem, MissingKey("a mask without its image", where=paths[0]), tuple(paths))
    for stem in sorted(set(groups or ()) - set(images)):
        yield Refused(stem, MissingFile(f"listed in {GROUPS}, not on disk", where=stem))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """What the image shows, and where, as far as its masks fit it."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    label, shape = unit.facts["label"], (image.height, image.width)
    shared: dict[str, Any] = {"images": (image,)}
    diagnosis = translate(job.card, label, where=unit.key, task="diagnosis")
    try:
        found, remarks = _lesions(unit, job, shape)
    except Misaligned as error:
        answered = ask(job.card, "diagnosis", [diagnosis])
        skipped = [Skipped(task, error.code, error.what) for task in ("lesions", "count")]
        one = Skipped("malignancy", error.code, error.what)
        return [Record(**answered, **shared, notes=notes), *skipped, one]
    shared["notes"] = (*notes, *remarks)
    drawn = tuple(Mask(codes, instance=number) for number, codes in enumerate(found, start=1))
    # Of a normal image the empty mask says that there is nothing.
    empty = (Mask(np.zeros(shape, np.uint8)),)
    table = job.card.mask_codes
    regions = tuple(regions_from_boxes(masks.boxes(codes, table), image=0)[0] for codes in found)
    asked: list[Converted] = [
        Record(**ask(job.card, "diagnosis", [diagnosis]), masks=drawn or empty, **shared),
        Record(**ask_number(job.card, "count", len(found), unit="1"), **shared),
    ]
    if not found:
        nothing = ("no_lesion", "the image is normal")
        return [*asked, *(Skipped(task, *nothing) for task in ("lesions", "malignancy"))]
    where = ask_boxes(job.card, "lesions", regions)
    asked.append(Record(**where, regions=regions, masks=drawn, **shared))
    asked.append(_malignancy(label, regions, shared, job))
    return asked


def _malignancy(
    label: str, regions: tuple[Region, ...], shared: dict[str, Any], job: Job
) -> Converted:
    if len(regions) > 1:
        return Skipped("malignancy", "several_lesions", f"{len(regions)} lesions, one label")
    option = translate(job.card, label, where="the folder", task="malignancy")
    given = (replace(regions[0], role="given"),)
    return Record(**ask(job.card, "malignancy", [option]), regions=given, **shared)


def _lesions(
    unit: Unit, job: Job, shape: tuple[int, int]
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Label maps of the lesions, each once, and notes. Raises where they contradict the label."""
    found, notes = list[np.ndarray](), list[str]()
    for path in unit.files[1:]:
        lesion = masks.read_mask(
            job.raw.resolve(path), codes=job.card.mask_codes, binarise=True, limits=job.limits
        )
        masks.check_background(lesion.codes, where=path)
        codes = masks.align(lesion.codes, shape)
        notes += lesion.notes
        if not codes.any():
            if unit.facts["label"] != "normal":
                raise BadLabel("the mask of a lesion is empty", where=path)
        elif any(np.array_equal(codes, other) for other in found):
            notes.append("a mask that repeats another is left out")
        else:
            found.append(codes)
    if found and unit.facts["label"] == "normal":
        raise BadLabel("a normal image has a lesion by its mask", where=unit.key)
    return found, tuple(dict.fromkeys(notes))


def _named(path: str) -> tuple[str, bool]:
    """The stem of the image that a file is, or is the mask of; its name and folder must agree."""
    folder, _, name = path.rpartition("/")
    label = folder.rpartition("/")[2].lower()
    match = NAME.fullmatch(name.rpartition(".")[0].lower())
    if match is None or match["label"] not in CLASSES:
        fix = "files are named as benign (1).png and benign (1)_mask.png"
        raise MissingKey("the name tells no image", where=path, fix=fix)
    if label != match["label"]:
        raise BadLabel(f"lies in {label or 'no folder'}, and is named {match['label']}", where=path)
    return f"{match['label']} ({int(match['number'])})", bool(match["mask"])


def _place(stem: str) -> tuple[str, int]:
    """Folder and number: as text, 10 would come before 2."""
    label, _, number = stem.rpartition(" ")
    return label, int(number.strip("()"))


def _unit(
    stem: str, images: list[str], files: tuple[str, ...], groups: Mapping[str, str] | None
) -> Unit:
    label, number = _place(stem)
    lesions = files[len(images) :]
    if len(images) > 1:
        what = f"lies there {len(images)} times"
        raise DuplicateKey(what, where=stem, fix="keep one of the copies")
    numbers = sorted(_mask_number(path) for path in lesions)
    if not numbers or numbers != list(range(len(numbers))):
        missing = next(n for n in range(len(numbers) + 1) if n not in numbers)
        what = f"its mask {missing} is missing"
        raise MissingFile(what, where=stem, fix="fetch the folder again")
    if groups is None:
        group = f"{label} {(number - 1) // NEIGHBOURS}"
    elif stem in groups:
        group = groups[stem]
    else:
        raise MissingKey(f"{GROUPS} does not list it", where=stem)
    return Unit(stem, files, group, facts={"label": label})


def _mask_number(path: str) -> int:
    """0 for _mask, 1 for _mask_1 and so on."""
    tail = path.rpartition(".")[0].rpartition("_mask")[2]
    return int(tail.removeprefix("_") or 0)


def _same_bytes(job: Job, images: Mapping[str, list[str]]) -> tuple[dict[str, str], set[str]]:
    """Images that repeat another's bytes, with the first of them; and those with two labels."""
    by_digest: dict[str, set[str]] = defaultdict(set)
    for stem, paths in images.items():
        for path in paths:
            by_digest[job.raw.digest([path], limits=job.limits)].add(stem)
    first, disputed = dict[str, str](), set[str]()
    for stems in by_digest.values():
        kept, *others = sorted(stems, key=_place)
        if len({_place(stem)[0] for stem in stems}) > 1:
            disputed |= stems
        else:
            first |= dict.fromkeys(others, kept)
    return first, disputed


def _groups(job: Job) -> dict[str, str] | None:
    """Group by stem from the user's table; None where neighbours are the groups."""
    if job.options["groups"] != "table":
        return None
    table = job.raw.csv(GROUPS, columns=("image", "group"))
    groups = dict(table.select("image", "group").iter_rows())
    if len(groups) < table.height or None in groups or None in groups.values():
        raise BadTable("images repeat or cells are empty", where=GROUPS, fix="mend the table")
    return {stem.removesuffix(".png"): group for stem, group in groups.items()}
