"""Functions for people who look at a run: its page, served or as one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from flask import Flask

    from qoqdata.serving.gate import Gate
    from qoqtrain.monitor.page import SampleChoice

COMMAND = "qoqtrain watch"


def watch(
    run: str | Path,
    *,
    data: str | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the page of a run, while it goes on or after it, until it is interrupted.

    `run` is the run's folder; `data` says where its data set is now, if that has moved. `on_ready`
    is given the URL, which holds a token; whoever has it sees questions, images and responses.
    Raises UsageError without the extra `view`, for a folder without a run and for an address that
    cannot be bound.
    """
    from qoqdata.serving.server import serve
    from qoqtrain.monitor.page import opened_dataset
    from qoqtrain.monitor.run_folder import RunFolder

    folder = RunFolder(Path(run))
    dataset, note = opened_dataset(folder, data)

    def make(gate: Gate) -> Flask:
        from qoqtrain.monitor.app import watch_app

        return watch_app(folder, dataset, note, gate)

    serve(make, command=COMMAND, host=host, port=port, on_ready=on_ready)


def write_run_page(
    run: str | Path,
    out: str | Path,
    *,
    data: str | None = None,
    step: int | None = None,
    samples: SampleChoice = "open",
) -> int:
    """Write the page of a run as one file that asks for nothing; how many questions it shows.

    Questions are of `step`, or of the last that has any. With `samples` "open" of sources whose
    terms let their images stand on a page that is passed on, with "all" of all, and then the file
    is readable by its owner alone; with "none" curves alone. What is shown is screened as a report
    is: text burned into images is black, and records that a verdict drops are not shown; with
    "open" neither are those with open findings. Raises UsageError for a folder without
    a run, and without rollouts of the step.
    """
    from qoqtrain.monitor.page import opened_dataset, run_page, static_page, write_page
    from qoqtrain.monitor.run_folder import RunFolder

    folder = RunFolder(Path(run))
    dataset, note = opened_dataset(folder, data)
    if step is not None and step not in (steps := folder.rollout_steps()):
        fix = f"it has those of {steps[0]} to {steps[-1]}" if steps else "it has none"
        raise UsageError(f"has no rollouts of step {step}", where=str(run), fix=fix)
    page = run_page(folder, dataset, note, step=step, choice=samples)
    target = Path(out)
    if target.is_dir():
        raise UsageError("is a folder", where=str(target), fix="name a file, such as run.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_page(static_page(page), target, private=samples == "all")
    return len(page.questions)
