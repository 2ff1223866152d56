"""Tables and plot of the headline, written into a page between two marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drpo_vs_grpo.arms import (
    CORE,
    DYNAMIC,
    FACTORIAL,
    PUBLISHED,
    SAMPLERS,
    SCALED,
    WEIGHTS,
)
from benchmarks.drpo_vs_grpo.domains import DOMAINS, shares
from benchmarks.drpo_vs_grpo.evaluation import mean_f1
from benchmarks.drpo_vs_grpo.figures import interval
from benchmarks.drpo_vs_grpo.headline import (
    MAIN_SKEW,
    MAIN_WORLD,
    Pair,
    Runs,
    bounds,
    core_lines,
    fieller,
    headline_lines,
    title,
)
from benchmarks.drpo_vs_grpo.report import between, markdown

BEGIN, END = "<!-- headline -->", "<!-- end of headline -->"
COLOURS = {
    "base": "#bbbbbb",
    "grpo_core": "#777777",
    "grpo_even": "#9a7fb8",
    "default": "#1f5fa8",
    "ceiling": "#2e8b57",
}


def page(text: str, runs: Runs) -> str:
    """`text` with what lies between the two marks replaced by the tables. Raises UsageError where
    the marks are missing."""
    parts = ["### Default against GRPO\n", markdown(*headline_lines(runs))]
    for skew in runs.skews:
        columns, lines = core_lines(runs, skew)
        if lines:
            parts += [f"\n### The core at skew {skew:g}\n", markdown(columns, lines)]
    if MAIN_SKEW in runs.of_skew:
        for heading, made in (
            ("Sampler x weights x filter", factorial_lines),
            ("Other methods, and what explains it", other_lines),
        ):
            columns, lines = made(runs)
            if lines:
                parts += [f"\n### {heading}\n", markdown(columns, lines)]
    parts += ["\n### Rates\n", markdown(*rate_lines(runs))]
    return between(text, BEGIN, END, "\n".join(parts))


def write(path: Path, runs: Runs) -> None:
    """Write the tables into the page at `path`, and the plot beside it."""
    path.write_text(page(path.read_text(encoding="utf-8"), runs), encoding="utf-8")
    plot(runs, path.with_name("drpo_headline.png"))


def factorial_lines(runs: Runs) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """One row a sampler and weights: the share of the gap closed without and with the filter, with
    the number of pairs that a cell has, and the difference on those that both have."""
    lines = []
    for sampler, name in SAMPLERS.items():
        for weights in WEIGHTS:
            cells = [FACTORIAL[sampler, weights, tied] for tied in (False, True)]
            both = _here(runs, *cells)
            off, on = (runs.closed(MAIN_SKEW, cell, both) if both else [] for cell in cells)
            gain = interval(np.subtract(on, off)).signed if both else "-"
            lines.append((name, weights, *(_closed(runs, cell) for cell in cells), gain))
    return ("sampler", "weights", "no filter", "filter", "filter adds"), lines


def _here(runs: Runs, *arms: str) -> list[Pair]:
    return [pair for pair in runs.pairs(MAIN_SKEW, *arms) if pair[0] == MAIN_WORLD]


def _closed(runs: Runs, arm: str) -> str:
    pairs = _here(runs, arm)
    return f"{interval(runs.closed(MAIN_SKEW, arm, pairs))} ({len(pairs)})" if pairs else "-"


def other_lines(runs: Runs) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """Published methods, dynamic draws, traces and arms of one scale beside default and GRPO, each
    on the pairs of one world that it has: figures, ratio to GRPO on the same pairs, questions
    asked and updated on."""
    ours = ("default", "no_filter", *DYNAMIC, "traces")
    named = ("grpo_core", "proportional_paper", *PUBLISHED, *ours, *SCALED)
    arms = [arm for arm in named if arm in runs.of_skew[MAIN_SKEW]]
    lines = []
    for arm in arms if len(arms) > len({*arms} & {*CORE}) else ():
        pairs = _here(runs, arm, "grpo_core")
        rows = [runs.of_skew[MAIN_SKEW][arm][pair] for pair in pairs]
        closed = runs.closed(MAIN_SKEW, arm, pairs)
        grpo = runs.closed(MAIN_SKEW, "grpo_core", pairs)
        counts = [
            f"{np.mean([row[name] for row in rows]):,.0f}" if name in rows[0] else "-"
            for name in ("asked", "updated")
        ]
        ratio = "-" if arm == "grpo_core" else bounds(fieller(closed, grpo))
        name = "DRPO, as in the paper" if arm == "proportional_paper" else title(arm)
        means = interval(mean_f1(row["test"]) for row in rows)
        lines.append((name, len(pairs), means, interval(closed), ratio, *counts))
    columns = ("", "pairs", "mean F1", "gap closed", "ratio to GRPO", "asked", "updated on")
    return columns, lines


def rate_lines(runs: Runs) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    """The rates of each arm of the core that validation chose, and in how many worlds each."""
    lines = []
    for arm in CORE:
        cells = []
        for skew in runs.skews:
            rates = {
                world: row["choice"]["rate"]
                for (world, _), row in runs.of_skew[skew].get(arm, {}).items()
            }
            counts = sorted(Counter(rates.values()).items())
            cells.append(", ".join(f"{rate:g} in {n}" for rate, n in counts) or "-")
        lines.append((title(arm), *cells))
    return ("", *(f"skew {skew:g}" for skew in runs.skews)), lines


def plot(runs: Runs, path: Path) -> None:
    """The share of the gap that each arm of the core closes, and macro-F1 by domain."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1, 1.3)
    )
    arms = list(CORE)
    pairs = runs.pairs(MAIN_SKEW, *arms)
    for place, arm in enumerate(arms):
        closed = runs.closed(MAIN_SKEW, arm, pairs)
        height = len(arms) - place
        colour = COLOURS.get(arm, "#6fa8dc")
        for world, marker in enumerate("osD"):
            mine = [c for c, (w, _) in zip(closed, pairs, strict=True) if w == world]
            left.plot(mine, [height] * len(mine), marker, color=colour, alpha=0.35, markersize=4)
        found = interval(closed)
        left.plot([found.low, found.high], [height] * 2, color=colour, linewidth=2.5)
        left.plot(found.mean, height, "|", color="black", markersize=14)
    left.set_yticks(range(len(arms), 0, -1), [title(arm) for arm in arms])
    left.set(xlabel="share of the gap closed (dots: pairs; bars: 95 %)")
    order = np.argsort(-shares(MAIN_SKEW), kind="stable")
    for offset, (arm, colour) in enumerate(COLOURS.items()):
        tests = [runs.of_skew[MAIN_SKEW][arm][pair]["test"] for pair in pairs]
        heights = [np.mean([test[DOMAINS[d]]["f1"] for test in tests]) for d in order]
        right.bar(
            np.arange(len(DOMAINS)) + 0.16 * (offset - 2),
            heights,
            0.16,
            color=colour,
            label=title(arm),
        )
    names = [DOMAINS[d].replace("_", " ") for d in order]
    right.set_xticks(range(len(DOMAINS)), names, rotation=30, ha="right")
    right.set(ylabel="macro-F1, test")
    for axis in (left, right):
        axis.grid(alpha=0.2)
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
    )
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
