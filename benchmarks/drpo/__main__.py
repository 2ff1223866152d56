"""`cost` of a step as history grows, and the `simulation` on CLIMB's shares with its plot."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.drpo.cost import step_costs
from benchmarks.drpo.simulation import COLUMNS, plot, rows, simulate
from qoqdata import console


def main() -> None:
    """Print one of the two tables; the simulation writes its plot where --plot says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drpo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    cost = commands.add_parser("cost", help="CPU-seconds per step, ours and published")
    cost.add_argument(
        "--histories", nargs="+", type=int, default=[1_000, 10_000, 100_000, 1_000_000]
    )
    simulation = commands.add_parser("simulation", help="40 steps of 512 questions x 5")
    simulation.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "cost":
        _cost(sorted(arguments.histories))
    else:
        traces = simulate()
        console.table(COLUMNS, rows(traces))
        if arguments.plot:
            plot(traces, arguments.plot)


def _cost(histories: list[int]) -> None:
    costs = list(step_costs(histories))
    console.table(
        ("questions", "ours, ms", "published k 10, s", "ratio", "published k 3, s", "ratio"),
        [
            (
                cost.history,
                1000 * cost.ours,
                cost.published_10,
                cost.published_10 / cost.ours,
                cost.published_3,
                cost.published_3 / cost.ours,
            )
            for cost in costs
        ],
    )
    ours = [cost.ours for cost in costs]
    console.say(f"ours, largest / smallest: {max(ours) / min(ours):.2f}")


if __name__ == "__main__":
    main()
