"""Starting a run on several machines: a script for Slurm."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.resources import files

from qoqdata.errors import UsageError


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
