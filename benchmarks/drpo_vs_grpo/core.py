"""The headline: the default of `qoqtrain train`, each part of it left out, and GRPO.

What is planned, and what counts, is written in docs/drpo_vs_grpo.md; the numbers there are this
command's. Runs that the folder holds are not run again.

    python -m benchmarks.drpo_vs_grpo.core --folder RUNS [--skews 1 0 0.5] [--factorial] [--doc MD]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.drpo_vs_grpo.arms import CORE, DYNAMIC, EXTRA, Arm
from benchmarks.drpo_vs_grpo.core_report import write
from benchmarks.drpo_vs_grpo.domains import World
from benchmarks.drpo_vs_grpo.evaluation import mean_f1
from benchmarks.drpo_vs_grpo.headline import (
    MAIN_SKEW,
    MAIN_WORLD,
    Runs,
    core_lines,
    headline_lines,
)
from benchmarks.drpo_vs_grpo.schedule import Choice, Schedule
from benchmarks.drpo_vs_grpo.sweep import FIXED, Bench, Journal
from qoqdata import command_line, console

#: Chooses the rate of every arm, on the validation split; in no figure of the tables.
SEARCH_SEED = 100


def core(
    world: World, schedule: Schedule, seeds: int, folder: Path, *, factorial: bool = False
) -> Iterator[dict[str, Any]]:
    """Every run of one world in turn, seed by seed, those of the search first; with `factorial`
    all other arms after the core's. Those that `folder` holds are not run again."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    folder.mkdir(parents=True, exist_ok=True)
    journal, bench = Journal(journal_of(world, folder)), Bench(world, folder, schedule)
    yield from _arms(CORE, bench, journal, seeds)
    if factorial:
        yield from _arms(EXTRA, bench, journal, seeds)
        for seed in range(seeds):
            yield journal.once(f"traces {world.name} {seed}", partial(bench.traces, seed))


def journal_of(world: World, folder: Path) -> Path:
    """The file of the runs of a world."""
    return folder / f"{world.name}.jsonl"


def _arms(
    arms: Mapping[str, Arm], bench: Bench, journal: Journal, seeds: int
) -> Iterator[dict[str, Any]]:
    chosen = {}
    for arm in arms:
        found = {}
        for choice in FIXED:
            row = found[choice] = _run(arm, choice, SEARCH_SEED, bench, journal, "search")
            yield row
        chosen[arm] = max(FIXED, key=lambda choice: _validated(found[choice]))
    for seed in range(seeds):
        for kind, make in (("base", bench.base), ("ceiling", bench.ceiling)):
            yield journal.once(f"{kind} {bench.world.name} {seed}", partial(make, seed))
        for arm in arms:
            yield _run(arm, chosen[arm], seed, bench, journal, "run")


def _run(
    arm: str, choice: Choice, seed: int, bench: Bench, journal: Journal, kind: str
) -> dict[str, Any]:
    """One run; an arm that updates on as much as the default is told how much that was."""
    updates = None
    if arm in DYNAMIC and DYNAMIC[arm].until == "updated":
        updates = _updates_of_default(journal, bench.world, seed)
    last = f"{choice.rate:g}" if kind == "search" else seed
    key = f"{kind} {bench.world.name} {arm} {last}"
    return journal.once(key, partial(bench.run, arm, choice, seed, updates))


def _updates_of_default(journal: Journal, world: World, seed: int) -> int:
    if seed != SEARCH_SEED:
        return int(journal.rows[f"run {world.name} default {seed}"]["updated"])
    searched = [journal.rows[f"search {world.name} default {choice.rate:g}"] for choice in FIXED]
    return int(max(searched, key=_validated)["updated"])


def _validated(row: Mapping[str, Any]) -> float:
    return mean_f1(row["curve"][-1]["validation"])


def _whole(world: World, schedule: Schedule, seeds: int, folder: Path, factorial: bool) -> None:
    """All runs of a world, a line each."""
    for row in core(world, schedule, seeds, folder, factorial=factorial):
        console.say(f"{row['key']}: F1 {mean_f1(row['test']):.3f}")


def worlds(skews: list[float], count: int, *, quick: bool) -> list[World]:
    """The worlds in the order they run: all of the first skew first."""
    train, held = (1_200, 60) if quick else (24_000, 250)
    least = 10 if quick else 100
    return [
        World(skew, train=train, held=held, seed=seed, least=least)
        for skew in skews
        for seed in range(count)
    ]


def main() -> None:
    """Run what is left, and show the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.drpo_vs_grpo.core",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, default=Path("drpo_vs_grpo"))
    parser.add_argument("--skews", type=float, nargs="+", default=[1.0])
    parser.add_argument("--worlds", type=int, default=3, help="sets of images")
    parser.add_argument("--seeds", type=int, default=5, help="of each world")
    parser.add_argument("--workers", type=int, default=2, help="worlds at a time")
    parser.add_argument("--factorial", action="store_true", help="all other arms, in one world")
    parser.add_argument("--doc", type=Path, help="write the tables into this page, plot beside it")
    parser.add_argument("--report-only", action="store_true", help="tables of what is there")
    parser.add_argument("--quick", action="store_true", help="small sets: a smoke test")
    chosen = parser.parse_args()
    every = worlds(chosen.skews, chosen.worlds, quick=chosen.quick)
    schedule = Schedule(10, 4, 64, 4, 2) if chosen.quick else Schedule(validate_every=48)
    folder = chosen.folder / "quick" if chosen.quick else chosen.folder
    if not chosen.report_only:
        with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
            started = [
                pool.submit(
                    _whole,
                    world,
                    schedule,
                    chosen.seeds,
                    folder,
                    chosen.factorial and (world.skew, world.seed) == (MAIN_SKEW, MAIN_WORLD),
                )
                for world in every
            ]
            for one in started:
                one.result()
    held = [row for world in every for row in Journal(journal_of(world, folder)).rows.values()]
    runs = Runs.of(held)
    for skew in runs.skews:
        console.say(f"skew {skew:g}")
        console.table(*core_lines(runs, skew))
    console.table(*headline_lines(runs))
    if chosen.doc:
        write(chosen.doc, runs)


if __name__ == "__main__":
    command_line.guard(main)
