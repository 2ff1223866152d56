"""Forty steps on CLIMB's shares: who carries the update, and how steady the weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo.climb import NAMES, RAREST, SIZES, Questions, draw
from qoqtrain import DRPO
from qoqtrain.drpo import Step

STEPS, BATCH = 40, 512
#: The column of domains and the preset: no sampler has corrected anything here.
STREAMING = ("source", "streaming")
LARGEST = next(iter(SIZES))


@dataclass(frozen=True)
class Trace:
    """One estimator over all steps.

    `ess` (T,) effective sample size as a share of the rollouts, `max_abs` (T,) largest |A|,
    `largest` and `rarest` (T,) share of the squared advantage carried by the largest data set and
    by the 10 rarest together, `weights` (T, 30) mean |A| per mean |GRPO score| of each data set,
    NaN in steps without it.
    """

    ess: NDArray[np.float64]
    max_abs: NDArray[np.float64]
    largest: NDArray[np.float64]
    rarest: NDArray[np.float64]
    weights: NDArray[np.float64]

    def changes(self) -> NDArray[np.float64]:
        """Factors >= 1 by which weights differ between appearances of a data set in a row."""
        logs = [np.log(column[np.isfinite(column)]) for column in self.weights.T]
        return np.exp(np.concatenate([np.abs(np.diff(log)) for log in logs]))


def estimators() -> dict[str, DRPO]:
    """The estimators compared; ours start from the record counts alone, without success rates."""
    return {
        "GRPO": DRPO.preset("grpo"),
        "DRPO, published code": DRPO.preset("authors_mirl"),
        "DRPO, unbounded": DRPO.from_stats(None, *STREAMING, priors=SIZES, bounds=None),
        "DRPO, streaming": DRPO.from_stats(None, *STREAMING, priors=SIZES),
    }


def simulate(seed: int = 0) -> dict[str, Trace]:
    """Every estimator on the same 40 batches of 512 questions x 5 rollouts."""
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(seed)
    batches = [draw(rng, BATCH) for _ in range(STEPS)]
    with threadpool_limits(1):
        return {name: _trace(drpo, batches) for name, drpo in estimators().items()}


def rows(traces: Mapping[str, Trace]) -> list[tuple[Any, ...]]:
    """One row of COLUMNS for each estimator."""
    return [
        (
            name,
            float(np.median(trace.ess)),
            float(trace.ess.min()),
            float(np.median(trace.max_abs)),
            float(trace.max_abs.max()),
            float(np.mean(trace.largest)),
            float(np.mean(trace.rarest)),
            float(np.median(trace.changes())),
            float(np.quantile(trace.changes(), 0.9)),
        )
        for name, trace in traces.items()
    ]


COLUMNS = (
    "estimator",
    "ESS",
    "ESS least",
    "max |A|",
    "max |A| most",
    "mass largest",
    "mass 10 rarest",
    "change",
    "change p90",
)


def plot(traces: Mapping[str, Trace], path: Path) -> None:
    """Effective sample size, largest |A| and the weight of the largest data set, step by step."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    panels = (
        ("effective sample size", "log", [trace.ess for trace in traces.values()]),
        ("largest |A|", "linear", [trace.max_abs for trace in traces.values()]),
        (f"weight of {LARGEST}", "log", [trace.weights[:, 0] for trace in traces.values()]),
    )
    figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    steps = np.arange(1, STEPS + 1)
    styles = (("#777777", ":"), ("#c23b22", "-"), ("#e0a030", "--"), ("#1f5fa8", "-"))
    for axis, (title, scale, curves) in zip(axes, panels, strict=True):
        for name, curve, (colour, line) in zip(traces, curves, styles, strict=True):
            axis.plot(steps, curve, line, color=colour, label=name, linewidth=1.3)
        axis.set(title=title, xlabel="step", yscale=scale)
        axis.grid(alpha=0.2)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _trace(drpo: DRPO, batches: Sequence[Questions]) -> Trace:
    steps = [(batch, drpo.step(**batch.columns())) for batch in batches]
    reports = [step.report for _, step in steps]
    masses = [
        {name: row["squared_mass"] for name, row in report["domains"].items()} for report in reports
    ]
    return Trace(
        ess=np.array([report["ess"] for report in reports]),
        max_abs=np.array([report["max_abs_advantage"] for report in reports]),
        largest=np.array([mass.get(LARGEST, 0.0) for mass in masses]),
        rarest=np.array([sum(mass.get(name, 0.0) for name in RAREST) for mass in masses]),
        weights=np.array([_weights(batch, step) for batch, step in steps]),
    )


def _weights(batch: Questions, step: Step) -> list[float]:
    """Weight of each data set in one step, NaN where it has no rollout with a score."""
    rewards = batch.rewards
    scores = (rewards - rewards.mean(axis=1, keepdims=True)) / rewards.std(
        axis=1, ddof=1, keepdims=True
    )
    advantages = step.advantages.reshape(rewards.shape)
    weights = []
    for name in NAMES:
        mine = batch.domains == name
        weights.append(
            float(np.abs(advantages[mine]).sum() / np.abs(scores[mine]).sum())
            if mine.any()
            else np.nan
        )
    return weights
