"""The trained model as transformers and `load_policy` read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from qoqtrain.trainer import adapters
from qoqtrain.trainer.engine import computes_in_bfloat16
from qoqtrain.trainer.run import TrainingRun

MODEL = "model"


def export(run: TrainingRun) -> Path:
    """Write the trained model where `load_policy` and transformers find it: OUT/model."""
    folder = run.settings.out / MODEL
    write_model(run, folder)
    run.ranks.wait()
    return folder


def write_model(run: TrainingRun, folder: Path) -> None:
    """Write the policy to `folder`, whole or not at all, adapters merged into it, from rank 0; all
    ranks call this."""
    weights = run.engine.weights()
    if run.ranks.first:
        draft = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(draft, ignore_errors=True)
        policy = run.engine.module
        dtype = torch.bfloat16 if computes_in_bfloat16(run.settings) else torch.float32
        plain = adapters.merged(weights, policy)
        held = {name: value.detach().to("cpu", dtype) for name, value in plain.items()}
        policy.save_pretrained(draft, held)
        run.collator.processor.save_pretrained(draft)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
