"""The columns in which a technician noted what disturbs a PTB-XL recording, and in which leads."""

from __future__ import annotations

import re
from collections.abc import Mapping

from qoqdata.readers.ecg.leads import TWELVE, canonical

#: The column of each disturbance, and what it is called.
DISTURBANCES = {
    "baseline_drift": "Baseline drift",
    "static_noise": "Static noise",
    "burst_noise": "Burst noise",
    "electrodes_problems": "Electrode problem",
}
EXTRA_BEATS, PACEMAKER = "Extra beats", "Pacemaker"
NOTHING = "Nothing noted"
COLUMNS = (*DISTURBANCES, "extra_beats", "pacemaker")

#: Of a column that is filled and says that there is none, or that nobody knows.
_DENIED = re.compile(r"\s*(?:nein|\?)\s*(?:,.*)?", re.IGNORECASE)
_COUNTED = re.compile(r"([1-9][0-9]?)\s*(?:SV|V)?ES", re.IGNORECASE)
_NUMBER = re.compile(r"[1-6]")


def noted(cells: Mapping[str, str | None]) -> list[str]:
    """What the columns of a row note; that they note nothing where all are empty."""
    found = [name for column, name in DISTURBANCES.items() if _filled(cells[column])]
    if _filled(cells["extra_beats"]):
        found.append(EXTRA_BEATS)
    if _filled(cells["pacemaker"]) and not _DENIED.fullmatch(cells["pacemaker"] or ""):
        found.append(PACEMAKER)
    return found or [NOTHING]


def disturbed_leads(cell: str) -> tuple[str, ...] | None:
    """The leads that a cell names, in canonical order; None where it says something else.

    Cells are lists such as ` , I-V1,  ` or `II,III,AVF`; `V1,2` goes on with the letter before, a
    dash is a range in the order of the standard leads, and `alles` is all of them.
    """
    leads: set[str] = set()
    letter = ""
    for word in filter(None, (part.strip() for part in cell.split(","))):
        if word.lower() == "alles":
            return TWELVE
        first, dash, last = (part.strip() for part in word.partition("-"))
        places = []
        for name in (first, last) if dash else (first,):
            lead = canonical(f"{letter}{name}" if _NUMBER.fullmatch(name) else name)
            if lead not in TWELVE:
                return None
            letter = "V" if lead.startswith("V") else ""
            places.append(TWELVE.index(lead))
        if places != sorted(places):
            return None
        leads.update(TWELVE[places[0] : places[-1] + 1])
    return tuple(lead for lead in TWELVE if lead in leads) or None


def extra_beats(cell: str) -> int | None:
    """How many extra beats a cell counts (`1ES`, `2VES`, `1SVES,1VES`); None where it does not."""
    words = [word.strip() for word in cell.split(",") if word.strip()]
    counts = [_COUNTED.fullmatch(word) for word in words]
    if not counts or None in counts:
        return None
    return sum(int(count[1]) for count in counts if count)


def _filled(cell: str | None) -> bool:
    return bool((cell or "").strip(" ,"))
