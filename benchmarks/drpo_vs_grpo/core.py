"""The core table: the default of `qoqtrain train`, each part of it left out, and GRPO.

What is planned, and what counts, is written in docs/drpo_vs_grpo.md; the numbers here are its.

    python -m benchmarks.drpo_vs_grpo.core --folder RUNS [--seeds 5] [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drpo_vs_grpo.arms import CORE
from benchmarks.drpo_vs_grpo.domains import World
from benchmarks.drpo_vs_grpo.evaluation import mean_f1, worst_f1
from benchmarks.drpo_vs_grpo.figures import interval
from benchmarks.drpo_vs_grpo.sweep import FIXED, Bench, Journal
from benchmarks.drpo_vs_grpo.training import Choice, Schedule
from qoqdata import console

#: Chooses the rate of every arm, on the validation split; in no figure of the table.
SEARCH_SEED = 100


def core(world: World, schedule: Schedule, seeds: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Every run in turn, seed by seed; those that `folder` holds are not run again."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    journal, bench = Journal(folder / "core.jsonl"), Bench(world, folder, schedule)
    chosen: dict[str, Choice] = {}
    for arm in CORE:
        reached = []
        for choice in FIXED:
            row = journal.once(
                f"search {world.name} {arm} {choice.rate:g}",
                lambda arm=arm, choice=choice: bench.run(arm, choice, SEARCH_SEED),
            )
            reached.append(mean_f1(row["curve"][-1]["validation"]))
        chosen[arm] = FIXED[int(np.argmax(reached))]
    for seed in range(seeds):
        for kind, make in (("base", bench.base), ("ceiling", bench.ceiling)):
            yield journal.once(f"{kind} {world.name} {seed}", lambda make=make, s=seed: make(s))
        for arm in CORE:
            yield journal.once(
                f"run {world.name} {arm} {seed}",
                lambda arm=arm, s=seed: bench.run(arm, chosen[arm], s),
            )


def table(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """One row an arm: mean macro-F1 and worst domain on test, and the share of the gap from warm
    start to ceiling that is closed, with the 95 % t interval over seeds."""
    found = {(row["arm"], row["seed"]): row["test"] for row in rows}
    seeds = sorted({seed for _, seed in found})
    lines = []
    for arm in ("base", "ceiling", *CORE):
        scores = [mean_f1(found[arm, seed]) for seed in seeds]
        shares = [
            (mean_f1(found[arm, seed]) - mean_f1(found["base", seed]))
            / (mean_f1(found["ceiling", seed]) - mean_f1(found["base", seed]))
            for seed in seeds
        ]
        worst = [worst_f1(found[arm, seed]) for seed in seeds]
        title = CORE[arm].title if arm in CORE else {"base": "warm start"}.get(arm, arm)
        lines.append(
            (title, len(seeds), str(interval(scores)), float(np.mean(worst)), str(interval(shares)))
        )
    return lines


def main() -> None:
    """Run what is left, and show the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drpo_vs_grpo.core")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--skew", type=float, default=1.0)
    parser.add_argument("--world", type=int, default=0, help="seed of the images")
    parser.add_argument("--quick", action="store_true", help="small sets: a smoke test")
    parser.add_argument("--folder", type=Path, default=Path("drpo_vs_grpo"))
    chosen = parser.parse_args()
    train, held = (1_200, 60) if chosen.quick else (24_000, 250)
    least = 10 if chosen.quick else 100
    world = World(chosen.skew, train=train, held=held, seed=chosen.world, least=least)
    schedule = Schedule(10, 4, 64, 4, 2) if chosen.quick else Schedule()
    rows = []
    for row in core(world, schedule, chosen.seeds, chosen.folder):
        rows.append(row)
        console.say(f"{row['key']}: F1 {mean_f1(row['test']):.3f}")
    console.table(("arm", "seeds", "mean F1", "worst domain", "gap closed"), table(rows))


if __name__ == "__main__":
    main()
