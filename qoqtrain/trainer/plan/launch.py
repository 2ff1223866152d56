"""Starting a run on several machines: a script for Slurm."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from qoqdata.errors import UsageError
from qoqtrain.trainer.plan.settings import TrainSettings


class Machines(NamedTuple):
    """How many of them, and the GPUs of each."""

    nodes: int
    gpus: int


def machines_of(size: str) -> Machines:
    """The machines that "2x8" stands for. Raises UsageError for other words."""
    nodes, _, gpus = size.partition("x")
    if not (nodes.isdigit() and gpus.isdigit()):
        raise UsageError(f"{size!r} is no size", where="--print-slurm", fix="write it as 2x8")
    return Machines(int(nodes), int(gpus))


def command_of(
    settings: TrainSettings, *, config: Path | None = None, assignments: Sequence[str] = ()
) -> list[str]:
    """The options of `qoqtrain train` that give `settings`, which were read from `config` and
    `assignments`."""
    command = ["--data", settings.data, "--model", settings.model, "--out", str(settings.out)]
    command += ["--stage", settings.stage, "--seed", str(settings.seed)]
    command += [] if settings.steps is None else ["--steps", str(settings.steps)]
    command += [] if config is None else ["--config", str(config)]
    for assignment in assignments:
        command += ["--set", assignment]
    return command


def slurm_script(command: Sequence[str], *, nodes: int, gpus: int, hours: int = 48) -> str:
    """A batch script that runs `qoqtrain train` with `command` on `nodes` machines of `gpus` each.

    It asks for a signal before the time is up and queues itself again: the run goes on from its
    last checkpoint. Raises UsageError for numbers below 1.
    """
    if min(nodes, gpus, hours) < 1:
        raise UsageError("nodes, GPUs and hours are at least 1", where="slurm")
    template = files("qoqtrain.trainer.plan").joinpath("train.slurm").read_text(encoding="utf-8")
    values = {
        "@NODES@": str(nodes),
        "@GPUS@": str(gpus),
        "@HOURS@": str(hours),
        "@COMMAND@": " ".join(shlex.quote(part) for part in command),
    }
    for mark, value in values.items():
        template = template.replace(mark, value)
    return template
