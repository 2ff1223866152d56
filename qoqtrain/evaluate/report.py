"""An evaluation on disk: evaluation.json, per_record.parquet, and one figure as an image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from qoqdata.atomic import file_digest, replacing, write_json
from qoqdata.dataset import Dataset
from qoqdata.errors import BadTable, MissingFile, UsageError
from qoqdata.manifest import shards_digest
from qoqdata.parquet_memory import require_memory
from qoqtrain.evaluate.concepts import ConceptResults
from qoqtrain.evaluate.predictions import Prediction
from qoqtrain.evaluate.results import Evaluation, QuestionOutcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES_FILE, RECORDS_FILE = "evaluation.json", "per_record.parquet"
#: Image formats, by the end of the file's name.
FORMATS = ("png", "svg", "pdf")

_LISTS = {"options": pl.String, "truth": pl.String, "labels": pl.String, "scores": pl.Float64}
_NUMBERS = dict.fromkeys(
    ("credit", "value", "number", "error", "iou", "matched", "token_f1", "rouge_l"), pl.Float64
)
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    **{field.name: pl.String for field in fields(QuestionOutcome)},
    **{name: pl.List(kind) for name, kind in _LISTS.items()},
    **_NUMBERS,
    "age": pl.Int64,
    "correct": pl.Boolean,
}


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
    count = sum(outcome.id in predictions for outcome in outcomes)
    return EvaluationRun(
        dataset=shards_digest(dataset.manifest.shards),
        split=split,
        predictions=file_digest(path),
        frame=frame,
        beside=len(predictions) - count,
    )


def evaluation_json(
    run: EvaluationRun, evaluation: Evaluation, concepts: ConceptResults | None = None
) -> dict[str, Any]:
    """The run and its figures as JSON values, with `concepts` where results go by them too."""
    by_concept = {} if concepts is None else {"concepts": asdict(concepts)}
    return {"run": asdict(run), **asdict(evaluation), **by_concept}


def write_evaluation(
    folder: Path,
    run: EvaluationRun,
    evaluation: Evaluation,
    outcomes: Sequence[QuestionOutcome],
    concepts: ConceptResults | None = None,
) -> None:
    """Write both files into `folder`, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_outcomes(folder / RECORDS_FILE, outcomes)
    write_json(folder / FIGURES_FILE, evaluation_json(run, evaluation, concepts))


def read_run(path: Path) -> tuple[dict[str, Any], list[QuestionOutcome]]:
    """The facts of the run and its outcomes, from an evaluation.json with its rows beside it.

    Raises MissingFile and BadTable.
    """
    try:
        run = json.loads(path.read_bytes())["run"]
    except FileNotFoundError as error:
        fix = "evaluate with --out"
        raise MissingFile("there is no such file", where=str(path), fix=fix) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadTable("is no evaluation.json", where=str(path)) from error
    if not isinstance(run, dict):
        raise BadTable("is no evaluation.json", where=str(path))
    return run, read_outcomes(path.with_name(RECORDS_FILE))


def write_outcomes(path: Path, outcomes: Sequence[QuestionOutcome]) -> None:
    """Write one Parquet row a question, columns as in `QuestionOutcome`."""
    rows = (asdict(outcome) for outcome in outcomes)
    with replacing(path) as draft:
        pl.DataFrame(list(rows), schema=SCHEMA).write_parquet(draft, compression="zstd")


def read_outcomes(path: Path) -> list[QuestionOutcome]:
    """The rows of `write_outcomes`. Raises MissingFile and BadTable."""
    if not path.is_file():
        raise MissingFile("there is no such file", where=str(path), fix="evaluate with --out")
    try:
        require_memory(path)
        table = pl.read_parquet(path, columns=list(SCHEMA), glob=False).cast(SCHEMA)  # type: ignore[arg-type]
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be read as outcomes: {reason}", where=str(path)) from error
    return [_outcome(row) for row in table.iter_rows(named=True)]


def _outcome(row: dict[str, Any]) -> QuestionOutcome:
    lists = {name: None if row[name] is None else tuple(row[name]) for name in _LISTS}
    return QuestionOutcome(**{**row, **lists})


def write_plot(path: Path, evaluation: Evaluation, metric: str = "macro_f1") -> None:
    """Draw `figure_of` into a file. Raises UsageError for another format or without matplotlib."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        fix = f"end the name with one of {', '.join(FORMATS)}"
        raise UsageError("is no name of an image", where=str(path), fix=fix)
    figure = figure_of(evaluation, metric)
    with replacing(path) as draft:
        figure.savefig(draft, format=kind, dpi=150)


def figure_of(evaluation: Evaluation, metric: str = "macro_f1") -> Figure:
    """A figure with one line a domain where the metric is defined, and the overall one at the top.

    Dots are values, bars 95 % intervals. Raises UsageError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        fix = "install the extra: pip install 'qoqdata[plot]'"
        raise UsageError("a plot needs matplotlib", fix=fix) from error
    rows = [("overall", evaluation.metrics[metric])]
    rows += [(domain.domain, domain.metrics[metric]) for domain in evaluation.domains]
    rows = [(name, estimate) for name, estimate in rows if estimate.value is not None][::-1]
    values = [estimate.value for _, estimate in rows if estimate.value is not None]
    figure = Figure(figsize=(6, 1 + 0.35 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (_, estimate) in enumerate(rows):
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [place, place], color="tab:blue")
    axes.plot(values, range(len(rows)), "o", color="tab:blue")
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name, _ in rows])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlabel(metric.replace("_", " "))
    axes.grid(axis="x", alpha=0.3)
    return figure
