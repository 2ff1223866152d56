"""Rows of the two tables: six zone scores and their total, whose they are, and of whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qoqdata.contract.vocabulary import AGE_CAP
from qoqdata.errors import BadTable
from qoqdata.sources.cells import integer, sex, text
from qoqdata.sources.joining import Row

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


def film_facts(key: str, rows: Sequence[Row], by_five: Sequence[Row]) -> dict[str, Any]:
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
