"""An evaluation on disk: evaluation.json and per_record.parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qoqdata.atomic import file_digest, write_json
from qoqdata.dataset import Dataset
from qoqdata.manifest import shards_digest
from qoqtrain.evaluate.outcome import QuestionOutcome, write_outcomes
from qoqtrain.evaluate.predictions import Prediction
from qoqtrain.evaluate.results import Evaluation

FIGURES, RECORDS = "evaluation.json", "per_record.parquet"


@dataclass(frozen=True)
class EvaluationRun:
    """What was evaluated.

    dataset      sha256 over its shards
    predictions  sha256 of the predictions file
    beside       predictions of records that are not asked: of another split, dropped by curation,
                 or showing nothing
    """

    dataset: str
    split: str
    predictions: str
    frame: str
    beside: int


def run_of(
    dataset: Dataset,
    path: Path,
    predictions: dict[str, Prediction],
    outcomes: Sequence[QuestionOutcome],
    *,
    split: str,
    frame: str,
) -> EvaluationRun:
    """The facts of a run over the predictions file at `path`."""
    asked = sum(outcome.id in predictions for outcome in outcomes)
    return EvaluationRun(
        dataset=shards_digest(dataset.manifest.shards),
        split=split,
        predictions=file_digest(path),
        frame=frame,
        beside=len(predictions) - asked,
    )


def as_json(run: EvaluationRun, evaluation: Evaluation) -> dict[str, Any]:
    """The run and its figures as JSON values."""
    return {"run": asdict(run), **asdict(evaluation)}


def write_evaluation(
    folder: Path, run: EvaluationRun, evaluation: Evaluation, outcomes: Sequence[QuestionOutcome]
) -> None:
    """Write both files into `folder`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_outcomes(folder / RECORDS, outcomes)
    write_json(folder / FIGURES, as_json(run, evaluation))
