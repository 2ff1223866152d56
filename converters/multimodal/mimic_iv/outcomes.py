"""Answers from what became of a stay: never seen by what builds the context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.sources.cells import number
from qoqdata.sources.protocol import Skipped

Outcome = Mapping[str, str | None]
#: When each question is asked, in hours from the beginning of the stay.
HOURS = {
    "survive_48h": 24,
    "mortality": 48,
    "length_of_stay": 48,
    "conditions": 48,
    "principal_diagnosis": 48,
}
#: Upper bounds in days of the options of length_of_stay but the last.
DAYS = (4.0, 8.0, 12.0, 16.0)
#: The horizon of survive_48h.
_HORIZON = 48.0
_FOLDER = Path(__file__).parent


def _table(name: str) -> list[tuple[str, ...]]:
    return pl.read_csv(_FOLDER / name, infer_schema=False).rows()


CONDITIONS, CHAPTERS = _table("conditions.csv"), _table("chapters.csv")


def answers(task: str, outcome: Outcome, card: Card) -> list[str] | Skipped:
    """The options of `task` that hold, or why it is not asked of this stay.

    Asked is who was alive and in the unit when the question is put: of others the answer is known.
    """
    hour = HOURS[task]
    died = outcome["died"] == "1"
    death, days = number(outcome["death_hours"]), number(outcome["hospital_days"])
    if death is not None and death <= hour:
        return Skipped(task, "died_before", f"died within {hour} h")
    if (number(outcome["icu_hours"]) or 0.0) < hour:
        return Skipped(task, "left_before", f"left the unit, or nothing says when, within {hour} h")
    options = card.tasks[task].options or ()
    match task:
        case "survive_48h":
            left = number(outcome["left_hours"])
            if not died and (left is None or left < _HORIZON):
                return Skipped(task, "discharged", "left the hospital alive within 48 h")
            return [options[1] if death is None or death >= _HORIZON else options[0]]
        case "mortality":
            return [options[int(died)]]
        case "length_of_stay":
            if died or days is None:
                return Skipped(task, "died" if died else "no_time", "there is no discharge")
            return [options[sum(days >= bound for bound in DAYS)]]
    codes = [tuple(code.split(":", 1)) for code in (outcome["codes"] or "").split()]
    if task == "principal_diagnosis":
        return _principal(codes, task)
    held = {name for version, prefix, name in CONDITIONS if _coded(codes, version, prefix)}
    return sorted(held) or Skipped(task, "none_coded", "no code is of the conditions asked for")


def _coded(codes: Sequence[tuple[str, ...]], version: str, prefix: str) -> bool:
    """Codes of the two versions collide, so a code is one of its version only."""
    return any(own == version and code.startswith(prefix) for own, code in codes)


def _principal(codes: Sequence[tuple[str, ...]], task: str) -> list[str] | Skipped:
    if not codes:
        return Skipped(task, "no_code", "the admission has no diagnosis")
    version, code = codes[0]
    for own, first, last, chapter in CHAPTERS:
        if own == version and first <= code[:3] <= last:
            return [chapter]
    return Skipped(task, "no_chapter", f"ICD-{version} {code} is of no chapter asked for")
