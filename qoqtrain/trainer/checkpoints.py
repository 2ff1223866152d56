"""Checkpoints: a run is saved whole or not at all, and goes on from the last good one.

RUN/checkpoints/latest              name of the last one, written after it
RUN/checkpoints/step-00000010/      engine files, rng-00000.pt, run.json
RUN/checkpoints/.step-00000020.tmp  being written, or left by a save that was interrupted
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from qoqdata.atomic import digest, replacing, write_json
from qoqdata.errors import UsageError
from qoqtrain.trainer.engine.engine import computes_in_bfloat16, uses_deepspeed
from qoqtrain.trainer.engine.ranks import Ranks, first_difference, require_agreement
from qoqtrain.trainer.log import metrics, rollouts
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.questions import StepQuestions
from qoqtrain.trainer.run import TrainingRun

CHECKPOINTS = "checkpoints"
LATEST, RUN, SIZES = "latest", "run.json", "files.json"


def resume_run(run: TrainingRun, stream: Any, data: str) -> int:
    """Continue from the last checkpoint; the step that it was written after, 0 without one.

    What the run wrote of later steps is removed: it is written again. `data` is the digest of the
    data set. Raises UsageError for the checkpoint of another run.
    """
    settings, ranks = run.settings, run.ranks
    folder = latest_checkpoint(settings.out / CHECKPOINTS)
    step = 0
    if folder is not None:
        state = read_checkpoint(folder)
        refuse_other_run(state, settings, world=ranks.world, data=data, where=str(folder))
        run.engine.load(folder, world=int(state["world"]))
        if run.drpo is not None:
            run.drpo.load_state_dict(state["drpo"])
        if run.success is not None:
            run.success.load_state_dict(state["success"])
        stream.load_state_dict(state["stream"])
        step = int(state["step"])
        if (own := _rng(folder, ranks)).is_file():
            _set_rng(torch.load(own, weights_only=True))
        else:
            # A rank that was not there when this was written.
            torch.manual_seed(int(digest([settings.seed, ranks.rank, step])[:12], 16))
    ranks.wait()
    if ranks.first:
        metrics.forget_after(settings.out / metrics.FILE, step)
        rollouts.forget_after(settings.out, step)
    ranks.wait()
    return step


def refuse_other_run(
    state: Mapping[str, Any], settings: TrainSettings, *, world: int, data: str, where: str
) -> None:
    """Raise UsageError when a checkpoint was written by another run than this one, or by an engine
    whose states this one, on `world` ranks, cannot take."""
    fix = "go on with what the checkpoint has, or start a new run with another --out"
    if state.get("fingerprint") != settings.fingerprint():
        what = "the settings are others than those of the checkpoint"
        # Checkpoints of earlier versions do not say which.
        if found := first_difference(state.get("settings"), settings.decisive()):
            path, there, here = found
            what += f": {path} was {there!r} and is {here!r}" if path else ""
        raise UsageError(what, where=where, fix=fix)
    if state.get("data") != data:
        raise UsageError("the data set has changed since the checkpoint", where=where, fix=fix)
    wrote, own = state.get("engine"), engine_facts(settings, world)
    if wrote is not None and wrote != own and (wrote["sharded"] or own["sharded"]):
        raise UsageError(
            f"the checkpoint has the optimizer of {wrote['name']}, this run would be of"
            f" {own['name']}, and in bfloat16 or with ZeRO they keep it in different forms",
            where=where,
            fix=f"set engine.name to {wrote['name']}",
        )


def engine_facts(settings: TrainSettings, world: int) -> dict[str, Any]:
    """Which engine holds the optimizer, and whether in a form that only its kind takes."""
    deepspeed = uses_deepspeed(settings, world)
    sharded = deepspeed and (settings.engine.zero > 0 or computes_in_bfloat16(settings))
    return {"name": "deepspeed" if deepspeed else "torch", "sharded": sharded}


def save_checkpoint(run: TrainingRun, step: int, questions: StepQuestions, data: str) -> None:
    """Save the run after `step` on `questions`; all ranks call this.

    Raises UsageError where the ranks disagree on the state of DRPO.
    """
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
        "settings": settings.decisive(),
        "data": data,
        "world": ranks.world,
        "engine": engine_facts(settings, ranks.world),
        "drpo": drpo,
        "success": None if run.success is None else run.success.state_dict(),
        "stream": questions.state,
    }
    root = settings.out / CHECKPOINTS
    write_checkpoint(root, step, write, state, keep=settings.checkpoints.keep, ranks=ranks)


def write_checkpoint(
    root: Path,
    step: int,
    write: Callable[[Path], None],
    run: dict[str, Any],
    *,
    keep: int,
    ranks: Ranks,
) -> Path:
    """Write the checkpoint of `step` below `root` and return its folder; all ranks call this.

    Every rank calls `write` with a temporary folder; rank 0 then adds `run` (JSON), lists the
    sizes, flushes to disk, renames, points `latest` at it, and removes all but the `keep` newest.
    A kill at any moment leaves the earlier checkpoint in force.
    """
    folder, draft = root / name_of(step), root / f".{name_of(step)}.tmp"
    if ranks.first:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    ranks.wait()
    write(draft)
    ranks.wait()
    if ranks.first:
        write_json(draft / RUN, run)
        write_json(draft / SIZES, _sizes(draft))
        _flush(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
        _flush_folder(root)
        with replacing(root / LATEST) as pointer:
            pointer.write_text(folder.name + "\n", encoding="utf-8")
        _prune(root, keep)
    ranks.wait()
    return folder


def latest_checkpoint(root: Path) -> Path | None:
    """The checkpoint to go on from: the one that `latest` names, else the newest whole one.

    None when there is none. A folder counts as whole when every file that it lists is there with
    its size.
    """
    if not root.is_dir():
        return None
    pointer = root / LATEST
    named = [root / pointer.read_text(encoding="utf-8").strip()] if pointer.is_file() else []
    return next((folder for folder in [*named, *_newest_first(root)] if is_whole(folder)), None)


def is_whole(folder: Path) -> bool:
    """Whether every file that the checkpoint lists is there with its size."""
    try:
        sizes = json.loads((folder / SIZES).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """What `write_checkpoint` was given as `run`; raises UsageError when it is lost or damaged."""
    path = folder / RUN
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fix = "remove this folder to go on from the checkpoint before it"
        raise UsageError(f"cannot be read ({error})", where=str(path), fix=fix) from error


def name_of(step: int) -> str:
    return f"step-{step:08d}"


def _newest_first(root: Path) -> list[Path]:
    return sorted(root.glob("step-*"), reverse=True)


def _prune(root: Path, keep: int) -> None:
    for old in _newest_first(root)[keep:]:
        # Renamed first: a folder half removed must not look like a checkpoint.
        doomed = root / f".{old.name}.old"
        shutil.rmtree(doomed, ignore_errors=True)
        old.rename(doomed)
        shutil.rmtree(doomed)


def _sizes(folder: Path) -> dict[str, int]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
