"""Questions of a step with what the policy was shown and what it answered, to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.description.samples import records_by_id
from qoqdata.drawing.record_figures import answer_text
from qoqdata.drawing.samples import DrawnFigure, draw_record
from qoqdata.publication.licences import shown_form
from qoqtrain.rewards import PARTS

#: Questions of a domain and of a step, figures of a question, their longer side in pixels.
OF_A_DOMAIN, OF_A_STEP, FIGURES, SIDE = 2, 24, 2, 352
#: Characters of a question that are shown.
TEXT = 1500


@dataclass(frozen=True)
class AnsweredQuestion:
    """A question with its `rollouts`, rows of the run's table; what the record has is empty, and
    `note` says why, where it cannot be shown."""

    id: str
    domain: str
    source: str
    rollouts: Sequence[Mapping[str, Any]]
    figures: Sequence[DrawnFigure] = ()
    layers: Sequence[tuple[str, int]] = ()
    question: str = ""
    answer: str = ""
    note: str = ""

    @property
    def tied(self) -> bool:
        """Whether all its rollouts earn alike, so that nothing is learned from it."""
        return len({row["overall"] for row in self.rollouts}) == 1


def choose_questions(rollouts: pl.DataFrame) -> list[str]:
    """Ids of a few questions of each domain: of those whose rollouts differ before others, the one
    with the largest advantage first; in order of domain."""
    groups = (
        rollouts.group_by("domain", "id")
        .agg(
            tied=pl.col("overall").n_unique() == 1,
            size=-pl.col("advantage").abs().max(),
        )
        .sort("domain", "tied", "size", "id")
        .with_columns(turn=pl.int_range(pl.len()).over("domain"))
        .filter(pl.col("turn") < OF_A_DOMAIN)
    )
    kept = groups.sort("turn", "domain").head(OF_A_STEP)
    return kept.sort("domain", "turn")["id"].to_list()


def answered_questions(
    rollouts: pl.DataFrame, dataset: Dataset | None, *, outside: bool = False
) -> list[AnsweredQuestion]:
    """The chosen questions of a step's rollouts with their records from the data set.

    Without a data set rollouts stand alone. `outside`: the page is passed on, so questions of
    sources whose terms do not let their images stand on it are not shown at all. Raises
    DatasetError for a shard that cannot be read.
    """
    chosen = choose_questions(rollouts)
    records: dict[str, dict[str, Any]] = {}
    if dataset is not None:
        records = {record["id"]: record for record in records_by_id(dataset, chosen)}
    shown = []
    for id_ in chosen:
        rows = rollouts.filter(pl.col("id") == id_).sort("rollout").to_dicts()
        record = records.get(id_)
        if outside and (record is None or dataset is None or not _open(dataset, record)):
            continue
        domain, source = rows[0]["domain"], rows[0].get("source") or ""
        if record is None or dataset is None:
            note = "the record is not in the data set" if dataset is not None else ""
            shown.append(AnsweredQuestion(id_, domain, source, rows, note=note))
        else:
            shown.append(_with_record(dataset, record, rows))
    return shown


def _open(dataset: Dataset, record: Mapping[str, Any]) -> bool:
    return shown_form(dataset.cards[record["source"]]) == "pixels"


def _with_record(
    dataset: Dataset, record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> AnsweredQuestion:
    # Drawn over the image with the truth, as one more reader.
    claimed = [region for row in rows for region in _claims(row)]
    regions = [*(record["regions"] or ()), *claimed]
    drawn = draw_record(
        {**record, "regions": regions},
        dataset.cards[record["source"]].mask_codes,
        most=FIGURES,
        side=SIDE,
    )
    question = record["question"]
    return AnsweredQuestion(
        record["id"],
        record["domain"],
        record["source"],
        rows,
        drawn.figures,
        drawn.layers if drawn.figures else (),
        question if len(question) <= TEXT else f"{question[:TEXT]} …",
        answer_text(record),
        "" if len(drawn.figures) == drawn.of else f"{len(drawn.figures)} of {drawn.of} figures",
    )


def _claims(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The boxes that a rollout claims, as regions of a reader of its own."""
    return [
        {**box, "reader": f"rollout {row['rollout'] + 1}", "role": "claimed"}
        for box in row.get("boxes") or ()
    ]


def parts_of(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The parts of a rollout's reward that could be scored."""
    return [(part, row[part]) for part in PARTS if row.get(part) is not None]
