"""VinDr-Mammo: examinations of four mammograms, graded by breast, with boxes around findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from qoqdata import boxes
from qoqdata.boxes import Box
from qoqdata.errors import Misaligned
from qoqdata.records.content import Image, Record, Region
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Converted, Job, Planned, Skipped, Unit

from ..views import SIDES, VIEWS, Mammogram, Projection, compared, examination, read_mammogram
from .exams import plan_exams

#: What a given region is called: its category is what is asked.
GIVEN = "finding"
NOTHING = "No suspicious finding"
UNPLACED = ("box_outside", "a box has no area in its image")
GRADES = {"birads": "breast_birads", "density": "breast_density"}

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped
Films = Mapping[Projection, Mammogram]


def plan(job: Job) -> Iterator[Planned]:
    """One unit an examination, joined by image_id."""
    yield from plan_exams(job)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about the examination, each breast, each mammogram and each finding."""
    films: dict[Projection, Mammogram] = {}
    for path, facts in zip(unit.files, unit.facts["images"], strict=True):
        place = Projection(facts["side"], facts["view"])
        films[place] = read_mammogram(path, job, place)
        _check_size(films[place].image, facts["size"], path)
    asked: list[Asked] = [_comparison(unit, films, job)]
    for side in SIDES.values():
        asked += _about_breast(unit, side, films, job)
    for facts in unit.facts["images"]:
        asked += _about_image(facts, films[Projection(facts["side"], facts["view"])], job)
    person, notes = examination(films.values())
    return [
        one
        if isinstance(one, Skipped)
        else Record(**one | {"notes": (*notes, *one.get("notes", ()))}, **person)
        for one in asked
    ]


def _check_size(image: Image, size: list[int] | None, path: str) -> None:
    """Boxes are in pixels of the size that the table states."""
    stored = [*_stored(image)]
    if size is not None and size != stored:
        what = f"has {stored[0]} x {stored[1]} pixels, and the table says {size[0]} x {size[1]}"
        raise Misaligned(what, where=path, fix="fetch the image again")


def _comparison(unit: Unit, films: Films, job: Job) -> Asked:
    """Which breast has the higher BI-RADS category, over all four mammograms."""
    grades = {side: unit.facts["breasts"][side][GRADES["birads"]] for side in SIDES.values()}
    if None in grades.values():
        return Skipped("higher_side", "not_stated", "a breast has no BI-RADS category")
    options = job.card.tasks["birads"].options or ()
    places = {
        side: options.index(translate(job.card, str(grade), where=unit.key, task="birads"))
        for side, grade in grades.items()
    }
    fields = ask(job.card, "higher_side", [compared(places["left"], places["right"])])
    return fields | {"images": tuple(film.image for film in films.values())}


def _about_breast(unit: Unit, side: str, films: Films, job: Job) -> Iterator[Asked]:
    """Grades and findings of one breast, which both its views show."""
    shown = {"item": side, "images": tuple(films[Projection(side, view)].image for view in VIEWS)}
    for task, column in GRADES.items():
        grade = unit.facts["breasts"][side][column]
        if grade is None:
            yield Skipped(task, "not_stated", f"{column} is empty", side)
            continue
        yield ask(job.card, task, [translate(job.card, grade, where=unit.key, task=task)]) | shown
    marks = [m for one in unit.facts["images"] if one["side"] == side for m in one["marks"]]
    names = {name for mark in marks for name in mark["names"]}
    seen = set(_options(names, "findings", unit.key, job)) or {NOTHING}
    absent = set(job.card.tasks["findings"].options or ()) - seen
    yield ask(job.card, "findings", seen, absent=absent) | shown


def _about_image(facts: Mapping[str, Any], film: Mammogram, job: Job) -> Iterator[Asked]:
    """Which mammogram it is, how many findings it shows, where, and what each is."""
    place, marks = Projection(facts["side"], facts["view"]), facts["marks"]
    shown = {"item": place.item, "images": (film.image,)}
    yield ask(job.card, "projection", [place.option]) | shown | {"images": (film.unnamed,)}
    if any(not mark["corners"] for mark in marks):
        yield Skipped("finding_count", "no_box", "a finding has no place", place.item)
    else:
        yield ask_number(job.card, "finding_count", len(marks), unit="1") | shown
    drawn = [_drawn(mark["corners"], film.image) for mark in marks]
    regions = tuple(
        Region(name, 0, *box)
        for mark, box in zip(marks, drawn, strict=True)
        if box is not None
        for name in _options(mark["names"], "findings", place.item, job)
    )
    if not marks:
        yield Skipped("boxes", "no_finding", item=place.item)
    elif None in drawn:
        yield Skipped("boxes", *UNPLACED, place.item)
    else:
        cut = sum(_leaves(mark["corners"], film.image) for mark in marks)
        notes = (f"{cut} boxes cut at the image's edge",) if cut else ()
        yield ask_boxes(job.card, "boxes", regions) | shown | {"regions": regions, "notes": notes}
    for mark, box in zip(marks, drawn, strict=True):
        yield from _about_mark(mark, box, place, film, job)


def _about_mark(
    mark: Mapping[str, Any], box: Box | None, place: Projection, film: Mammogram, job: Job
) -> Iterator[Asked]:
    """What the finding in the given box is, and how suspicious."""
    item = "_".join((place.item, *(f"{corner:g}" for corner in mark["corners"])))
    if box is None:
        yield from (Skipped(task, *UNPLACED, item) for task in ("finding_type", "finding_birads"))
        return
    shown = {
        "item": item,
        "images": (film.image,),
        "regions": (Region(GIVEN, 0, *box, role="given"),),
    }
    names = _options(mark["names"], "findings", place.item, job)
    yield ask(job.card, "finding_type", names) | shown
    grades = mark["birads"]
    if len(grades) != 1 or not grades[0]:
        reason = "disputed" if len(grades) > 1 else "not_stated"
        yield Skipped("finding_birads", reason, f"the table says {grades}", item)
        return
    yield (
        ask(job.card, "finding_birads", _options(grades, "finding_birads", place.item, job)) | shown
    )


def _drawn(corners: Sequence[float], image: Image) -> Box | None:
    """The box in pixels of the image as it is shown, cut at its edge; None without area, and for
    shares of the image in place of pixels."""
    if not corners:
        return None
    across = image.width / (image.original_width or image.width)
    down = image.height / (image.original_height or image.height)
    x_min, y_min, x_max, y_max = corners
    drawn = x_min, y_min, x_max, y_max
    if boxes.within_pixel(drawn):
        return None
    x_min, y_min, x_max, y_max = boxes.turned(drawn, _stored(image), image.turn)
    shown = (x_min * across, y_min * down, x_max * across, y_max * down)
    return boxes.with_area(boxes.clipped(shown, (image.width, image.height)))


def _stored(image: Image) -> tuple[int, int]:
    """Width and height of the film as it lies in its file, in whose pixels boxes are."""
    width, height = image.original_width or image.width, image.original_height or image.height
    return (height, width) if image.turn >= 5 else (width, height)


def _leaves(corners: Sequence[float], image: Image) -> bool:
    """Whether a box reaches over the edge of its image."""
    width, height = _stored(image)
    x_min, y_min, x_max, y_max = corners
    return min(x_min, y_min) < 0 or x_max > width or y_max > height


def _options(names: Iterable[str], task: str, where: str, job: Job) -> list[str]:
    return [translate(job.card, name, where=where, task=task) for name in names]
