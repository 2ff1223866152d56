"""Saving a run and going on with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from qoqdata.errors import UsageError
from qoqtrain.adapters.agreement import require_agreement
from qoqtrain.trainer import checkpoints, metrics, rollout_log
from qoqtrain.trainer.feed import Taken
from qoqtrain.trainer.ranks import Ranks
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.settings import TrainSettings

CHECKPOINTS = "checkpoints"


def resume(run: TrainingRun, stream: Any, data: str) -> int:
    """Continue from the last checkpoint; the steps that it has done, 0 without one."""
    settings, ranks = run.settings, run.ranks
    folder = checkpoints.latest(settings.out / CHECKPOINTS)
    done = 0
    if folder is not None:
        state = checkpoints.read_run(folder)
        refuse_other(state, settings, world=ranks.world, data=data, where=str(folder))
        run.engine.load(folder)
        if run.drpo is not None:
            run.drpo.load_state_dict(state["drpo"])
        stream.load_state_dict(state["stream"])
        _set_rng(torch.load(_rng(folder, ranks), weights_only=True))
        done = int(state["step"])
    ranks.wait()
    if ranks.first:
        metrics.forget_after(settings.out / metrics.FILE, done)
        rollout_log.forget_after(settings.out, done)
    ranks.wait()
    return done


def refuse_other(
    state: Mapping[str, Any], settings: TrainSettings, *, world: int, data: str, where: str
) -> None:
    """Raise UsageError when a checkpoint was written by another run than this one."""
    fix = "go on with what the checkpoint has, or start a new run with another --out"
    for name, here in (
        ("fingerprint", settings.fingerprint()),
        ("data", data),
        ("world", world),
    ):
        if state.get(name) != here:
            what = {
                "fingerprint": "the settings are others than those of the checkpoint",
                "data": "the data set has changed since the checkpoint",
                "world": f"the checkpoint was written by {state.get('world')} ranks, these are"
                f" {world}; optimizer states are not moved between numbers of ranks",
            }[name]
            raise UsageError(what, where=where, fix=fix)


def save(run: TrainingRun, step: int, taken: Taken, data: str) -> None:
    settings, ranks = run.settings, run.ranks

    def write(folder: Path) -> None:
        run.engine.save(folder)
        torch.save(_get_rng(), _rng(folder, ranks))

    drpo = None if run.drpo is None else run.drpo.state_dict()
    require_agreement([state for state in ranks.gather(drpo) if state is not None])
    state = {
        **run.facts(),
        "step": step,
        "fingerprint": settings.fingerprint(),
        "data": data,
        "world": ranks.world,
        "drpo": drpo,
        "stream": taken.state,
    }
    root = settings.out / CHECKPOINTS
    checkpoints.save(root, step, write, state, keep=settings.checkpoints.keep, ranks=ranks)


def _rng(folder: Path, ranks: Ranks) -> Path:
    return folder / f"rng-{ranks.rank:05d}.pt"


def _get_rng() -> list[torch.Tensor]:
    """States of the generators that layers such as dropout use: the CPU's, the accelerator's."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


def _set_rng(states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
