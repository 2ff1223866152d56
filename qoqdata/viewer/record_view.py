"""One record as its page shows it: figures with what is drawn over them, texts, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qoqdata.curation.decision_log import PersonDecision, standing_decisions
from qoqdata.curation.lineage import record_findings, record_rates, record_verdicts
from qoqdata.drawing.record_figures import RecordFigures, answer_text, record_figures
from qoqdata.viewer.answered import ShownRollout, shown_rollouts
from qoqdata.viewer.viewed import Viewed

#: Label states in words, by column.
STATES = (("labels", "asserted"), ("uncertain", "uncertain"), ("absent", "denied"))


@dataclass(frozen=True)
class RecordView:
    """`shown` is what is drawn of the record, `windows` what each image can be shown through from
    its raw file; `facts` and `texts` are names and values."""

    id: str
    kind: str
    shown: RecordFigures
    windows: list[tuple[str, ...]]
    texts: list[tuple[str, str]]
    options: list[str]
    answer: str
    labels: list[tuple[str, list[str]]]
    reasoning: str
    facts: list[tuple[str, str]]
    verdicts: list[dict[str, Any]]
    findings: list[tuple[str, list[dict[str, Any]]]]
    rates: list[dict[str, Any]]
    rollouts: list[ShownRollout]
    decision: PersonDecision | None


def record_view(viewed: Viewed, record: Mapping[str, Any]) -> RecordView:
    """The view of a record as `read_records` gives it, with what side tables say of it.

    Raises DatasetError for a side table that is damaged, InputError for a mask that is.
    """
    dataset = viewed.dataset
    layout = dataset.files.layout("curation")
    decisions = {line.id: line for line in standing_decisions(layout)}
    return RecordView(
        id=record["id"],
        kind=record["kind"],
        windows=[viewed.raw.presets(record, n) for n in range(len(record["images"] or ()))],
        shown=record_figures(record, viewed.mask_names(record["source"])),
        texts=[(name, record[name]) for name in ("context", "question") if record[name]],
        options=record["options"] or [],
        answer=answer_text(record),
        labels=[(state, record[name]) for name, state in STATES if record[name]],
        reasoning=record["reasoning"] or "",
        facts=_facts(record),
        verdicts=record_verdicts(layout, record["id"]),
        findings=record_findings(layout, record["id"]),
        rates=record_rates(dataset.files.layout("difficulty"), record["id"]),
        rollouts=shown_rollouts(viewed.rollouts, record["id"]),
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
