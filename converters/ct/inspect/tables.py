"""The tables of INSPECT, whose names differ between releases, joined by the impression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qoqdata.errors import BadLabel, BadTable, DuplicateKey, MissingFile, MissingKey
from qoqdata.sources.cells import text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Job

#: Names of each table by release, the newest first.
MAPPING = ("study_mapping*.tsv", "Final_metadata*.csv")
LABELS = ("labels_*.tsv", "Final_labels*.csv", "Final_Impressions_labels*.csv")
SPLITS = ("splits_*.tsv", "Final_splits*.csv")
REPORTS = ("impressions_*.tsv", "Final_Impressions.csv")
IMPRESSION, PERSON, IMAGE = "impression_id", "person_id", "image_id"

EMBOLISM = ("pe_positive_nlp", "pe_positive")
#: Tasks about embolism that is there, and their columns.
DETAILS = {"acuity": "pe_acute", "extent": "pe_subsegmentalonly"}
OUTCOMES = {
    **{f"mortality_{months}_month": f"{months}_month_mortality" for months in (1, 6, 12)},
    **{f"readmission_{months}_month": f"{months}_month_readmission" for months in (1, 6, 12)},
    "hypertension_12_month": "12_month_PH",
}
_WORDS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
CENSORED = "censored"


@dataclass(frozen=True)
class ReleaseTable:
    """Rows of one table by impression, and the columns that this release of it has."""

    path: str
    columns: frozenset[str]
    rows: Mapping[str, list[Row]]

    def row(self, impression: str) -> Row:
        """The row of an impression; raises MissingKey without one, DuplicateKey for several."""
        rows = self.rows.get(impression, [])
        if len(rows) != 1:
            kind = DuplicateKey if rows else MissingKey
            raise kind(f"{self.path} has {len(rows)} rows of it", where=impression)
        return rows[0]


def read_table(job: Job, patterns: tuple[str, ...], *columns: str) -> ReleaseTable:
    """The table of the newest release that is there; rows that are the same twice count once.

    Raises MissingFile, and BadTable for several and for one without `columns`.
    """
    path = _only(job, patterns)
    separator = "\t" if path.endswith(".tsv") else ","
    table = job.raw.csv(path, columns=(IMPRESSION, *columns), separator=separator)
    rows = rows_by_key(table.unique(maintain_order=True), IMPRESSION, where=path)
    return ReleaseTable(path, frozenset(table.columns), rows)


def _only(job: Job, patterns: tuple[str, ...]) -> str:
    """The one table of the newest release that is there."""
    for pattern in patterns:
        found = job.raw.files(pattern)
        if len(found) > 1:
            fix = "keep those of one release"
            raise BadTable(f"there are {len(found)} such tables", where=found[1], fix=fix)
        if found:
            return found[0]
    raise MissingFile("is not there", where=patterns[0], fix="fetch the release's tables")


def asserted(row: Mapping[str, str | None], column: str) -> bool | str | None:
    """True, False, `CENSORED`, or None for an empty cell; raises BadLabel for another word."""
    word = text(row.get(column))
    if word is None:
        return None
    if word.lower().startswith("censor"):
        return CENSORED
    if (value := _WORDS.get(word.lower())) is None:
        raise BadLabel(f"{column} is {word!r}", where=row.get(IMPRESSION))
    return value
