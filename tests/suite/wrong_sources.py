"""Small sources, each in a version that is right and one with a mistake that was made before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from qoqdata.errors import BadTable, MissingKey
from qoqdata.readers import masks
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file, regions_from_boxes
from qoqdata.simulation import blob, film, write_csv, write_png
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.card import parse_card
from qoqdata.sources.protocol import (
    ConvertFunction,
    Job,
    PlanFunction,
    Planned,
    Refused,
    Source,
    Unit,
)

LABELS = {"0": "Benign", "1": "Malignant"}


def toy(
    folder: Path,
    plan: PlanFunction,
    convert: ConvertFunction | None = None,
    *,
    rule: str = "hash",
) -> Source:
    """A source with one task; by default an image with the masks behind it."""
    card = {
        "slug": "toy",
        "name": "Toy",
        "version": 1,
        "domain": "mammography",
        "modality": "image_2d",
        "summary": "Made-up films.",
        "licence": {"name": "none"},
        "access": "own",
        "redistribution": "forbidden",
        "citation": "none",
        "get": "Made here.",
        "layout": "tables and films",
        "keys": {"study": "image", "group": "image"},
        "tasks": {
            "diagnosis": {
                "kind": "single",
                "question": "Is there a malignant lesion?",
                "options": ["Benign", "Malignant"],
            }
        },
        "labels": LABELS,
        "splits": {"rule": rule},
    }
    digests = ("0" * 64, "0" * 64)
    return Source(
        parse_card(card, where="toy"), folder, __name__, plan, convert or with_masks, None, *digests
    )


def with_masks(unit: Unit, job: Job) -> list[Record]:
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    regions = []
    for path in unit.files[1:]:
        mask = masks.read_mask(job.raw.resolve(path), codes={255: "lesion"}, limits=job.limits)
        regions += regions_from_boxes(masks.boxes(mask.codes, mask.table), image=0)
    label = translate(job.card, unit.facts["label"], where=unit.key)
    fields = ask(job.card, "diagnosis", [label])
    notes = (*notes, *unit.facts.get("notes", ()))
    return [Record(**fields, images=(image,), regions=tuple(regions) or None, notes=notes)]


def write_cases(raw: Path) -> None:
    """6 films and 7 lesions of a case table: the first film has two, of which one is malignant."""
    rng = np.random.default_rng(0)
    rows = []
    for number in (*range(6), 0):
        image, mask = f"images/{number}.png", f"masks/{number}_{len(rows)}.png"
        write_png(raw / image, film(rng, (32, 24)))
        write_png(raw / mask, blob(rng, (32, 24)))
        label = "1" if len(rows) in (1, 6) else "0"
        rows.append({"image": image, "mask": mask, "malignant": label})
    write_csv(raw / "tables" / "cases.csv", rows)


def plan_cases(job: Job) -> Iterator[Planned]:
    """Wrong: a mask that no row names is nobody's, and its film has a lesion less."""
    table = job.raw.csv("tables/cases.csv", columns=["image", "mask", "malignant"])
    if any(row.count(None) for row in table.rows()):
        raise BadTable("a cell is empty", where="tables/cases.csv")
    by_image: dict[str, list[dict[str, str]]] = {}
    for row in table.iter_rows(named=True):
        by_image.setdefault(row["image"], []).append(row)
    # A film that is not there is a unit too, which fails when it is read.
    for image in sorted({*job.raw.files("*.png", under="images"), *by_image}):
        if image not in by_image:
            yield Refused(image, MissingKey("no row names it", where=image), (image,))
            continue
        rows = by_image[image]
        files = (image, *(row["mask"] for row in rows))
        yield Unit(image, files, facts={"label": max(row["malignant"] for row in rows)})


def plan_cases_with_all_masks(job: Job) -> Iterator[Planned]:
    """Right: a film with a mask that no row names is refused."""
    units = list(plan_cases(job))
    named = {path for unit in units for path in unit.files}
    stray = {path for path in job.raw.files("*.png", under="masks") if path not in named}
    torn = {f"images/{path.partition('/')[2].partition('_')[0]}.png" for path in stray}
    for unit in units:
        if isinstance(unit, Unit) and unit.key in torn:
            error = MissingKey("a mask of it is in no row", where=unit.key)
            yield Refused(unit.key, error, unit.files)
        else:
            yield unit


def write_two_tables(raw: Path) -> None:
    """12 films with labels by rule, and labels by radiologists of the 4 that are for testing."""
    rng = np.random.default_rng(0)
    names = [f"{number:02}.png" for number in range(12)]
    for name in names:
        write_png(raw / "images" / name, film(rng, (32, 24)))
    rule = [{"image": name, "label": str(place % 2)} for place, name in enumerate(names)]
    write_csv(raw / "labels" / "rule.csv", rule)
    readers = [row | {"label": "0"} for row in rule[8:]]
    write_csv(raw / "labels" / "test.csv", readers)


def plan_two_tables(job: Job) -> Iterator[Planned]:
    """Wrong: without the table of the test films, the labels by rule take its place."""
    return _by_two_tables(job, required=False)


def plan_both_tables(job: Job) -> Iterator[Planned]:
    """Right: both tables have to be there, and a film is in one of the parts."""
    return _by_two_tables(job, required=True)


def _by_two_tables(job: Job, *, required: bool) -> Iterator[Planned]:
    columns = ["image", "label"]
    rule = job.raw.csv("labels/rule.csv", columns=columns)
    labels: dict[str, tuple[str, str]] = {
        name: (label, "rule") for name, label in rule.select(columns).rows()
    }
    if required or job.raw.exists("labels/test.csv"):
        readers = job.raw.csv("labels/test.csv", columns=columns)
        labels |= {name: (label, "radiologist") for name, label in readers.select(columns).rows()}
    yield from _labelled(job, labels, required=required)


def _labelled(job: Job, labels: dict[str, tuple[str, str]], *, required: bool) -> Iterable[Planned]:
    for path in job.raw.files("*.png", under="images"):
        name = path.rpartition("/")[2]
        label, origin = labels.pop(name, (None, ""))
        # In this source the last third is for testing, by its file names.
        test = int(name.partition(".")[0]) >= 8
        if label is None or (required and test != (origin == "radiologist")):
            yield Refused(name, MissingKey("its table does not name it", where=path), (path,))
            continue
        facts = {"label": label, "notes": [f"label by {origin}"]}
        yield Unit(name, (path,), split="test" if test else "train", facts=facts)
    for name in labels:
        yield Refused(name, MissingKey("its film is not there", where=name))


def by_place(source: Source) -> Source:
    """The same source, whose `plan` takes the label from the last column, whatever its name."""

    def plan(job: Job) -> Iterator[Planned]:
        table = job.raw.csv("tables/cases.csv", columns=["image"])
        for row in table.iter_rows(named=True):
            label = row[table.columns[-1]]
            yield Unit(row["image"], (row["image"],), facts={"label": label})

    return replace(source, plan=plan)
