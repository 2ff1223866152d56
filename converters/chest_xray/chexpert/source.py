"""CheXpert: studies of several films, labelled from reports in train, by radiologists elsewhere."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.records.images import image_from_file
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..four_states import (
    States,
    ask_findings,
    ask_presence,
    label_columns,
    read_states,
)
from ..studies import ask_view, show_films
from .contours import FILES, Drawn, ask_contours, read_contours
from .films import PERSON, PROJECTION, Films, study_facts

#: The end of a path, which alone is the same in all editions: patient, study, film.
FILM = re.compile(r"(?:^|/)((patient\d+)/study\d+)/([^/]+)$")
TRAIN = {
    "chexpert": "train.csv",
    "chexbert": "train_cheXbert.csv",
    "visualchexbert": "train_visualCheXbert.csv",
}
#: The parts that radiologists labelled.
VALIDATION, TEST = "valid.csv", "test_labels.csv"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a study, with its rows and films, joined by the ends of their paths."""
    films: dict[str, Films] = defaultdict(lambda: defaultdict(list))
    for path in job.raw.files("*.jpg", "*.jpeg"):
        if found := FILM.search(path):
            films[found[1]][found[3]].append(path)
        else:
            yield Refused(path, MissingKey("no folder names its study", where=path), (path,))
    stated = (*PERSON, *PROJECTION)
    yield from _plan_part(job, "train", TRAIN[job.options["labeller"]], stated, films)
    yield from _plan_part(job, "validation", VALIDATION, stated, films)
    if job.options["test"] == "released":
        # The labels were published alone.
        yield from _plan_part(job, "test", TEST, (), films)
    for key, left in films.items():
        fix = "fetch the table again; the test part is read with the option test=released"
        files = tuple(path for paths in left.values() for path in paths)
        yield Refused(key, MissingKey("no table names the study", where=key, fix=fix), files)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about a study; those for the view and for boxes show one film."""
    facts, card = unit.facts, job.card

    def read(path: str) -> Any:
        return image_from_file(job.raw.resolve(path), limits=job.limits)

    shown_films = list(zip(unit.files, facts["views"], strict=True))
    images, notes = show_films(shown_films, read, most=job.options["most_images"])
    shown = {"images": images, "notes": (*notes, *facts["notes"])}
    shown |= {"age": facts["age"], "sex": facts["sex"]}
    view = ask_view(card, images, shown, key=unit.key)
    states: States | None = None
    asked: list[Converted]
    try:
        states = read_states(facts["cells"], card.tasks[facts["task"]].labels, where=unit.key)
    except BadTable as error:
        asked = [Skipped(task, error.code, error.what) for task in (facts["task"], "presence")]
    else:
        who = job.options["labeller"] if unit.split == "train" else "radiologists"
        labelled = shown | {"notes": (*shown["notes"], f"labels by {who}")}
        findings = ask_findings(card, facts["task"], states, labelled)
        asked = [findings, ask_presence(card, states, labelled, key=unit.key)]
    boxes = []
    for path in unit.files if "contours" in facts else ():
        film = _film(unit.key, path.rpartition("/")[2])
        image, _ = read(path)
        drawn = facts["contours"][film]
        boxes.append(ask_contours(card, drawn, states, image, shown, film=film))
    return [view, *asked, *boxes]


def _plan_part(
    job: Job, split: Split, name: str, stated: Sequence[str], films: dict[str, Films]
) -> Iterator[Planned]:
    """The studies of a table; their films are taken out of `films`."""
    where = _table(job, name)
    table = job.raw.csv(where, columns=("Path", *stated))
    task = "findings" if split == "train" else "findings_reviewed"
    columns = label_columns(job, table, task, where=where)
    contours = _contours(job, split)
    studies: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    for number, row in enumerate(table.iter_rows(named=True), 2):
        if not (found := FILM.search(row["Path"] or "")):
            place = f"{where}, row {number}"
            yield Refused(place, BadTable(f"{row['Path']!r} is no film's path", where=place))
            continue
        studies[found[1]].append((found[3], row))
    for key, rows in studies.items():
        patient, there = key.partition("/")[0], films.pop(key, {})
        files = tuple(there[name][0] if name in there else row["Path"] or "" for name, row in rows)
        try:
            facts = study_facts(key, rows, there, columns) | {"task": task}
            if contours is not None:
                names = [_film(key, name) for name, _ in rows]
                facts["contours"] = {name: contours.pop(name, None) for name in names}
        except InputError as error:
            yield Refused(key, error, files, patient, split)
            continue
        yield Unit(key, files, patient, patient, split, facts)
    for name in contours or ():
        yield Refused(name, MissingKey(f"{where} does not name this film", where=name))


def _contours(job: Job, split: Split) -> dict[str, Drawn] | None:
    """Contours of the part's films by name, where the option asks for them."""
    if job.options["contours"] == "absent" or split not in FILES:
        return None
    return read_contours(job, _table(job, FILES[split]))


def _film(study: str, name: str) -> str:
    """A film as the contours call it."""
    return f"{study}/{name.rpartition('.')[0]}".replace("/", "_")


def _table(job: Job, name: str) -> str:
    """The one table of this name, wherever it lies."""
    found = job.raw.files(name)
    if not found:
        raise MissingFile("the table of labels is not there", where=name, fix="fetch it")
    if len(found) > 1:
        fix = "build one edition at a time"
        raise DuplicateKey("are two tables of the same films", where=" and ".join(found), fix=fix)
    return found[0]
