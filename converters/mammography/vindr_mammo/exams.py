"""The two tables of VinDr-Mammo, joined by image_id into examinations of four mammograms."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.sources.cells import integer, number, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Job, Planned, Refused, Unit

from ..views import SIDES, STANDARD, Projection

BREASTS, FINDINGS = "breast-level_annotations.csv", "finding_annotations.csv"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
NO_FINDING = "No Finding"
_SPLITS: dict[str | None, Split] = {"training": "train", "test": "test"}
_GRADES = ("breast_birads", "breast_density")
#: What both tables say of an image, and must say alike.
_SHARED = ("study_id", "laterality", "view_position", "height", "width", *_GRADES, "split")


def plan_exams(job: Job) -> Iterator[Planned]:
    """One unit an examination; whatever is not of a whole one is refused by name."""
    breasts = job.raw.csv(BREASTS, columns=("image_id", *_SHARED))
    columns = ("image_id", *_SHARED, "finding_categories", "finding_birads", *CORNERS)
    findings = rows_by_key(job.raw.csv(FINDINGS, columns=columns), "image_id", where=FINDINGS)
    files: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.dicom", "*.dcm"):
        files[path.rpartition("/")[2].rpartition(".")[0]].append(path)
    for study, rows in rows_by_key(breasts, "study_id", where=BREASTS).items():
        images = [row["image_id"] or "" for row in rows]
        found = {image: findings.pop(image, []) for image in images}
        lying = {image: files.pop(image, []) for image in images}
        try:
            yield _exam(study, rows, found, lying)
        except InputError as error:
            paths = tuple(path for some in lying.values() for path in some)
            yield Refused(study, error, paths, study, _SPLITS.get(rows[0]["split"]))
    for image in sorted(findings.keys() | files.keys()):
        unknown = MissingKey(f"{BREASTS} does not name this image", where=image)
        yield Refused(image, unknown, tuple(files.get(image, ())))


def _exam(
    study: str,
    rows: Sequence[Row],
    findings: Mapping[str, Sequence[Row]],
    files: Mapping[str, Sequence[str]],
) -> Unit:
    by_place = {Projection(SIDES.get(row["laterality"] or "", ""), row["view_position"] or ""): row
                for row in rows}  # fmt: skip
    if len(rows) != len(STANDARD) or set(by_place) != set(STANDARD):
        what = f"has {len(rows)} rows, not one for CC and MLO of each side"
        raise BadTable(what, where=f"{BREASTS}, {study}", fix="fetch the table again")
    splits = {row["split"] for row in rows}
    if len(splits) > 1 or not splits <= set(_SPLITS):
        said = " and ".join(sorted(str(split) for split in splits))
        raise BadTable(f"the split is {said}", where=f"{BREASTS}, {study}")
    facts, paths = [], []
    for place in STANDARD:
        row = by_place[place]
        image = row["image_id"] or ""
        paths.append(_file(image, study, files[image]))
        facts.append(
            {"side": place.side, "view": place.view, "size": _size(row)}
            | {"marks": _marks(row, findings[image])}
        )
    grades = {side: _breast(by_place, side) for side in SIDES.values()}
    split = _SPLITS[rows[0]["split"]]
    return Unit(study, tuple(paths), study, None, split, {"images": facts, "breasts": grades})


def _file(image: str, study: str, paths: Sequence[str]) -> str:
    if not paths:
        raise MissingFile("no such image", where=f"images/{study}/{image}.dicom", fix="fetch it")
    if len(paths) > 1:
        raise DuplicateKey(f"lies there {len(paths)} times", where=paths[0], fix="keep one")
    return paths[0]


def _size(row: Row) -> list[int] | None:
    """Width and height that boxes are in, where the table says both."""
    width, height = integer(row["width"]), integer(row["height"])
    return None if width is None or height is None else [width, height]


def _breast(rows: Mapping[Projection, Row], side: str) -> dict[str, str | None]:
    """The grades of a breast, which stand in the rows of both its views."""
    grades = {}
    for column in _GRADES:
        said = {text(row[column]) for place, row in rows.items() if place.side == side}
        if len(said) > 1:
            what = f"the views of the {side} breast differ in {column}"
            raise BadTable(what, where=BREASTS, fix="fetch the table again")
        grades[column] = said.pop()
    return grades


def _marks(row: Row, findings: Sequence[Row]) -> list[dict[str, Any]]:
    """Findings of an image by their place, in no order of the table; none where it says so."""
    where = f"{FINDINGS}, {row['image_id']}"
    if not findings:
        raise MissingKey("has no row for this image", where=where, fix="fetch the table again")
    marks: dict[tuple[float, ...], dict[str, Any]] = {}
    clear = 0
    for finding in findings:
        if differ := [column for column in _SHARED if finding[column] != row[column]]:
            raise BadTable(f"{differ[0]} is another than in {BREASTS}", where=where)
        names = _categories(finding["finding_categories"], where)
        corners = tuple(c for name in CORNERS if (c := number(finding[name])) is not None)
        if len(corners) not in (0, len(CORNERS)):
            raise BadTable("a box lacks a corner", where=where)
        if names == [NO_FINDING]:
            clear += 1
            if corners:
                raise BadTable(f"{NO_FINDING}, and a box", where=where)
            continue
        mark = marks.setdefault(corners, {"names": [], "birads": [], "corners": list(corners)})
        mark["names"] = sorted({*mark["names"], *names})
        mark["birads"] = sorted({*mark["birads"], text(finding["finding_birads"]) or ""})
    if clear and marks:
        raise BadTable(f"{NO_FINDING} stands beside a finding", where=where)
    return [marks[corners] for corners in sorted(marks)]


def _categories(cell: str | None, where: str) -> list[str]:
    """A list of names, written as Python writes one."""
    try:
        names = ast.literal_eval(cell or "")
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise BadTable(f"finding_categories is {cell!r}, no list of names", where=where)
    if NO_FINDING in names and len(names) > 1:
        raise BadTable(f"{NO_FINDING} stands beside a finding", where=where)
    return sorted(set(names))
