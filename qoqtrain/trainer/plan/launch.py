"""Starting a run on several processes and machines: Slurm, torchrun, DeepSpeed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

from qoqdata.errors import UsageError


def slurm_script(command: Sequence[str], *, nodes: int, gpus: int, hours: int = 48) -> str:
    """A batch script that runs `qoqtrain train` with `command` on `nodes` machines of `gpus` each.

    It asks for a signal before the time is up and queues itself again: the run goes on from its
    last checkpoint. Raises UsageError for numbers below 1.
    """
    if min(nodes, gpus, hours) < 1:
        raise UsageError("nodes, GPUs and hours are at least 1", where="slurm")
    template = files("qoqtrain.trainer").joinpath("train.slurm").read_text(encoding="utf-8")
    values = {
        "@NODES@": str(nodes),
        "@GPUS@": str(gpus),
        "@HOURS@": str(hours),
        "@COMMAND@": " ".join(_quoted(part) for part in command),
    }
    for mark, value in values.items():
        template = template.replace(mark, value)
    return template


def hostfile(machines: Mapping[str, int]) -> str:
    """DeepSpeed's hostfile: one line a machine, with its number of accelerators.

    Start with `deepspeed --hostfile FILE --no_python --no_local_rank qoqtrain train ...`.
    Raises UsageError without machines and for one without accelerators.
    """
    if not machines or min(machines.values()) < 1:
        raise UsageError("a hostfile names machines with 1 accelerator or more", where="hostfile")
    return "".join(f"{name} slots={slots}\n" for name, slots in machines.items())


def _quoted(part: str) -> str:
    import shlex

    return shlex.quote(part)
