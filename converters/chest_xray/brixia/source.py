"""BrixIA COVID-19: films with a severity score for each of six zones of the lungs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qoqdata.contract.vocabulary import AGE_CAP
from qoqdata.errors import BadTable, InputError, Misaligned, MissingKey
from qoqdata.records import dicoms
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask
from qoqdata.sources.cells import integer, sex, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

#: Name and separator of the table of scores, by version.
SCORES = {"v1": ("metadata_global_v1.csv", ","), "v2": ("metadata_global_v2.csv", ";")}
CONSENSUS = "metadata_consensus_v1.csv"
COLUMNS = (
    "Filename",
    "BrixiaScore",
    "BrixiaScoreGlobal",
    "ConsensusTestset",
    "Subject",
    "Sex",
    "AgeAtStudyDateFiveYear",
    "Rows",
    "Columns",
)
#: Zones of the score, in the order of its digits, and what they are called in questions.
ZONES = {
    "A": "right upper",
    "B": "right middle",
    "C": "right lower",
    "D": "left upper",
    "E": "left middle",
    "F": "left lower",
}
MODES = {zone: f"Mode{zone}" for zone in ZONES}
MEANS = tuple(f"Mean{of}" for of in (*ZONES, "Global"))
REFETCH = "fetch both tables again"
#: The highest score of a zone.
MOST = 3
#: Years of an age group.
YEARS = 5


def plan(job: Job) -> Iterator[Planned]:
    """One unit a film, joined by its name to its scores and, in the test part, the consensus.

    Raises MissingKey for a test film of an unknown subject, whose other films belong there as well.
    """
    table, separator = SCORES[job.options["table"]]
    scored = job.raw.csv(table, columns=COLUMNS, separator=separator)
    columns = ("Filename", *MODES.values(), "ModeGlobal", *MEANS)
    agreed = rows_by_key(job.raw.csv(CONSENSUS, columns=columns), "Filename", where=CONSENSUS)
    consensus = {_stem(name): rows for name, rows in agreed.items()}
    films = {_stem(path.rpartition("/")[2]): path for path in job.raw.files("*.dcm")}
    for name, rows in rows_by_key(scored, "Filename", where=table).items():
        key = _stem(name)
        path = films.pop(key, f"dicom_clean/{key}.dcm")
        patient, test = text(rows[0]["Subject"]), integer(rows[0]["ConsensusTestset"])
        by_five = consensus.pop(key, [])
        if patient is None and (test == 1 or by_five):
            raise MissingKey(f"{key} is a test film and has no Subject", where=table, fix=REFETCH)
        try:
            facts = _facts(key, rows, by_five)
        except InputError as error:
            yield Refused(key, error, (path,), patient, "test" if test == 1 or by_five else None)
            continue
        yield Unit(key, (path,), patient, patient, "test" if test else None, facts)
    if consensus:
        what = f"does not name {min(consensus)}, a film of the consensus"
        raise MissingKey(what, where=table, fix=REFETCH)
    for key, path in films.items():
        yield Refused(key, MissingKey(f"{table} does not name this film", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The score of each zone and of the whole, the affected zones, and the worse side."""
    facts, card = unit.facts, job.card
    path = job.raw.resolve(unit.files[0])
    images, notes, header = dicoms.file_images(path, [None], frames=1, limits=job.limits)
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


def _facts(key: str, rows: Sequence[Row], by_five: Sequence[Row]) -> dict[str, Any]:
    """Scores, person and size of a film; raises where rows contradict themselves or each other."""
    if len(rows) > 1 or len(by_five) > 1:
        raise BadTable(f"has {len(rows)} and {len(by_five)} rows of scores", where=key)
    row, test = rows[0], integer(rows[0]["ConsensusTestset"])
    if test not in (0, 1) or bool(test) != bool(by_five):
        # The score of the film's own reader never stands in for a lost consensus.
        what = f"ConsensusTestset is {row['ConsensusTestset']!r}, with {len(by_five)} rows of it"
        raise BadTable(what, where=key, fix=REFETCH)
    if text(row["Subject"]) is None:
        raise BadTable("has no Subject", where=key)
    zones, score, notes = _single_reader(key, row)
    if by_five:
        means = " ".join(str(by_five[0][mean]) for mean in MEANS)
        notes = [f"single reader: {''.join(map(str, zones))}", *notes]
        notes.append(f"mode of five readers, whose means are {means}")
        zones, score = _of_five(key, by_five[0])
    size = [integer(row[column]) for column in ("Rows", "Columns")]
    return {
        "zones": zones,
        "score": score,
        "notes": notes,
        "size": size,
        "sex": sex(row["Sex"]),
        "context": _age(integer(row["AgeAtStudyDateFiveYear"])),
    }


def _age(group: int | None) -> str | None:
    """The years of an age group, in words; 0 is birth to 4 years."""
    if group is None or group < 0:
        return None
    first = group * YEARS
    last = f"to {first + YEARS - 1} years" if first < AGE_CAP else "years or older"
    return f"Age: {min(first, AGE_CAP)} {last}"


def _single_reader(key: str, row: Row) -> tuple[list[int], int, list[str]]:
    """Six zone scores, their sum, and notes; a number has lost the zeros in front."""
    cell, total = integer(row["BrixiaScore"]), integer(row["BrixiaScoreGlobal"])
    digits = (text(row["BrixiaScore"]) or "").removesuffix(".0")
    padded = digits.zfill(len(ZONES))
    zones = [int(digit) for digit in padded] if cell is not None and padded.isdecimal() else []
    if len(zones) != len(ZONES) or max(zones) > MOST:
        raise BadTable(f"BrixiaScore is {row['BrixiaScore']!r}, not six digits to 3", where=key)
    if sum(zones) != total:
        what = f"BrixiaScore {digits} does not add up to {row['BrixiaScoreGlobal']!r}"
        raise BadTable(what, where=key, fix=REFETCH)
    return zones, sum(zones), ["leading zeros of the score restored"] if padded != digits else []


def _of_five(key: str, row: Mapping[str, str | None]) -> tuple[list[int], int]:
    """Modes of the five readers: of each zone and, on its own, of the sum."""
    zones = [integer(row[column]) for column in MODES.values()]
    total = integer(row["ModeGlobal"])
    known = [zone for zone in zones if zone is not None and 0 <= zone <= MOST]
    if len(known) < len(zones) or total is None or not 0 <= total <= MOST * len(ZONES):
        raise BadTable("has a mode that is no score", where=key, fix=REFETCH)
    return known, total


def _stem(name: str) -> str:
    """The file name without its suffix, which tables have or leave out."""
    return name.strip().removesuffix(".dcm")
