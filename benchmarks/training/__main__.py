"""Step time of the training loop against TRL's GRPOTrainer.

    qoqdata demo --out DIR && python -m benchmarks.training --data DIR/dataset

Both train a tiny random Qwen2.5-VL on the demo's image records: the same weights, prompts and
order of questions, rollouts of a fixed length, micro-batches, AdamW and reward. The trainers take
turns, each in a process of its own with one thread; the median CPU seconds of a step are compared.
Random answers earn next to nothing, so nothing is learnt: what is measured is the work.

"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.training.alone import alone, our_turn, their_turn
from benchmarks.training.task import Cost, Task, write_model
from qoqdata import command_line, console
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.training.ours import Ours


def main() -> None:
    """Measure and print: seconds a step, their ratio, and the share outside the model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--data", required=True, help="a data set with statistics")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each turn")
    parser.add_argument("--turns", type=int, default=2, help="turns of each trainer")
    parser.add_argument("--family", default="qwen2_5_vl", choices=("qwen2_5_vl", "qwen3_vl"))
    options = parser.parse_args()
    task = Task(steps=options.steps, family=options.family)
    mine, other, runs = Cost(), Cost(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model"
        alone(write_model, model, options.data, task)
        for turn in range(options.turns):
            at = folder / str(turn)
            runs.append(alone(our_turn, options.data, model, at / "ours", task))
            questions = runs[-1].questions
            mine.add(runs[-1].cost)
            other.add(alone(their_turn, options.data, model, at / "theirs", task, questions))
    if mine.prompt_tokens != other.prompt_tokens:
        raise UsageError(
            f"not the same work: {mine.prompt_tokens} and {other.prompt_tokens} prompt tokens"
        )
    _print(mine, other, runs)


def _print(mine: Cost, other: Cost, runs: list[Ours]) -> None:
    rows = [
        (name, median(cost.cpu), min(cost.cpu), median(cost.wall))
        for name, cost in (("qoqtrain", mine), ("TRL", other))
    ]
    console.table(("a step", "CPU seconds, median", "least", "seconds, median"), rows)
    console.say(
        f"{mine.prompt_tokens:,} prompt and {mine.response_tokens:,} response tokens in each\n"
        f"ratio of CPU seconds: {rows[0][1] / rows[1][1]:.2f}\n"
    )
    names = sorted({part for run in runs for part in run.parts})
    shares = [(name, median(run.parts.get(name, 0.0) for run in runs)) for name in names]
    shares.append(("outside the model", median(run.outside for run in runs)))
    shares.append(("outside its calls alone", median(run.outside_strictly for run in runs)))
    console.table(("share of a step, wall clock", "%"), [(name, 100 * of) for name, of in shares])


if __name__ == "__main__":
    command_line.guard(main)
