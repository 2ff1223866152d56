"""The policy's weights on their way to the server that samples from it."""

from __future__ import annotations

import shutil

from qoqdata.errors import QoqdataError
from qoqtrain.rollout.vllm_weights import load_weights
from qoqtrain.trainer import export
from qoqtrain.trainer.run import TrainingRun

SERVING = "serving"


def push(run: TrainingRun, step: int) -> None:
    """Give the vLLM server, where there is one, the weights that step `step` begins with.

    They pass through OUT/serving, which the server must see under the same path; all ranks call
    this. Raises QoqdataError on every rank when the server does not take them.
    """
    chosen = run.settings.rollouts
    if chosen.backend != "vllm" or not chosen.push or chosen.url is None:
        return
    folder = (run.settings.out / SERVING / f"step-{step:06d}").resolve()
    if run.ranks.first:
        folder.parent.mkdir(parents=True, exist_ok=True)
    export.write_model(run, folder)
    failure: QoqdataError | None = None
    if run.ranks.first:
        try:
            load_weights(chosen.url, folder)
        except QoqdataError as error:
            failure = error
        shutil.rmtree(folder.parent)
    run.ranks.agree(failure)
