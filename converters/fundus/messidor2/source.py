"""Messidor-2: photographs of both eyes of a person, graded by adjudication of three specialists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.records.content import Image, Record
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import integer, text
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..photographs import Files, ask_side, eye_image, one_file, one_row, photographs, stem

PAIRS, GRADES = "messidor-2.csv", "messidor_data.csv"
SIDES = ("left", "right")
#: Name, grade, macular oedema and gradability in the published table, and in copies of it.
COLUMNS = (
    ("image_id", "adjudicated_dr_grade", "adjudicated_dme", "adjudicated_gradable"),
    ("id_code", "diagnosis", "adjudicated_dme", "adjudicated_gradable"),
)
#: Tasks about one eye, and the facts that answer them.
ASKED = {"gradable": "gradable", "dr_grade": "grade", "dme": "dme"}
_MODERATE = 2

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit a person: the list of pairs, the grades and the files are joined by name."""
    pairs_at, grades_at = (_table(job, name) for name in (PAIRS, GRADES))
    table = job.raw.csv(pairs_at, columns=SIDES, separator=";")
    pairs = [[text(row[side]) for side in SIDES] for row in table.iter_rows(named=True)]
    rows, files = _grades(job, grades_at), photographs(job)
    uses = Counter(stem(name) for pair in pairs for name in pair if name)
    for place, pair in enumerate(pairs, start=2):
        names = [name for name in pair if name]
        keys = [stem(name) for name in names]
        paths = tuple(path for key in keys for path in files.get(key, ()))
        key = "+".join(keys) or f"{PAIRS}, row {place}"
        try:
            if len(keys) < len(SIDES):
                raise BadTable("names no pair of photographs", where=f"{PAIRS}, row {place}")
            if twice := [name for name in keys if uses[name] > 1]:
                raise DuplicateKey(f"is in {uses[twice[0]]} pairs of {PAIRS}", where=twice[0])
            yield _unit(key, keys, rows, files)
        except InputError as error:
            yield Refused(key, error, paths)
    for key in sorted((rows.keys() | files.keys()) - uses.keys()):
        unpaired = MissingKey(f"{PAIRS} has no pair with this photograph", where=key)
        yield Refused(key, unpaired, tuple(files.get(key, ())))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about each eye, and which of both is worse."""
    asked: list[Asked] = []
    shown: list[Image] = []
    notes: list[str] = []
    for side, path in zip(SIDES, unit.files, strict=True):
        image, repairs = eye_image(path, job, side)
        asked += _about_eye(side, unit.facts["eyes"][side], image, job)
        shown.append(image)
        notes += repairs
    asked.append(_worse(unit, shown, job))
    kept = tuple(dict.fromkeys(notes))
    return [one if isinstance(one, Skipped) else Record(**one, notes=kept) for one in asked]


def _table(job: Job, name: str) -> str:
    found = job.raw.files(name)
    if len(found) != 1:
        what = f"lies there {len(found)} times" if found else "is missing"
        fix = (
            "keep one" if found else "fetch it: photographs and pairs from ADCIS, grades of Kaggle"
        )
        raise BadTable(what, where=found[0] if found else name, fix=fix)
    return found[0]


def _grades(job: Job, path: str) -> dict[str, list[Row]]:
    """Rows by key, their columns by what they say."""
    header = job.raw.csv(path).columns
    names = next((names for names in COLUMNS if names[0] in header), COLUMNS[0])
    rows: dict[str, list[Row]] = {}
    for row in job.raw.csv(path, columns=names).iter_rows(named=True):
        if (name := text(row[names[0]])) is None:
            raise BadTable(f"{names[0]} is empty", where=path, fix="mend or drop the row")
        cells = zip(("grade", "dme", "gradable"), (text(row[n]) for n in names[1:]), strict=True)
        rows.setdefault(stem(name), []).append(dict(cells))
    return rows


def _unit(key: str, keys: list[str], rows: Mapping[str, list[Row]], files: Files) -> Unit:
    paths, eyes = [], {}
    for side, name in zip(SIDES, keys, strict=True):
        row = one_row(rows.get(name, []), name, where=GRADES)
        paths.append(one_file(files, name))
        # Grades are written as floats where the column has blanks.
        whole = {fact: integer(cell) for fact, cell in row.items()}
        eyes[side] = {
            fact: cell if whole[fact] is None else str(whole[fact]) for fact, cell in row.items()
        }
        _check(row, f"{GRADES}, {name}")
    return Unit(key, tuple(paths), key, key, None, {"eyes": eyes})


def _check(row: Row, where: str) -> None:
    """A photograph has a grade and a word on oedema if, and only if, it can be graded."""
    if row["gradable"] is None:
        raise BadTable("does not say whether it can be graded", where=where)
    gradable = integer(row["gradable"]) != 0
    for fact in ("grade", "dme"):
        if gradable and row[fact] is None:
            raise BadTable(f"can be graded, and its {fact} is empty", where=where)
    if not gradable and row["grade"] is not None:
        raise BadTable("cannot be graded, and has a grade", where=where)


def _about_eye(
    side: str, facts: Mapping[str, str | None], image: Image, job: Job
) -> Iterator[Asked]:
    shown = {"item": side, "images": (image,)}
    for task, fact in ASKED.items():
        raw = facts[fact]
        if raw is None:
            yield Skipped(task, "not_gradable", item=side)
            continue
        yield ask(job.card, task, [translate(job.card, raw, where=side, task=task)]) | shown
    grade, dme = (integer(facts[fact]) for fact in ("grade", "dme"))
    if grade is None or dme is None:
        yield Skipped("referable", "not_gradable", item=side)
    else:
        answer = "Yes" if grade >= _MODERATE or dme else "No"
        yield ask(job.card, "referable", [answer]) | shown
    if integer(facts["gradable"]) == 0:
        # Where disc and macula cannot be made out, nothing says which eye it is.
        yield Skipped("laterality", "not_gradable", item=side)
    else:
        yield ask_side(job, image, side) | {"item": side}


def _worse(unit: Unit, images: list[Image], job: Job) -> Asked:
    """The eye with the higher grade."""
    left, right = (integer(unit.facts["eyes"][side]["grade"]) for side in SIDES)
    if left is None or right is None:
        return Skipped("worse_eye", "not_gradable")
    answer = "Equal" if left == right else "Left" if left > right else "Right"
    return ask(job.card, "worse_eye", [answer]) | {"images": tuple(images)}
