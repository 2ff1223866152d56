"""ISLES 2022: DWI, ADC and FLAIR of a stroke on the grid of DWI, with the infarct drawn on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qoqdata.contract.card import Card
from qoqdata.errors import BadTable, MissingFile
from qoqdata.person import read_age
from qoqdata.readers import masks, volume
from qoqdata.readers.volume import SlicePolicy, Volume
from qoqdata.records import slices
from qoqdata.records.content import Image, Mask, Record
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources import cells
from qoqdata.sources.asking import ask, ask_boxes, ask_choice, pick
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Skipped, Unit

from .cases import COLUMNS, PARTICIPANTS, SERIES, list_cases, plan_case
from .infarct import Infarct, read_infarct

#: Upper bounds in mL of the options of `volume` between none and the last.
VOLUMES = (1.0, 10.0, 70.0)
#: The largest number of lesions of the options of `count` but the last.
COUNTS = (0, 1, 5)
#: How much larger the area of the largest of the shown slices is than that of the next.
_LARGER = 1.2


@dataclass(frozen=True, eq=False)
class _Case:
    """A case on the grid of DWI: its mask, what that says, and images by series and level."""

    mask: Volume
    infarct: Infarct
    images: dict[tuple[str, int], Image]
    notes: tuple[str, ...]

    def shown(self, names: Sequence[str], levels: Sequence[int]) -> dict[str, Any]:
        """Images of the series at the levels, series by series; DWI with its masks."""
        places = [(name, level) for name in names for level in levels]
        drawn = tuple(
            Mask(self.codes(level), place)
            for place, (name, level) in enumerate(places)
            if name == "dwi"
        )
        images = tuple(self.images[place] for place in places)
        return {"images": images, "masks": drawn or None, "notes": self.notes}

    def codes(self, level: int) -> np.ndarray:
        """The mask at a level, as its image lies."""
        codes = volume.slice_image(
            self.mask.voxels,
            self.mask.affine,
            self.infarct.axis,
            level,
            square=True,
            labels=True,
        )
        return codes.astype(np.uint8)


def plan(job: Job) -> Iterator[Planned]:
    """One unit an examination, with the four files that it needs and its participant's row."""
    cases, strays = list_cases(job)
    if not cases:
        fix = "point --raw at the unpacked ISLES-2022"
        raise MissingFile("holds no case", where="the raw folder", fix=fix)
    rows = _participants(job)
    for key, files in sorted(cases.items()):
        yield plan_case(key, files, rows)
    yield from strays


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about single levels, about all of them, and about the infarct as a whole."""
    case, coarse, dense = _read_case(unit, job)
    person: dict[str, Any] = {
        "age": read_age(unit.facts.get("age")),
        "sex": cells.sex(unit.facts.get("sex")),
    }
    asked = [
        *_presence(case, unit, job.card),
        _series(case, unit, job.card),
        _lesions(case, job.card),
        _side(case, coarse, job.card),
        _largest(case, coarse, job.card),
        _volume(case, dense, job.card),
        _count(case, dense, job.card),
    ]
    return [one if isinstance(one, Skipped) else Record(**one, **person) for one in asked]


def _participants(job: Job) -> dict[str, list[Row]] | None:
    if job.options["participants"] == "none":
        return None
    found = job.raw.files(PARTICIPANTS)
    if len(found) != 1:
        what = f"lies there {len(found)} times" if found else "is missing"
        fix = "keep one" if found else "fetch it, or set the option participants=none"
        raise BadTable(what, where=PARTICIPANTS, fix=fix)
    table = job.raw.csv(found[0], columns=COLUMNS, separator="\t")
    return rows_by_key(table, COLUMNS[0], where=found[0])


def _read_case(unit: Unit, job: Job) -> tuple[_Case, list[int], list[int]]:
    """The case, and its levels: a few for three series, and as many as allowed for DWI alone."""
    mask, *others = (
        volume.read_volume(job.raw.resolve(path), limits=job.limits) for path in unit.files
    )
    dwi = others[0]
    notes = volume.check_same_grid(dwi, mask, where=unit.files[0])
    mask = volume.label_volume(mask, job.card.mask_codes)
    series = {
        name: volume.resample_onto(one, dwi) for name, one in zip(SERIES, others, strict=True)
    }
    policy = SlicePolicy("uniform", count=job.options["slices"], plane="axial")
    axis, coarse = volume.choose_slices(policy, dwi)
    many = replace(policy, count=job.options["most_slices"], inner=0.0)
    _, dense = volume.choose_slices(many, dwi)
    infarct = read_infarct(mask, dwi, axis)
    several = {*coarse, *infarct.clear_levels(), *infarct.free_levels()}
    images: dict[tuple[str, int], Image] = {}
    for name, one in series.items():
        levels = several | set(dense) if name == "dwi" else several
        index = SlicePolicy("index", indices=tuple(sorted(levels)), plane="axial")
        stack = slices.cut_slices(one, None, {}, policy=index)
        for image in stack.images or ():
            shown = replace(image, view=f"{name.upper()} {image.view}")
            images[name, image.index or 0] = shown
        # The first says which slices, which differs from record to record.
        notes += tuple(f"{name}: {note}" for note in stack.notes[1:])
    notes += tuple(f"mask: {note}" for note in mask.repairs)
    return _Case(mask, infarct, images, notes), list(coarse), list(dense)


def _presence(case: _Case, unit: Unit, card: Card) -> Iterator[dict[str, Any] | Skipped]:
    """One level with a clear lesion, and one without any, each in three series."""
    levels = {"Yes": case.infarct.clear_levels(), "No": case.infarct.free_levels()}
    for answer, own in levels.items():
        if not own:
            yield Skipped("presence", "no_level", f"no level answers {answer}")
            continue
        level = own[pick(f"{unit.key} {answer}", len(own))]
        shown = case.shown(SERIES, [level])
        yield ask(card, "presence", [answer]) | shown | {"item": f"level {level}"}


def _series(case: _Case, unit: Unit, card: Card) -> dict[str, Any]:
    """Which series an image is of; prompts caption their images, so this one has its plane only."""
    name = SERIES[pick(unit.key, len(SERIES))]
    levels = case.infarct.free_levels() or case.infarct.levels
    shown = case.shown([name], [levels[len(levels) // 2]])
    (image,) = shown["images"]
    plane = (image.view or "").rpartition(" ")[2]
    fields = ask(card, "series", [name.upper()])
    return fields | {"images": (replace(image, view=plane),), "notes": shown["notes"]}


def _lesions(case: _Case, card: Card) -> dict[str, Any] | Skipped:
    """Boxes around the lesions of the level with the largest area, on its DWI."""
    if not case.infarct.levels:
        return Skipped("lesions", "no_infarct", "the mask is empty")
    level = int(case.infarct.areas.argmax())
    boxes = masks.boxes(case.codes(level), card.mask_codes, instances=True)
    regions = tuple(regions_from_boxes(boxes, image=0))
    shown = case.shown(SERIES, [level])
    return ask_boxes(card, "lesions", regions) | shown | {"regions": regions}


def _side(case: _Case, levels: Sequence[int], card: Card) -> dict[str, Any] | Skipped:
    if not case.infarct.levels:
        return Skipped("side", "no_infarct", "the mask is empty")
    if (why := case.mask.sideless) is not None:
        return Skipped("side", "side_not_known", f"left and right are not known: {why}")
    if case.infarct.side is None:
        return Skipped("side", "near_midline", "the mask does not tell a side")
    if not case.infarct.all_touch(levels):
        return Skipped("side", "not_shown", "a lesion is on none of the shown slices")
    return ask(card, "side", [case.infarct.side]) | case.shown(SERIES, levels)


def _largest(case: _Case, levels: Sequence[int], card: Card) -> dict[str, Any] | Skipped:
    """Which of the shown slices of DWI has the largest area of infarct."""
    areas = [int(case.infarct.areas[level]) for level in levels]
    first, second = sorted(range(len(areas)), key=lambda n: -areas[n])[:2]
    if areas[first] == 0:
        return Skipped("largest_slice", "not_shown", "no lesion is on a shown slice")
    if areas[first] < _LARGER * areas[second]:
        return Skipped("largest_slice", "ambiguous", "two slices show about as much")
    options = [f"Slice {n + 1}" for n in range(len(levels))]
    fields = ask_choice(card, "largest_slice", options, options[first])
    return fields | case.shown(["dwi"], levels)


def _volume(case: _Case, levels: Sequence[int], card: Card) -> dict[str, Any] | Skipped:
    if not case.infarct.all_touch(levels):
        return Skipped("volume", "not_shown", "a lesion is on none of the shown slices")
    options = card.tasks["volume"].options or ()
    millilitres = case.infarct.millilitres
    place = sum(millilitres >= bound for bound in VOLUMES) + 1 if millilitres else 0
    return ask(card, "volume", [options[place]]) | case.shown(["dwi"], levels)


def _count(case: _Case, levels: Sequence[int], card: Card) -> dict[str, Any] | Skipped:
    if not case.infarct.all_touch(levels):
        return Skipped("count", "not_shown", "a lesion is on none of the shown slices")
    options = card.tasks["count"].options or ()
    place = sum(len(case.infarct.lesions) > bound for bound in COUNTS)
    return ask(card, "count", [options[place]]) | case.shown(["dwi"], levels)
