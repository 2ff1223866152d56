"""What a run shows of itself while it goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qoqdata import console
from qoqdata.progress import duration


@dataclass(frozen=True)
class Progress:
    """After step `step` of `steps`: its `numbers`, and the seconds to the end."""

    step: int
    steps: int
    numbers: Mapping[str, Any]
    seconds_left: float


Notify = Callable[[Progress], None]


@contextmanager
def listener() -> Iterator[Notify]:
    """Progress: a bar on a terminal, a line a step off a terminal, on standard error."""
    if not console.err.is_terminal or not is_first():
        yield lambda progress: console.complain(line_of(progress))
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=console.err) as bars:
        task = bars.add_task("steps", total=None, note="")

        def notify(progress: Progress) -> None:
            note = line_of(progress).partition("  ")[2]
            bars.update(task, total=progress.steps, completed=progress.step, note=note)

        yield notify


def line_of(progress: Progress) -> str:
    """One step in one line: reward, answers by domain, effective sample size, entropy, validation,
    speed, time left."""
    numbers = progress.numbers
    words = [f"step {progress.step}/{progress.steps}"]
    if "reward" in numbers:
        words.append(f"reward {numbers['reward']:.3f}")
        answers = {name: row["answer"] for name, row in numbers["domains"].items()}
        f1 = [f"{name} {value:.2f}" for name, value in answers.items() if value is not None]
        words.append(f"F1 {', '.join(f1) or '-'}")
        ess = numbers["ess"]
        words.append(f"ESS {'-' if ess is None else format(ess, '.2f')}")
        if (tied := numbers["drpo"]["answer_tied"]["mass"]) > 0:
            words.append(f"{tied:.0%} of the mass in answer-tied groups")
    words.append(f"loss {numbers['loss']:.4f}")
    if "policy" in numbers:
        words.append(f"entropy {numbers['policy']['entropy']:.2f}")
    for name in ("macro_f1", "accuracy") if "validation" in numbers else ():
        if (found := numbers["validation"].get(name)) is not None:
            words.append(f"validation {name.replace('_', ' ')} {found['value']:.3f}")
    if (speed := numbers["time"]["response_tokens_per_second"]) is not None:
        words.append(f"{speed:,.0f} tokens/s")
    words.append(f"{duration(progress.seconds_left)} left")
    return "  ".join(words)


def is_first() -> bool:
    """Whether this process is rank 0, or alone."""
    return os.environ.get("RANK", "0") == "0"
