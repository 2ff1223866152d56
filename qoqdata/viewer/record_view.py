"""One record as its page shows it: figures with what is drawn over them, texts, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.decisions import PersonDecision, standing_decisions
from qoqdata.dataset import Dataset
from qoqdata.drawing.record_figures import RecordFigures, answer_text, record_figures
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.side_table import read_side_table
from qoqdata.statistics.difficulty import read_difficulty

#: Label states in words, by column.
STATES = (("labels", "asserted"), ("uncertain", "uncertain"), ("absent", "denied"))


@dataclass(frozen=True)
class RecordView:
    """`shown` is what is drawn of the record; `facts` and `texts` are names and values."""

    id: str
    shown: RecordFigures
    texts: list[tuple[str, str]]
    options: list[str]
    answer: str
    labels: list[tuple[str, list[str]]]
    reasoning: str
    facts: list[tuple[str, str]]
    verdicts: list[dict[str, Any]]
    findings: list[tuple[str, list[dict[str, Any]]]]
    rates: list[dict[str, Any]]
    decision: PersonDecision | None


def record_view(dataset: Dataset, record: Mapping[str, Any]) -> RecordView:
    """The view of a record as `read_records` gives it, with what side tables say of it.

    Raises DatasetError for a side table that is damaged, InputError for a mask that is.
    """
    layout = dataset.files.layout("curation")
    decisions = {line.id: line for line in standing_decisions(layout)}
    return RecordView(
        id=record["id"],
        shown=record_figures(record, dataset.cards[record["source"]].mask_codes),
        texts=[(name, record[name]) for name in ("context", "question") if record[name]],
        options=record["options"] or [],
        answer=answer_text(record),
        labels=[(state, record[name]) for name, state in STATES if record[name]],
        reasoning=record["reasoning"] or "",
        facts=_facts(record),
        verdicts=_verdicts(layout.verdicts, record["id"]),
        findings=_findings(layout, record["id"]),
        rates=_rates(dataset.files.layout("difficulty").difficulty, record["id"]),
        decision=decisions.get(record["id"]),
    )


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("source", "domain", "modality", "task", "kind", "item", "split", "patient", "study")
    more = ("age", "sex", "licence", "redistribution", "reasoning_policy")
    made = record["provenance"] or {}
    rows = [(name, record[name]) for name in (*names, *more)]
    rows += [(f"raw {n + 1}", path) for n, path in enumerate(made.get("raw") or [])]
    rows += [(name, made.get(name)) for name in ("converter", "version", "algorithm", "digest")]
    rows += [("note", note) for note in made.get("notes") or []]
    return [(name.replace("_", " "), str(value)) for name, value in rows if value is not None]


def _verdicts(path: Path, id_: str) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    fix = "run `qoqdata curate` again, or fetch the data set anew"
    own = read_side_table(path, VERDICTS, fix=fix).filter(pl.col("id") == id_)
    verdict = pl.when("keep").then(pl.lit("keep")).otherwise(pl.lit("drop"))
    return own.select("rule", "reason", "evidence", verdict=verdict).to_dicts()


def _findings(layout: Layout, id_: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows on the record in every table of findings that curation left, by the table's name."""
    tables = sorted(layout.verdicts.parent.glob("*.parquet"))
    found = []
    for path in tables:
        if path == layout.verdicts:
            continue
        try:
            rows = pl.scan_parquet(path, glob=False)
            if "id" not in rows.collect_schema():
                continue
            of_record = rows.filter(pl.col("id") == id_).drop("id").collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            what = f"cannot be read: {str(error).splitlines()[0]}"
            raise DatasetError(what, where=str(path), fix="run `qoqdata curate` again") from error
        if of_record.height:
            found.append((path.stem.replace("_", " "), of_record.to_dicts()))
    return found


def _rates(folder: Path, id_: str) -> list[dict[str, Any]]:
    """Success rate and number of rollouts by policy."""
    tables = (read_difficulty(path) for path in sorted(folder.glob("*.parquet")))
    rows = (table.filter(pl.col("id") == id_) for table in tables)
    return [row for table in rows for row in table.to_dicts()]
