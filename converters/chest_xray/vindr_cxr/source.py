"""VinDr-CXR: chest films read by three radiologists (train) or by consensus of five (test)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, InputError, MissingFile, MissingKey
from qoqdata.records import dicoms
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask, ask_boxes, translate
from qoqdata.sources.cells import integer, number, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from .drawings import one_to_name, regions_of

#: Rows of an image in the label table of each part.
READERS: dict[Split, int] = {"train": 3, "test": 1}
VOTED = ("findings", "diseases")
NO_FINDING = "No finding"
CORNERS = ("x_min", "y_min", "x_max", "y_max")
#: The reader of a consensus, which has none.
CONSENSUS = ""


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image, with the votes and boxes of its readers; joined by image_id."""
    for part in READERS:
        yield from _plan_part(job, part)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The film with up to four questions: findings, diseases, all boxes, and what is in one."""
    path = job.raw.resolve(unit.files[0])
    images, notes, header = dicoms.file_images(
        path, [None], frames=1, part="CHEST", limits=job.limits
    )
    image = replace(images[0], view=images[0].view or "PA")
    shared: dict[str, Any] = {"images": (image,), "age": header.age, "sex": header.sex}
    asked: list[Converted] = []
    for task in VOTED:
        votes, readers = unit.facts["votes"][task], unit.facts["readers"]
        states = _states(votes, readers)
        if isinstance(states, Skipped):
            asked.append(replace(states, task=task))
            continue
        counts = ", ".join(f"{label} {count}" for label, count in votes.items() if count)
        tally = (f"votes of {readers} readers: {counts}",) if readers > 1 else ()
        asked.append(Record(**ask(job.card, task, **states), **shared, notes=(*notes, *tally)))
    return [*asked, *_about_boxes(unit, job, shared, notes)]


def _about_boxes(
    unit: Unit, job: Job, shared: dict[str, Any], notes: tuple[str, ...]
) -> list[Converted]:
    """All boxes to be found, and one of them to be named."""
    facts = unit.facts
    drawn = regions_of(facts, shared["images"][0])
    if isinstance(drawn, Skipped):
        return [drawn, replace(drawn, task="marked")]
    regions, clipped = drawn
    shown = shared | {"notes": (*notes, *clipped)}
    found = Record(**ask_boxes(job.card, "boxes", regions), **shown, regions=regions)
    chosen = one_to_name(regions, facts["votes"]["findings"], facts["readers"], key=unit.key)
    if isinstance(chosen, Skipped):
        return [found, chosen]
    given, label = chosen
    return [found, Record(**ask(job.card, "marked", [label]), **shown, regions=(given,))]


def _plan_part(job: Job, part: Split) -> Iterator[Planned]:
    reader = ("rad_id",) if READERS[part] > 1 else ()
    name = f"annotations/image_labels_{part}.csv"
    labels = job.raw.csv(name, columns=("image_id", *reader))
    columns = {task: _columns(job, labels, task, where=name) for task in VOTED}
    drawings = f"annotations/annotations_{part}.csv"
    boxes = job.raw.csv(drawings, columns=("image_id", *reader, "class_name", *CORNERS))
    drawn = rows_by_key(boxes, "image_id", where=drawings)
    files = {path.rpartition("/")[2].removesuffix(".dicom"): path for path in _films(job, part)}
    for key, rows in rows_by_key(labels, "image_id", where=name).items():
        path = files.pop(key, f"{part}/{key}.dicom")
        try:
            facts = _facts(job, rows, drawn.pop(key, []), columns, READERS[part])
        except InputError as error:
            yield Refused(key, error, (path,))
            continue
        yield Unit(key, (path,), split=part, facts=facts)
    for key in sorted(files.keys() | drawn.keys()):
        path = files.get(key, f"{part}/{key}.dicom")
        yield Refused(key, MissingKey(f"{name} does not name this image", where=key), (path,))


def _films(job: Job, part: str) -> list[str]:
    if not job.raw.exists(part):
        fix = "fetch the whole project"
        raise MissingFile("there is no folder of images", where=part, fix=fix)
    return job.raw.files("*.dicom", under=part)


def _columns(job: Job, table: pl.DataFrame, task: str, *, where: str) -> dict[str, str]:
    """Columns of the table that are labels of the task, with their options: each has one."""
    definition = job.card.tasks[task]
    columns = {raw: option for raw, option in definition.labels.items() if raw in table.columns}
    missing = sorted(set(definition.options or ()) - set(columns.values()))
    if missing:
        raise BadTable(f"has no column for {missing[0]!r}", where=where, fix="fetch it again")
    return columns


def _facts(
    job: Job,
    rows: Sequence[Row],
    drawn: Sequence[Row],
    columns: Mapping[str, Mapping[str, str]],
    readers: int,
) -> dict[str, Any]:
    key = rows[0]["image_id"]
    names = [text(row.get("rad_id")) or CONSENSUS for row in rows]
    if len(rows) != readers or len(set(names)) < readers:
        what = f"has rows of {', '.join(names) or 'nobody'}, where {readers} are expected"
        raise BadTable(what, where=key, fix="fetch image_labels again")
    seen: dict[str, set[str]] = {}
    votes = {task: dict.fromkeys(options.values(), 0) for task, options in columns.items()}
    for name, row in zip(names, rows, strict=True):
        for task, options in columns.items():
            for raw, option in options.items():
                vote = integer(row[raw])
                if vote not in (0, 1):
                    raise BadTable(f"{raw} is {row[raw]!r}, not 0 or 1", where=key)
                votes[task][option] += vote
                if vote and task == "findings" and option != NO_FINDING:
                    seen.setdefault(name, set()).add(option)
    # In no order of the table, which may be sorted anew.
    boxes = sorted(_box(job, row) for row in drawn if not _is_clear(row))
    boxed: dict[str, set[str]] = {}
    for name, label, _ in boxes:
        boxed.setdefault(name, set()).add(label)
    return {"readers": readers, "votes": votes, "boxes": boxes, "agree": seen == boxed}


def _is_clear(row: Row) -> bool:
    """Whether a row says that its reader found nothing; BadTable where it draws that."""
    if row["class_name"] != NO_FINDING:
        return False
    if any(number(row[corner]) for corner in CORNERS):
        raise BadTable(f"{NO_FINDING}, and a box", where=row["image_id"])
    return True


def _box(job: Job, row: Row) -> tuple[str, str, list[float]]:
    """Reader, option and corners in pixels of the file."""
    key, name = row["image_id"], row["class_name"]
    label = translate(job.card, name or "", where=key or "", task="findings")
    corners = [number(row[corner]) for corner in CORNERS]
    if None in corners:
        raise BadTable(f"a box of {name} lacks a corner", where=key)
    return text(row.get("rad_id")) or CONSENSUS, label, [c for c in corners if c is not None]


def _states(votes: Mapping[str, int], readers: int) -> dict[str, Any] | Skipped:
    """Labels by state: most readers, some of them, none."""
    labels = tuple(label for label, count in votes.items() if 2 * count > readers)
    if not labels:
        return Skipped("", "no_majority", "no label has most of the readers behind it")
    if NO_FINDING in labels and len(labels) > 1:
        return Skipped("", "contradiction", f"{NO_FINDING} and {labels[0]}")
    return {
        "labels": labels,
        "uncertain": tuple(label for label, n in votes.items() if 0 < 2 * n <= readers),
        "absent": tuple(label for label, count in votes.items() if not count),
    }
