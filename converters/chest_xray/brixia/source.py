"""BrixIA COVID-19: films with a severity score for each of six zones of the lungs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from qoqdata.errors import DuplicateKey, InputError, Misaligned, MissingKey
from qoqdata.records import dicoms
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask
from qoqdata.sources.cells import integer, text
from qoqdata.sources.joining import rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from .scores import COLUMNS, CONSENSUS, MEANS, MODES, REFETCH, SCORES, ZONES, film_facts


def plan(job: Job) -> Iterator[Planned]:
    """One unit a film, joined by its name to its scores and, in the test part, the consensus.

    Raises MissingKey for a test film of an unknown subject, whose other films belong there as well.
    """
    table, separator = SCORES[job.options["table"]]
    scored = job.raw.csv(table, columns=COLUMNS, separator=separator)
    columns = ("Filename", *MODES.values(), "ModeGlobal", *MEANS)
    agreed = rows_by_key(job.raw.csv(CONSENSUS, columns=columns), "Filename", where=CONSENSUS)
    consensus = {_stem(name): rows for name, rows in agreed.items()}
    films: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.dcm"):
        films[_stem(path.rpartition("/")[2])].append(path)
    for name, rows in rows_by_key(scored, "Filename", where=table).items():
        key = _stem(name)
        paths = films.pop(key, [f"dicom_clean/{key}.dcm"])
        patient, test = text(rows[0]["Subject"]), integer(rows[0]["ConsensusTestset"])
        by_five = consensus.pop(key, [])
        if patient is None and (test == 1 or by_five):
            raise MissingKey(f"{key} is a test film and has no Subject", where=table, fix=REFETCH)
        try:
            facts = film_facts(key, rows, by_five)
            if len(paths) > 1:
                raise DuplicateKey("the film is there twice", where=" and ".join(paths))
        except InputError as error:
            yield Refused(
                key, error, tuple(paths), patient, "test" if test == 1 or by_five else None
            )
            continue
        yield Unit(key, (paths[0],), patient, patient, "test" if test else None, facts)
    if consensus:
        what = f"does not name {min(consensus)}, a film of the consensus"
        raise MissingKey(what, where=table, fix=REFETCH)
    for key, paths in films.items():
        unnamed = MissingKey(f"{table} does not name this film", where=paths[0])
        yield Refused(key, unnamed, tuple(paths))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The score of each zone and of the whole, the affected zones, and the worse side."""
    facts, card = unit.facts, job.card
    path = job.raw.resolve(unit.files[0])
    images, notes, header = dicoms.file_images(
        path, [None], frames=1, part="CHEST", limits=job.limits
    )
    size = [header.original_rows, header.original_columns]
    if size != facts["size"]:
        what = f"has {size} rows and columns, and the table says {facts['size']}"
        raise Misaligned(what, where=unit.files[0], fix="fetch the film again")
    shown: dict[str, Any] = {"images": images, "notes": (*notes, *facts["notes"])}
    shown |= {"sex": facts["sex"], "context": facts["context"]}
    scores = dict(zip(ZONES, facts["zones"], strict=True))
    asked: list[Converted] = [
        Record(**_ask_zone(job, zone, score), **shown, item=zone) for zone, score in scores.items()
    ]
    asked.append(Record(**ask(card, "score", [str(facts["score"])]), **shown))
    affected = [ZONES[zone].capitalize() for zone, score in scores.items() if score]
    if not affected:
        nothing = "every zone scores 0"
        return [*asked, *(Skipped(task, "not_affected", nothing) for task in ("zones", "side"))]
    absent = [ZONES[zone].capitalize() for zone, score in scores.items() if not score]
    asked.append(Record(**ask(card, "zones", affected, absent=absent), **shown))
    asked.append(Record(**ask(card, "side", [_worse_side(facts["zones"])]), **shown))
    return asked


def _ask_zone(job: Job, zone: str, score: int) -> dict[str, Any]:
    fields = ask(job.card, "zone", [str(score)])
    forms = tuple(form.format(zone=ZONES[zone]) for form in fields["forms"])
    return fields | {"forms": forms}


def _worse_side(zones: Sequence[int]) -> str:
    right, left = sum(zones[:3]), sum(zones[3:])
    return "Neither" if right == left else "Right" if right > left else "Left"


def _stem(name: str) -> str:
    """The file name without its suffix, which tables have or leave out."""
    return name.strip().removesuffix(".dcm")
