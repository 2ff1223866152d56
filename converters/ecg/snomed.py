"""SNOMED CT codes that headers of 12-lead ECG collections state, and what we call them.

`snomed.csv` has one row a code: its `name` in the tables that come with the data, our `label`, its
`kind`, and a `group` for statistics. The tables are the mapping of the PhysioNet/CinC Challenge
2021, for four codes ConditionNames_SNOMED-CT.csv of Chapman-Shaoxing-Ningbo, which alone lists
them, and for six the lists that others made of the headers of Georgia. Where SNOMED CT itself words
a code otherwise, the data's name counts: it is what the annotators meant.

Several codes share a label where the Challenge scores them as one (complete and plain bundle branch
blocks, the two codes of atrial and of ventricular premature beats), where one is a course of the
other that no 10 s show (paroxysmal, chronic), and where two tables code one name differently.
"""

from __future__ import annotations

import csv
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

#: The shape of waves and beats, and diagnoses, accompany a rhythm.
KINDS = ("rhythm", "morphology", "diagnosis")


@dataclass(frozen=True)
class Term:
    """What a code means: `kind` is one of KINDS, `label` an option, `group` for statistics."""

    name: str
    label: str
    kind: str
    group: str


@dataclass(frozen=True)
class Statements:
    """The labels that codes state, each once, and the codes that have none."""

    rhythms: tuple[str, ...]
    findings: tuple[str, ...]
    unknown: tuple[str, ...]


@cache
def terms() -> Mapping[str, Term]:
    """Every code of the table."""
    with Path(__file__).with_name("snomed.csv").open(encoding="utf-8", newline="") as table:
        rows = {row.pop("code"): row for row in csv.DictReader(table)}
    return MappingProxyType({code: Term(**row) for code, row in rows.items()})


def read_statements(codes: Iterable[str], offered: Container[str] | None = None) -> Statements:
    """What the codes of a header state.

    Unknown is a code that the table lacks, and one whose label is not among the `offered` ones.
    """
    stated = {code: terms().get(code) for code in codes}
    if offered is not None:
        stated = {
            code: term if term and term.label in offered else None for code, term in stated.items()
        }
    known = [term for term in stated.values() if term]
    return Statements(
        rhythms=_once(term.label for term in known if term.kind == "rhythm"),
        findings=_once(term.label for term in known if term.kind != "rhythm"),
        unknown=tuple(code for code, term in stated.items() if term is None),
    )


def _once(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))
