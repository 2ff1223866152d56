"""Run the comparison, or what is left of it, and write its tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.drpo_vs_grpo.evaluation import mean_f1, worst_f1
from benchmarks.drpo_vs_grpo.report import write
from benchmarks.drpo_vs_grpo.schedule import Schedule
from benchmarks.drpo_vs_grpo.sweep import Plan, rows_of, sweep, worlds
from qoqdata import console


def main() -> None:
    """One line for each run; runs that `--folder` holds already are not run again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drpo_vs_grpo", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds of the main comparison")
    parser.add_argument("--few", type=int, default=3, help="seeds of the other worlds")
    parser.add_argument("--quick", action="store_true", help="small sets, 4 batches: a smoke test")
    parser.add_argument("--folder", type=Path, default=Path("drpo_vs_grpo"))
    parser.add_argument("--doc", type=Path, help="write the tables into this file")
    parser.add_argument("--report-only", action="store_true", help="tables of what is there")
    chosen = parser.parse_args()
    schedule = Schedule(10, 4, 64, 4, 2) if chosen.quick else Schedule()
    world, others = worlds(chosen.quick)
    plan = Plan(world, others, schedule, seeds=chosen.seeds, few=chosen.few)
    folder = chosen.folder / "quick" if chosen.quick else chosen.folder
    for row in () if chosen.report_only else sweep(plan, folder):
        found = row["test"] if "test" in row else row["curve"][-1]["validation"]
        console.say(f"{row['key']}: F1 {mean_f1(found):.3f}, worst domain {worst_f1(found):.3f}")
    if chosen.doc:
        write(chosen.doc, rows_of(folder), plan)


if __name__ == "__main__":
    main()
