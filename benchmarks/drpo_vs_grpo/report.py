"""Tables of a finished or half-finished sweep, written into a page between two marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drpo_vs_grpo.arms import ABLATIONS, ARMS, MAIN
from benchmarks.drpo_vs_grpo.domains import DOMAINS, World
from benchmarks.drpo_vs_grpo.evaluation import mean_f1, worst_f1
from benchmarks.drpo_vs_grpo.figures import (
    Row,
    curve,
    interval,
    paired,
    reaches,
    relative,
    runs_of,
)
from benchmarks.drpo_vs_grpo.sweep import FIXED, Plan, choices
from qoqdata.errors import UsageError

BEGIN, END = "<!-- results -->", "<!-- end of results -->"


def _mean(row: Row) -> float:
    return mean_f1(row["test"])


def _worst(row: Row) -> float:
    return worst_f1(row["test"])


def _accuracy(row: Row) -> float:
    return float(np.mean([figure["accuracy"] for figure in row["test"].values()]))


def markdown(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main_table(rows: Sequence[Row], world: World) -> str:
    """Each arm of the main comparison: mean and worst F1, against GRPO, and where it gets early."""
    grpo = runs_of(rows, world, "grpo")
    lines = []
    for arm in ("base", *MAIN):
        runs = runs_of(rows, world, arm)
        if not runs:
            continue
        title = "before training" if arm == "base" else ARMS[arm].title
        against = early = ess = "-"
        if arm not in ("base", "grpo"):
            against = _gap(runs, rows, world, arm, "grpo")
        if arm != "base":
            ess = f"{np.mean([row['ess'] for row in runs.values()]):.3f}"
            levels = {seed: curve(row)[1][-1] for seed, row in grpo.items()}
            early = _early([reaches(row, levels[s]) for s, row in runs.items() if s in levels])
        means, worst = interval(map(_mean, runs.values())), interval(map(_worst, runs.values()))
        right = interval(map(_accuracy, runs.values()))
        lines.append((title, len(runs), means, worst, right, against, early, ess))
    columns = ("", "seeds", "mean F1", "worst domain", "accuracy", "mean F1 against GRPO")
    return markdown((*columns, "batch", "ESS"), lines)


def world_table(rows: Sequence[Row], worlds: Sequence[World], arms: Sequence[str]) -> str:
    """Mean F1 of the compared arms in every world at both fixed rates, and the gap to GRPO."""
    lines = []
    for world in worlds:
        for choice in FIXED:
            grpo = runs_of(rows, world, "grpo", choice)
            if not grpo:
                continue
            setting = (world.skew, world.contrast, choice.rate, len(grpo))
            cells = [f"{value:g}" for value in setting]
            base = runs_of(rows, world, "base").items()
            cells.append(str(interval(_mean(row) for seed, row in base if seed in grpo)))
            for arm in arms:
                runs = runs_of(rows, world, arm, choice)
                cells.append(_cell(runs, grpo, plain=arm == "grpo"))
            lines.append(cells)
    columns = ("skew", "contrast", "rate", "seeds", "before")
    return markdown((*columns, *(ARMS[arm].title for arm in arms)), lines)


def ablation_table(rows: Sequence[Row], world: World) -> str:
    """Each ablation on its seeds, and GRPO and ours on the same ones."""
    lines = []
    for arm in ("grpo", "cold", "stats", *ABLATIONS):
        runs = runs_of(rows, world, arm)
        held = {s: row for s, row in runs.items() if s in _seeds(rows, world)}
        if not held:
            continue
        sampled = "grpo_balanced" if ARMS[arm].sampler == "balanced" else "grpo"
        mass = np.mean([[row["mass"][d] for d in DOMAINS] for row in held.values()], axis=0)
        lines.append(
            (
                ARMS[arm].title,
                len(held),
                interval(map(_mean, held.values())),
                interval(map(_worst, held.values())),
                _gap(held, rows, world, arm, "grpo"),
                _gap(held, rows, world, arm, sampled),
                f"{np.mean([row['ess'] for row in held.values()]):.3f}",
                f"{100 * mass[0]:.0f} %",
                f"{100 * mass[-3:].sum():.1f} %",
            )
        )
    columns = ("", "seeds", "mean F1", "worst domain", "mean F1 against GRPO")
    last = ("against GRPO, same sampler", "ESS", "mass of CT", "mass of the 3 rarest")
    return markdown((*columns, *last), lines)


def as_chosen(rows: dict[str, dict[str, Any]], world: World) -> list[Row]:
    """The rows without runs at a learning rate that the search has not chosen."""
    chosen = {arm: asdict(choice) for arm, choice in choices(rows, world).items()}
    return [
        row
        for row in rows.values()
        if row["kind"] != "run" or row["choice"] == chosen.get(row["arm"])
    ]


def between(text: str, begin: str, end: str, found: str) -> str:
    """`text` with what lies between two marks replaced by `found`.

    Raises UsageError where the marks are missing.
    """
    if begin not in text or end not in text:
        raise UsageError("has no marks for the results", fix=f"put {begin} and {end} into it")
    before, rest = text.split(begin, 1)
    after = rest.split(end, 1)[1]
    return f"{before}{begin}\n\n{found}\n\n{end}{after}"


def page(text: str, found: dict[str, dict[str, Any]], plan: Plan) -> str:
    """`text` with what lies between the two marks replaced by the tables. Raises UsageError where
    the marks are missing."""
    main = plan.main
    rows = as_chosen(found, main)
    parts = [
        "### The five arms\n",
        main_table(rows, main),
        "\n### At the same learning rate, and in other worlds\n",
        world_table(list(found.values()), [main, *plan.worlds], plan.compared),
        "\n### What explains it\n",
        ablation_table(rows, main),
        "\n### Three times as long\n",
        ablation_table(rows, plan.longer),
    ]
    return between(text, BEGIN, END, "\n".join(parts))


def write(path: Path, rows: dict[str, dict[str, Any]], plan: Plan) -> None:
    """Write the tables into the page at `path`."""
    path.write_text(page(path.read_text(encoding="utf-8"), rows, plan), encoding="utf-8")


def _seeds(rows: Sequence[Row], world: World) -> set[int]:
    """The seeds on which ablations have run."""
    return {seed for arm in ABLATIONS for seed in runs_of(rows, world, arm)}


def _cell(runs: dict[int, Row], grpo: dict[int, Row], *, plain: bool) -> str:
    if not runs:
        return "-"
    mean = interval(map(_mean, runs.values()))
    if plain or not grpo:
        return str(mean)
    change = 100 * relative(runs, grpo, _mean)
    return f"{mean}, {paired(runs, grpo, _mean).signed}, {change:+.0f} %"


def _gap(runs: dict[int, Row], rows: Sequence[Row], world: World, arm: str, to: str) -> str:
    if arm == to:
        return "-"
    other = runs_of(rows, world, to)
    return f"{paired(runs, other, _mean).signed} ({100 * relative(runs, other, _mean):+.0f} %)"


def _early(found: list[float | None]) -> str:
    """Median of the batches found, and in how many seeds the level was not reached."""
    never = sum(batch is None for batch in found)
    shown = float(np.median([np.inf if batch is None else batch for batch in found]))
    text = "-" if np.isinf(shown) else f"{shown:g}"
    return f"{text} ({never} never)" if never else text
