"""What a run would refuse sooner or later, refused before anything is loaded."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import polars as pl

from qoqdata.errors import UsageError
from qoqtrain import rewards
from qoqtrain.trainer.engine.engine import uses_deepspeed
from qoqtrain.trainer.plan.fitness import Unfit, in_words
from qoqtrain.trainer.plan.settings import TrainSettings

if TYPE_CHECKING:
    from qoqtrain.drpo import DRPO


def refuse_settings(settings: TrainSettings, *, world: int) -> None:
    """Raise UsageError for settings that contradict each other, name what is not there, or need
    what is not installed; no data set and no model is looked at."""
    needed = {
        "deepspeed": ("engine.name", uses_deepspeed(settings, world)),
        "peft": ("lora", settings.lora is not None),
        "wandb": ("log.wandb", settings.log.wandb is not None),
        "vllm": ("rollouts.backend", settings.rollouts.backend == "vllm_colocated"),
    }
    for package, (where, is_needed) in needed.items():
        if is_needed and not is_installed(package):
            fix = f"pip install {package}, or leave {where} out"
            raise UsageError(f"{package} is not installed", where=where, fix=fix)
    for name, value in zip(("betas[0]", "betas[1]"), settings.optimizer.betas, strict=True):
        if not 0 <= value < 1:
            fix = "0.9 and 0.999 are usual"
            raise UsageError(f"{value} is not in [0, 1)", where=f"optimizer.{name}", fix=fix)
    _refuse_folder(settings.out)
    if settings.micro_tokens is not None:
        _require_room("micro_tokens", settings.micro_tokens, settings)
    if settings.ecg_weights is not None and not Path(settings.ecg_weights).is_file():
        fix = "give the checkpoint of an ECG-JEPA encoder, or leave ecg_weights out"
        where = f"ecg_weights {settings.ecg_weights}"
        raise UsageError("there is no such file", where=where, fix=fix)
    if settings.stage == "align" and settings.ecg == "none":
        fix = "leave ecg out, or go on with the stage sft or drpo"
        raise UsageError("without an ECG branch there is nothing to align", where="ecg", fix=fix)
    if settings.stage != "drpo":
        return
    if settings.learn_from != "answers":
        fix = "set stage to sft, or leave learn_from out"
        raise UsageError("DRPO learns from its own rollouts", where="learn_from", fix=fix)
    rewards.score([], [], settings.reward.preset, **settings.reward.settings)
    rollouts = settings.rollouts
    if rollouts.serves and not rollouts.urls:
        fix = "set rollouts.url, such as http://localhost:8000/v1"
        raise UsageError("the backend needs its server's address", where="rollouts", fix=fix)
    for url in rollouts.urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            fix = "write it as http://localhost:8000/v1"
            raise UsageError(f"{url!r} is no address", where="rollouts.url", fix=fix)
    if rollouts.backend == "local":
        _require_room("rollouts.batch_tokens", rollouts.batch_tokens, settings)
    if rollouts.overlong_buffer > rollouts.response_tokens:
        what = f"{rollouts.overlong_buffer} tokens before a limit of {rollouts.response_tokens}"
        fix = "lower it, or raise rollouts.response_tokens"
        raise UsageError(what, where="rollouts.overlong_buffer", fix=fix)


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def refuse_estimator(drpo: DRPO, settings: TrainSettings) -> None:
    """Raise UsageError for an estimator that the trainer's rewards cannot feed."""
    chosen = drpo.settings
    if chosen.kl_damping != "none" and not settings.loss.kl:
        raise UsageError(
            f"drpo.preset={settings.drpo.preset} damps by the divergence from a reference, and"
            " there is none",
            where="loss.kl",
            fix="set loss.kl, 1e-4 in the paper, or drpo.settings.kl_damping=none",
        )
    if chosen.part_weights is not None and len(chosen.part_weights) != 1:
        raise UsageError(
            f"{len(chosen.part_weights)} weights for one reward",
            where="drpo.settings.part_weights",
            fix="weigh the parts in reward.settings.weights",
        )
    low, high = chosen.reward_range or (0.0, 1.0)
    if low > 0 or high < 1:
        what = f"rewards lie in [0, 1], not in [{low:g}, {high:g}]"
        raise UsageError(what, where="drpo.settings.reward_range", fix="leave it out")


def refuse_ecgs(settings: TrainSettings, records: pl.DataFrame, ids: list[str]) -> None:
    """Raise UsageError where an engine other than the policy would be asked about an ECG beside
    images: it takes embeddings of an ECG alone, and reads images itself."""
    if settings.stage != "drpo" or settings.rollouts.backend == "local":
        return
    both = records.filter(pl.col("n_images") > 0, pl.col("id").is_in(ids)).height
    if both:
        raise UsageError(
            f"{both:,} records show an ECG beside images, and {settings.rollouts.backend} reads"
            " either alone",
            where="rollouts.backend",
            fix="set ecg to none, which leaves them out, or rollouts.backend to local",
        )


def refuse_unfit(unfit: Sequence[Unfit], settings: TrainSettings, count: int) -> None:
    """Raise UsageError where a run would stop at one of them, or has nothing else."""
    if not unfit:
        return
    if settings.rollouts.unfit == "stop" or len(unfit) == count:
        raise UsageError(
            f"{len(unfit):,} of {count:,} training records cannot be shown ({in_words(unfit)}):"
            f" {unfit[0].why}",
            where=f"record {unfit[0].id}",
            fix="set rollouts.unfit to leave_out, raise rollouts.prompt_tokens or lower max_pixels",
        )


def refuse_checkpoint(settings: TrainSettings, *, world: int, data: str) -> None:
    """Raise UsageError where `out` holds a checkpoint of another run."""
    from qoqtrain.trainer import checkpoints

    folder = checkpoints.latest_checkpoint(settings.out / checkpoints.CHECKPOINTS)
    if folder is not None:
        state = checkpoints.read_checkpoint(folder)
        checkpoints.refuse_other_run(state, settings, world=world, data=data, where=str(folder))


def _require_room(name: str, tokens: int, settings: TrainSettings) -> None:
    """At least one response has to fit; what holds no whole group is the user's choice."""
    if tokens <= settings.rollouts.response_tokens:
        what = f"{tokens:,} tokens hold no response of {settings.rollouts.response_tokens:,}"
        fix = "raise it above rollouts.response_tokens and the length of a prompt"
        raise UsageError(what, where=name, fix=fix)


def _refuse_folder(out: Path) -> None:
    if out.parts and out.parts[0].endswith(":"):
        fix = "write the run into a folder, and copy it from there"
        raise UsageError("is a URL", where=f"out {out}", fix=fix)
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "is no folder" if not there.is_dir() else "cannot be written into"
        raise UsageError(what, where=f"out {there}", fix="name another folder with --out")
