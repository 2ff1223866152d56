"""The policy's weights on their way out: the trained model, and the server that samples from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from qoqdata.errors import QoqdataError
from qoqtrain.rollout import sglang, vllm
from qoqtrain.rollout.server import Unreachable
from qoqtrain.rollout.servers import Servers
from qoqtrain.trainer.engine.engine import computes_in_bfloat16
from qoqtrain.trainer.lora import merged_weights
from qoqtrain.trainer.plan.settings import MODEL_FOLDER
from qoqtrain.trainer.run import TrainingRun

#: Folder of the run for the weights while a server loads them.
SERVING = "serving"


def export_model(run: TrainingRun) -> Path:
    """Write the trained model where `load_policy` and transformers find it: OUT/model."""
    folder = run.settings.out / MODEL_FOLDER
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
        plain = merged_weights(weights, policy)
        state = {name: value.detach().to("cpu", dtype) for name, value in plain.items()}
        policy.save_pretrained(draft, state)
        run.collator.processor.save_pretrained(draft)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)


def push_weights(run: TrainingRun, step: int) -> None:
    """Give the servers or colocated engines, where there are any, the weights that step `step`
    begins with.

    They pass through OUT/serving, which the servers must see under the same path; all ranks call
    this. A server that does not answer is left out of the step. Raises QoqdataError on every rank
    when one does not take them, or none answers.
    """
    settings = run.settings.rollouts
    if settings.backend == "local":
        return
    if settings.serves and not settings.push:
        # Whoever updates them says when they are back: we ask again.
        run.servers.regain({})
        return
    folder = (run.settings.out / SERVING / f"step-{step:06d}").resolve()
    if run.ranks.first:
        folder.parent.mkdir(parents=True, exist_ok=True)
    write_model(run, folder)
    # Every rank has an engine of its own, and the first one speaks with the servers.
    run.ranks.wait()
    failure: QoqdataError | None = None
    try:
        if run.colocated is not None:
            run.colocated.load(folder)
        elif run.ranks.first:
            _load_all(run.servers, folder, LOADERS[settings.backend])
    except QoqdataError as error:
        failure = error
    run.ranks.wait()
    if run.ranks.first:
        shutil.rmtree(folder.parent)
    run.ranks.agree(failure)
    run.servers.regain(run.ranks.gather(run.servers.lost)[0])


#: How servers of each kind load the weights of a folder.
LOADERS: Mapping[str, Callable[[str, Path], None]] = {
    "vllm": vllm.load_weights,
    "sglang": sglang.load_weights,
}


def _load_all(servers: Servers, folder: Path, load: Callable[[str, Path], None]) -> None:
    """Have every server load the weights; those that do not answer are lost from now on, those
    that do are asked again. Raises QoqdataError where none answers."""
    lost: dict[str, Unreachable] = {}
    for url in servers.urls:
        try:
            load(url, folder)
        except Unreachable as error:
            lost[url] = error
    if len(lost) == len(servers.urls):
        raise next(iter(lost.values()))
    reasons = {url: error.what for url, error in lost.items()}
    for url, why in reasons.items():
        servers.lose(url, why)
    servers.regain(reasons)
