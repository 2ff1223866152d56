"""Functions that say how well a policy answers, and which of two answers better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qoqdata.api.opening import DatasetLike, dataset_of
from qoqdata.boxes import BoxFrame
from qoqdata.errors import MissingKey, UsageError
from qoqdata.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from qoqtrain.evaluate.benchmarks import Benchmark
    from qoqtrain.evaluate.comparison import ScoreDifference
    from qoqtrain.evaluate.concepts import ConceptResults
    from qoqtrain.evaluate.report import EvaluationRun
    from qoqtrain.evaluate.results import Evaluation, QuestionOutcome

Split = Literal["train", "validation", "test"]
#: Where a model's answers are kept below the folder of an evaluation.
PREDICTIONS_FILE = "predictions.jsonl"


@dataclass(frozen=True)
class DatasetEvaluation:
    """What was evaluated, the figures, what became of each question, and results by concept where
    they were asked for."""

    run: EvaluationRun
    figures: Evaluation
    outcomes: list[QuestionOutcome]
    concepts: ConceptResults | None = None


@dataclass(frozen=True)
class BenchmarkEvaluation:
    """A published benchmark, and the content of its benchmark.json: `run` and `figures`."""

    benchmark: Benchmark
    result: Mapping[str, Any]


def evaluate_predictions(
    dataset: DatasetLike,
    predictions: str | Path,
    *,
    split: Split = "test",
    harmonise: str | Path | None = None,
    frame: BoxFrame = "pixels",
    bootstrap: int = 1000,
    seed: int = 0,
    out: str | Path | None = None,
) -> DatasetEvaluation:
    """Score the predictions for a split: macro-F1, balanced accuracy, AUROC, IoU and more.

    `predictions` is Parquet or JSON lines with an id and a response each, and may have scores, one
    number an option. `frame` is what boxes are written in. Records without prediction stay in
    every denominator and count as wrong. 95 % intervals come from `bootstrap` draws of patients
    (0: none). `harmonise` gives results by concept too, over sources, of the table of that name or
    file (see `qoqdata.concepts`). With `out`, figures and rows are written into that folder.

    Raises MissingFile, BadTable and DuplicateKey for predictions that cannot be read, MissingKey
    for ids that the set does not hold, UsageError for a table of concepts at fault, DatasetError
    for a split without records.
    """
    from qoqtrain import evaluate
    from qoqtrain.evaluate import report
    from qoqtrain.evaluate.concepts import by_concept

    target, path = dataset_of(dataset), Path(predictions)
    table = None if harmonise is None else target.concepts(harmonise)
    answers = evaluate.read_predictions(path)
    target.refuse_unknown(answers, of="prediction", where=str(path), error=MissingKey)
    outcomes = evaluate.judge(evaluate.questions_of(target, split), answers, frame=frame)
    figures = evaluate.summarise(outcomes, bootstrap=bootstrap, seed=seed)
    run = report.run_of(target, path, answers, outcomes, split=split, frame=frame)
    concepts = None if table is None else by_concept(outcomes, table)
    if out is not None:
        report.write_evaluation(Path(out), run, figures, outcomes, concepts)
    return DatasetEvaluation(run, figures, outcomes, concepts)


def evaluate_model(
    dataset: DatasetLike,
    model: str | Path,
    *,
    split: Split = "test",
    harmonise: str | Path | None = None,
    predictions: str | Path | None = None,
    max_tokens: int = 1024,
    batch: int = 8,
    bootstrap: int = 1000,
    seed: int = 0,
    out: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> DatasetEvaluation:
    """Let a model answer a split, greedily, and score what it says as `evaluate_predictions` does.

    `model` is a folder or a name on the Hub; it runs on a GPU where there is one. Its answers go to
    the file `predictions`, or into the folder `out`; those that are there already are kept, so that
    an interrupted evaluation loses one batch. `progress` hears of questions answered.

    Raises UsageError without a place for the answers, for a table of concepts at fault, for a model
    that cannot be loaded and for a split without records.
    """
    import torch

    from qoqtrain.api.notices import quiet_libraries
    from qoqtrain.evaluate.answering import AnswerSettings, answer
    from qoqtrain.model.loading import load_policy

    target, path = dataset_of(dataset), _place(predictions, out)
    if harmonise is not None:
        # Before the model answers, which takes longest.
        target.concepts(harmonise)
    with quiet_libraries():
        policy, processor = load_policy(model)
        policy.to("cuda" if torch.cuda.is_available() else "cpu")
        settings = AnswerSettings(max_tokens=max_tokens, batch=batch)
        # The family of the model says what its boxes are in.
        frame = answer(target, split, policy, processor, path, settings, progress or silent)
    return evaluate_predictions(
        target,
        path,
        split=split,
        harmonise=harmonise,
        frame=frame,
        bootstrap=bootstrap,
        seed=seed,
        out=out,
    )


def evaluate_benchmark(
    rules: str,
    questions: str | Path | None,
    predictions: str | Path,
    *,
    dataset: DatasetLike | None = None,
    split: Split = "test",
    out: str | Path | None = None,
) -> BenchmarkEvaluation:
    """Score predictions for a published benchmark, by the rules that it is published with.

    `rules` is a name in `qoqtrain.evaluate.benchmarks.BENCHMARKS`, `questions` the benchmark's own
    file; without it, those of a `split` of a `dataset` that was built of it, whose predictions name
    records. With `out`, figures and rows are written into that folder.

    Raises UsageError for another name and for another data set, MissingFile, BadTable and
    DuplicateKey for files that cannot be read, MissingKey for ids that the set does not hold.
    """
    from qoqdata.atomic import file_digest
    from qoqtrain.evaluate import benchmarks, read_predictions
    from qoqtrain.evaluate.benchmarks.figures import benchmark_json, write_benchmark_report

    benchmark = benchmarks.benchmark_of(rules)
    answers = read_predictions(Path(predictions))
    if (questions is None) == (dataset is None):
        fix = "name the benchmark's own file, or a data set that was built of it"
        raise UsageError("a benchmark has its questions from one place", fix=fix)
    if questions is not None:
        items = benchmarks.read_items(Path(questions), benchmark)
        digest = file_digest(Path(questions))
    else:
        assert dataset is not None
        target = dataset_of(dataset)
        target.refuse_unknown(answers, of="prediction", where=str(predictions), error=MissingKey)
        items = benchmarks.items_of_records(target, split, benchmark)
        digest = target.manifest.digest
    verdicts = benchmarks.judge_items(items, answers, benchmark)
    result = benchmark_json(benchmark, digest, Path(predictions), answers, verdicts)
    if out is not None:
        write_benchmark_report(Path(out), result, verdicts)
    return BenchmarkEvaluation(benchmark, result)


def compare(
    first: str | Path, second: str | Path, *, bootstrap: int = 1000, seed: int = 0
) -> list[ScoreDifference]:
    """What the second of two evaluations does better or worse, with a paired bootstrap by patient.

    Each is an evaluation.json with the per_record.parquet that was written beside it. Raises
    UsageError for two of another data set or split, MissingFile and BadTable for other files.
    """
    from qoqtrain.evaluate import comparison
    from qoqtrain.evaluate.report import read_run

    (one, before), (other, after) = read_run(Path(first)), read_run(Path(second))
    for fact in ("dataset", "split"):
        if one.get(fact) != other.get(fact):
            fix = "evaluate both on the same"
            raise UsageError(f"the two are of another {fact}", where=str(second), fix=fix)
    return comparison.compare(before, after, bootstrap=bootstrap, seed=seed)


def _place(predictions: str | Path | None, out: str | Path | None) -> Path:
    """The file of the model's answers, in a folder that exists."""
    if predictions is not None:
        path = Path(predictions)
    elif out is not None:
        path = Path(out) / PREDICTIONS_FILE
    else:
        fix = "name a file with --predictions, or a folder with --out"
        raise UsageError("the model's answers need a place", fix=fix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
