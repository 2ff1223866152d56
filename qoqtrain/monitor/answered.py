"""Questions of a step with what the policy was shown and what it answered, to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import polars as pl

from qoqdata.dataset import Dataset
from qoqdata.description.samples import records_by_id, screened
from qoqdata.drawing.record_figures import answer_text
from qoqdata.drawing.samples import DrawnFigure, draw_record
from qoqdata.publication.licences import shown_form
from qoqtrain.rewards import PARTS

#: Questions of a domain and of a step, figures of a question, their longer side in pixels.
OF_A_DOMAIN, OF_A_STEP, FIGURES, SIDE = 2, 24, 2, 352
#: Who reads a page: whoever serves it, people of the house, anybody it is passed on to.
Reader = Literal["server", "house", "outside"]
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
    rollouts: pl.DataFrame, dataset: Dataset | None, *, reader: Reader = "server"
) -> list[AnsweredQuestion]:
    """The chosen questions of a step's rollouts with their records from the data set.

    Without a data set rollouts stand alone. What leaves the server is screened as a report is: text
    burned into images is made black, and a record that a verdict drops is not shown at all; what
    leaves the house shows neither questions of sources whose terms keep their images in it nor
    records with findings that nobody has settled. Raises DatasetError for a shard that cannot be
    read.
    """
    chosen = choose_questions(rollouts)
    if dataset is None:
        return [_alone(rollouts, id_) for id_ in chosen if reader != "outside"]
    change, refused = _screen(dataset, chosen, reader)
    records = {record["id"]: record for record in records_by_id(dataset, chosen)}
    shown = []
    for id_ in chosen:
        record = records.get(id_)
        if id_ in refused or (record is None and reader == "outside"):
            continue
        if record is None:
            note = "the record is not in the data set"
            shown.append(replace(_alone(rollouts, id_), note=note))
        elif reader != "outside" or _open(dataset, record):
            shown.append(_with_record(dataset, change(record), _rows(rollouts, id_)))
    return shown


def _screen(
    dataset: Dataset, chosen: Sequence[str], reader: Reader
) -> tuple[Callable[[Mapping[str, Any]], dict[str, Any]], set[str]]:
    """What is done to records before they are shown, and ids of those that are not."""
    if reader == "server":
        return dict, set()
    change, unsettled = screened(dataset)
    known = dataset.metadata(["id"]).filter(pl.col("id").is_in(chosen))["id"]
    lost = set(known) - set(dataset.kept(["id"]).filter(pl.col("id").is_in(known.implode()))["id"])
    return change, lost | (set(unsettled) if reader == "outside" else set())


def _rows(rollouts: pl.DataFrame, id_: str) -> list[dict[str, Any]]:
    return rollouts.filter(pl.col("id") == id_).sort("rollout").to_dicts()


def _alone(rollouts: pl.DataFrame, id_: str) -> AnsweredQuestion:
    rows = _rows(rollouts, id_)
    return AnsweredQuestion(id_, rows[0]["domain"], rows[0].get("source") or "", rows)


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
