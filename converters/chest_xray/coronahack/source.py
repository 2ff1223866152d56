"""CoronaHack: chest films, most of children, with kind and cause of a pneumonia in one table."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

TABLE = "Chest_xray_Corona_Metadata.csv"
NAME, PART = "X_ray_image_name", "Dataset_type"
#: From the general to the special; what is blank is not known, or does not apply.
LABEL, CAUSE, DISEASE = "Label", "Label_1_Virus_category", "Label_2_Virus_category"
SPLITS: dict[str, Split] = {"TRAIN": "train", "TEST": "test"}
NORMAL = "Normal"
#: The cause that a disease has, where the table states both.
CAUSES = {
    "COVID-19": "Virus",
    "SARS": "Virus",
    "Streptococcus": "bacteria",
    "ARDS": "Stress-Smoking",
}
#: Names that number the children: of pneumonias by kind, of normal films with films behind.
PERSONS = (re.compile(r"(person\d+_(?:bacteria|virus))_"), re.compile(r"((?:NORMAL2-)?IM-\d+)-"))


def plan(job: Job) -> Iterator[Planned]:
    """One unit a row, with the film of its name in the folder of its part."""
    table = job.raw.csv(TABLE, columns=(NAME, PART, LABEL, CAUSE, DISEASE))
    films: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in job.raw.files("*.jpeg", "*.jpg", "*.png"):
        folder, _, name = path.rpartition("/")
        films[folder.rpartition("/")[2], name].append(path)
    for key, rows in rows_by_key(table, NAME, where=TABLE).items():
        group, part = _group(key), rows[0][PART] or ""
        split = SPLITS.get(part)
        there = films.pop((part.lower(), key), [f"{part.lower()}/{key}"])
        try:
            facts = _facts(key, rows, there)
        except InputError as error:
            yield Refused(key, error, tuple(there), group, split)
            continue
        yield Unit(key, (there[0],), group, split=split, facts=facts)
    for (_, name), paths in films.items():
        for path in paths:
            what = f"{TABLE} does not name {name} in this part"
            yield Refused(path, MissingKey(what, where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Whether there is a pneumonia, of which cause, and the disease as far as it is known."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    shown: dict[str, Any] = {"images": (image,), "notes": notes}
    label, cause, disease = (unit.facts[name] for name in ("label", "cause", "disease"))
    asked: list[Converted] = [_asked(job.card, "pneumonia", label, unit.key, shown)]
    if label == NORMAL:
        asked.append(Skipped("cause", "no_cause", "the film is normal"))
        return [*asked, _asked(job.card, "diagnosis", label, unit.key, shown)]
    if cause is None:
        what = "the table leaves the cause open"
        return [*asked, *(Skipped(task, "no_cause", what) for task in ("cause", "diagnosis"))]
    asked.append(_asked(job.card, "cause", cause, unit.key, shown))
    if disease is None and cause not in job.card.tasks["diagnosis"].labels:
        return [*asked, Skipped("diagnosis", "no_disease", f"{cause} is a cause and no disease")]
    return [*asked, _asked(job.card, "diagnosis", disease or cause, unit.key, shown)]


def _asked(card: Card, task: str, raw: str, key: str, shown: dict[str, Any]) -> Record:
    return Record(**ask(card, task, [translate(card, raw, where=key, task=task)]), **shown)


def _facts(key: str, rows: Sequence[Row], there: Sequence[str]) -> dict[str, str | None]:
    """The three labels of a film; raises where rows or labels contradict each other."""
    if len(rows) > 1 or len(there) > 1:
        what = f"has {len(rows)} rows and {len(there)} files"
        raise DuplicateKey(what, where=key, fix="remove what is wrong")
    label, cause, disease = (text(rows[0][column]) for column in (LABEL, CAUSE, DISEASE))
    if rows[0][PART] not in SPLITS or label is None:
        raise BadTable(f"{PART} is {rows[0][PART]!r}, {LABEL} {label!r}", where=key)
    if (label == NORMAL and (cause or disease)) or (disease and CAUSES.get(disease) != cause):
        raise BadTable(f"is {label}, by {cause}, {disease}", where=key, fix="mend the row")
    return {"label": label, "cause": cause, "disease": disease}


def _group(name: str) -> str:
    """The child that the name numbers, else the film itself."""
    return next((found[1] for shape in PERSONS if (found := shape.match(name))), name)
