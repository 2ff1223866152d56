"""qoqtrain evaluate: how well a policy answers the questions of a split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

import qoqtrain
from qoqdata import command_line, console
from qoqdata.answer_format import IN_SHORT
from qoqdata.boxes import BoxFrame
from qoqdata.errors import UsageError
from qoqtrain.api.evaluating import Split

if TYPE_CHECKING:
    from qoqtrain.api.evaluating import BenchmarkEvaluation
    from qoqtrain.evaluate.concepts import ConceptResults
    from qoqtrain.evaluate.report import EvaluationRun
    from qoqtrain.evaluate.results import (
        AnswerCounts,
        DemographicGroups,
        Estimate,
        Estimates,
        Evaluation,
    )

EPILOG = """Example:  qoqtrain evaluate --data ./set --predictions answers.jsonl --out ./figures

A model:  qoqtrain evaluate --data ./set --model ./run/model --out ./figures

A benchmark:  qoqtrain evaluate --rules slake --questions test.json --predictions answers.jsonl

Of a set that holds it:  qoqtrain evaluate --rules slake --data ./set --predictions answers.jsonl

Each prediction has an id and a response, and may have scores: one number an option."""


#: Figures of the table; all others are in the JSON.
SHOWN = (
    *("macro_f1", "balanced_accuracy", "accuracy", "auroc", "credit", "quadratic_kappa", "iou"),
    "rouge_l",
)


#: What a row of the table stands for.
Rows = Literal["source", "domain"]


def add(app: typer.Typer) -> None:
    app.command("evaluate", epilog=EPILOG)(evaluate_command)


def evaluate_command(
    predictions: Annotated[
        Path | None, typer.Option(help="Predictions, Parquet or JSON lines.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="The data set's folder or URL.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A model that answers first: folder or name on the Hub.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer of the model.")] = 1024,
    batch: Annotated[int, typer.Option(min=1, help="Questions that it answers at once.")] = 8,
    rules: Annotated[
        str | None, typer.Option(help="Score a published benchmark instead, by its rules.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="The benchmark's question file, with --rules.")
    ] = None,
    split: Annotated[Split, typer.Option(help="The split whose questions count.")] = "test",
    by: Annotated[Rows, typer.Option(help="Rows of the table.")] = "source",
    harmonise: Annotated[
        str | None, typer.Option(help="Labels by concept too: a table's name, or its CSV file.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Replicates; 0: no intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    frame: Annotated[BoxFrame, typer.Option(help="What boxes are written in.")] = "pixels",
    out: Annotated[Path | None, typer.Option(help="Folder for the figures and rows.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Image of macro-F1 by domain.")] = None,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Score predictions: macro-F1, balanced accuracy, AUROC, IoU, with intervals by patient.

    Records without prediction stay in every denominator and count as wrong. Where more than half of
    the responses are no answers in the form that prompts ask for, the exit code is 1.
    """
    if rules is not None or questions is not None:
        places = (questions is None) + (data is None)
        if rules is None or predictions is None or harmonise is not None or places != 1:
            fix = "add --predictions, and one of --questions and --data; leave --harmonise out"
            raise UsageError("--rules, --questions and --predictions go together", fix=fix)
        with console.working("scoring", quiet=json):
            benchmark = qoqtrain.evaluate_benchmark(
                rules, questions, predictions, dataset=data, split=split, out=out
            )
        if json:
            console.emit_json(benchmark.result)
        else:
            show_benchmark(benchmark)
        return
    if data is None:
        raise UsageError("there is nothing to evaluate", fix="pass --data, or --rules")
    if model is not None:
        with console.counter("answers") as progress:
            evaluation = qoqtrain.evaluate_model(
                data,
                model,
                split=split,
                harmonise=harmonise,
                predictions=predictions,
                max_tokens=max_tokens,
                batch=batch,
                bootstrap=bootstrap,
                seed=seed,
                out=out,
                progress=progress,
            )
    elif predictions is not None:
        with console.working("scoring", quiet=json):
            evaluation = qoqtrain.evaluate_predictions(
                data,
                predictions,
                split=split,
                harmonise=harmonise,
                frame=frame,
                bootstrap=bootstrap,
                seed=seed,
                out=out,
            )
    else:
        raise UsageError("there is nothing to score", fix="pass --predictions or --model")
    if plot is not None:
        from qoqtrain.evaluate.report import write_plot

        write_plot(plot, evaluation.figures)
    if json:
        from qoqtrain.evaluate.report import evaluation_json

        console.emit_json(evaluation_json(evaluation.run, evaluation.figures, evaluation.concepts))
    else:
        show(evaluation.figures, evaluation.run, by)
        if evaluation.concepts is not None:
            show_concepts(evaluation.concepts)
        if out is not None:
            console.say(f"\nfigures and rows: {out}")
    counts = evaluation.figures.counts
    if counts.mostly_unparsable:
        console.complain(
            f"{counts.unparsable:.0%} of the responses are no answers that can be read, so these"
            f" figures say nothing of what they mean. Fix: ask for {IN_SHORT}, as `qoqdata export`"
            " and training do"
        )
        command_line.leave(command_line.FINDINGS)


def show_benchmark(evaluation: BenchmarkEvaluation) -> None:
    """The figures of all questions and of each group, and what they rest on."""
    benchmark, result = evaluation.benchmark, evaluation.result
    console.say(benchmark.title)
    groups = result["figures"]["groups"]
    heads = [name for name, value in result["figures"].items() if not isinstance(value, dict | str)]
    rows = [("all", result["figures"])]
    rows += [(f"{name}: {value}", row) for name in groups for value, row in groups[name].items()]
    console.table(
        ("", *_heads(heads)), [(name, *(row[head] for head in heads)) for name, row in rows]
    )
    console.say("\nmissing and unparsable responses count as wrong")
    if result["run"]["beside"]:
        console.say(f"{result['run']['beside']:,} predictions are of questions that are not asked")
    console.say(f"note: {benchmark.note}")


def show(evaluation: Evaluation, run: EvaluationRun, by: Rows) -> None:
    """The table of the levels, the groups, and what the figures rest on."""
    metrics = [name for name in SHOWN if evaluation.metrics[name].value is not None]
    rows: list[tuple[str, AnswerCounts, Estimates]] = [
        ("overall", evaluation.counts, evaluation.metrics),
        ("(over sources)", evaluation.counts, evaluation.over_sources),
    ]
    for domain in evaluation.domains:
        if by == "domain":
            rows.append((domain.domain, domain.counts, domain.metrics))
        else:
            rows += [(one.source, one.counts, one.metrics) for one in domain.sources]
    heads = (by, "records", "patients", "missing", "unparsable", *_heads(metrics))
    console.table(
        heads, [_row(name, counts, estimates, metrics) for name, counts, estimates in rows]
    )
    show_tasks(evaluation)
    for attribute, groups in evaluation.demographics.items():
        console.say()
        show_groups(attribute, groups, metrics)
    console.say(f"\n{evaluation.rule}")
    console.say("overall: each domain counts once; (over sources): each source counts once")
    console.say("missing predictions count as wrong; unparsable: share of the responses given")
    if evaluation.bootstrap:
        console.say(f"(low-high): 95 %, {evaluation.bootstrap:,} bootstrap draws of patients")
    if run.beside:
        console.say(f"{run.beside:,} predictions are of records that are not asked here")


def show_tasks(evaluation: Evaluation) -> None:
    """One row a task of numbers or choices: its error in its unit, its accuracy and chance's."""
    rows: list[list[Any]] = []
    for domain in evaluation.domains:
        for source in domain.sources:
            for task in source.tasks:
                if task.kind not in ("choice", "number"):
                    continue
                number = task.number
                error = number and _written(number.mean_absolute_error)
                unit, answers = (number.unit, number.answers) if number else (None, None)
                accuracy = _written(task.metrics["accuracy"])
                name = f"{source.source}, {task.task}"
                rows.append([name, task.kind, accuracy, task.chance, error, unit, answers])
    if rows:
        console.say()
        heads = ("task", "kind", "accuracy", "chance", "mean absolute error", "in", "over")
        console.table(heads, rows)


def show_concepts(results: ConceptResults) -> None:
    """One row a concept over all its sources, then the labels that have none."""
    figures = ("records", "support", "answered", "precision", "recall", "specificity", "f1")
    console.say()
    console.table(
        ("concept", "code", *figures, "sources"),
        [
            (
                one.concept,
                one.code,
                *(getattr(one.pooled, name) for name in figures),
                ", ".join(one.sources),
            )
            for one in results.concepts
        ],
    )
    if results.without_concept:
        console.say()
        console.table(
            ("label without a concept", "source", *figures[:3]),
            [
                (one.label, one.source, one.records, one.support, one.answered)
                for one in results.without_concept
            ],
        )


def show_groups(attribute: str, groups: DemographicGroups, metrics: list[str]) -> None:
    """One row a group, then the gaps; figures rest on the sources that have every group."""
    rows: list[list[Any]] = [
        [group.name, group.records, group.patients, *(group.metrics[name] for name in metrics)]
        for group in groups.groups
    ]
    if len(groups.groups) > 1:
        rows.append(["gap", None, None, *(groups.gaps[name] for name in metrics)])
    if groups.unknown:
        rows.append(["not recorded", groups.unknown, None, *(None for _ in metrics)])
    heads = (attribute, "records", "patients", *_heads(metrics))
    console.table(heads, rows)
    console.say(f"over the sources with every group: {', '.join(groups.sources) or 'none'}")


def _heads(metrics: list[str]) -> list[str]:
    return [name.replace("_", " ") for name in metrics]


def _row(name: str, counts: AnswerCounts, estimates: Estimates, metrics: list[str]) -> list[Any]:
    cells = [_written(estimates[metric]) for metric in metrics]
    return [name, counts.records, counts.patients, counts.missing, counts.unparsable, *cells]


def _written(estimate: Estimate) -> str | float | None:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate.value
    return f"{estimate.value:.2f} ({estimate.low:.2f}-{estimate.high:.2f})"
