"""What a run would refuse sooner or later, refused before anything is loaded."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from qoqdata.errors import InputError, UsageError
from qoqtrain import rewards
from qoqtrain.trainer.engine.engine import uses_deepspeed
from qoqtrain.trainer.plan.settings import TrainSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qoqdata.dataset import Dataset
    from qoqtrain.drpo import DRPO
    from qoqtrain.model.processor import Processor

_SIZES = ("image_info.list.element.width", "image_info.list.element.height")


def refuse_settings(settings: TrainSettings, *, world: int) -> None:
    """Raise UsageError for settings that contradict each other, name what is not there, or need
    what is not installed; no data set and no model is looked at."""
    needed = {
        "deepspeed": ("engine.name", uses_deepspeed(settings, world)),
        "peft": ("lora", settings.lora is not None),
        "wandb": ("log.wandb", settings.log.wandb is not None),
    }
    for package, (where, is_needed) in needed.items():
        if is_needed and importlib.util.find_spec(package) is None:
            fix = f"pip install {package}, or leave {where} out"
            raise UsageError(f"{package} is not installed", where=where, fix=fix)
    for name, value in zip(("betas[0]", "betas[1]"), settings.optimizer.betas, strict=True):
        if not 0 <= value < 1:
            raise UsageError(f"{value} is not in [0, 1)", where=f"optimizer.{name}")
    _refuse_folder(settings.out)
    if settings.ecg_weights is not None and not Path(settings.ecg_weights).is_file():
        raise UsageError("there is no such file", where=f"ecg_weights {settings.ecg_weights}")
    if settings.stage != "drpo":
        return
    if settings.learn_from != "answers":
        fix = "set stage to sft, or leave learn_from out"
        raise UsageError("DRPO learns from its own rollouts", where="learn_from", fix=fix)
    rewards.score([], [], settings.reward.preset, **settings.reward.settings)
    rollouts = settings.rollouts
    if rollouts.backend == "vllm" and not rollouts.urls:
        fix = "set rollouts.url, such as http://localhost:8000/v1"
        raise UsageError("the vLLM backend needs its server's address", where="rollouts", fix=fix)
    for url in rollouts.urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            fix = "write it as http://localhost:8000/v1"
            raise UsageError(f"{url!r} is no address", where="rollouts.url", fix=fix)
    if rollouts.overlong_buffer > rollouts.response_tokens:
        what = f"{rollouts.overlong_buffer} tokens before a limit of {rollouts.response_tokens}"
        raise UsageError(what, where="rollouts.overlong_buffer")


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


def refuse_ecgs(settings: TrainSettings, ecg: list[str] | None, ids: list[str]) -> None:
    """Raise UsageError where a server, which reads no ECG, would be asked about one."""
    if settings.stage == "drpo" and settings.rollouts.backend == "vllm" and ids and ecg is None:
        raise UsageError(
            f"{len(ids):,} records show an ECG, and a vLLM server reads none",
            where="rollouts.backend",
            fix="set ecg to none, which leaves them out, or rollouts.backend to local",
        )


def unfit_records(
    dataset: Dataset, records: pl.DataFrame, processor: Processor, settings: TrainSettings
) -> dict[str, str]:
    """Id -> why a training record cannot be shown, of all that the stored sizes alone tell: images
    that the processor refuses, or that have more tokens than a prompt may. No pixel is read."""
    table = pl.DataFrame(dataset.files.leaves(["id", *_SIZES]))
    sizes = table.join(records.select("id"), on="id", how="semi").select("id", "image_info")
    tokens: dict[tuple[int, int], int | str] = {}
    unfit: dict[str, str] = {}
    for name, info in sizes.sort("id").iter_rows():
        counts = [_tokens(tokens, image, processor) for image in info or ()]
        faults = [count for count in counts if isinstance(count, str)]
        total = sum(count for count in counts if isinstance(count, int))
        limit = settings.rollouts.prompt_tokens
        if faults:
            unfit[name] = faults[0]
        elif total >= limit:
            unfit[name] = f"{total} tokens of {len(counts)} images; {limit} a prompt are allowed"
    return unfit


def _tokens(
    known: dict[tuple[int, int], int | str], image: Mapping[str, Any], processor: Processor
) -> int | str:
    size = int(image["width"]), int(image["height"])
    if size not in known:
        try:
            known[size] = processor.image_tokens(*size)
        except InputError as error:
            known[size] = str(error)
    return known[size]


def refuse_unfit(unfit: Mapping[str, str], settings: TrainSettings, count: int) -> None:
    """Raise UsageError where a run would stop at one of them, or has nothing else."""
    if not unfit:
        return
    if settings.rollouts.unfit == "stop" or len(unfit) == count:
        name, why = next(iter(unfit.items()))
        raise UsageError(
            f"{len(unfit):,} of {count:,} training records cannot be shown: {why}",
            where=f"record {name}",
            fix="set rollouts.unfit to leave_out, or change max_pixels or rollouts.prompt_tokens",
        )


def refuse_checkpoint(settings: TrainSettings, *, world: int, data: str) -> None:
    """Raise UsageError where `out` holds a checkpoint of another run."""
    from qoqtrain.trainer import checkpoints

    folder = checkpoints.latest_checkpoint(settings.out / checkpoints.CHECKPOINTS)
    if folder is not None:
        state = checkpoints.read_checkpoint(folder)
        checkpoints.refuse_other_run(state, settings, world=world, data=data, where=str(folder))


def _refuse_folder(out: Path) -> None:
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "is no folder" if not there.is_dir() else "cannot be written into"
        raise UsageError(what, where=f"out {there}", fix="name another folder with --out")
