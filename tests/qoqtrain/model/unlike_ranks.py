"""One of two processes whose batches hold other modalities than its neighbour's.

python unlike_ranks.py STAGE FAMILY OUT, started by torchrun; rank 0 writes the losses to OUT.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from qoqtrain.data.collate import Collator
from qoqtrain.model.tiny import tiny_policy
from tests.qoqtrain.model.clinical import mixed_records, texts

# Rows of `mixed_records` by step and rank: text with ECG beside images, ECG beside text ...
ROWS = (((0, 3), (1, 2)), ((3,), (0,)), ((2,), (4, 3)))


def main(stage: int, family: str, out: Path) -> None:
    import deepspeed
    import deepspeed.ops

    # gloo does without the collective that DeepSpeed would compile.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("gloo")
    rank = torch.distributed.get_rank()
    policy, processor = tiny_policy(family, texts())
    batch = Collator(processor)(mixed_records())
    engine, *_ = deepspeed.initialize(
        model=policy,
        optimizer=torch.optim.AdamW(policy.parameters(), lr=1e-2),
        config={
            "train_micro_batch_size_per_gpu": 1,
            "zero_optimization": {"stage": stage, "stage3_param_persistence_threshold": 0},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 10**9,
        },
    )
    losses = [_step(engine, batch.take(rows[rank])) for rows in ROWS]
    made = engine.module.generate(
        **batch.take(ROWS[0][rank]).inputs(), max_new_tokens=2, do_sample=False, synced_gpus=True
    )
    assert made.shape[0] == 2
    if rank == 0:
        out.write_text(json.dumps(losses))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _step(engine: Any, batch: Any) -> float:
    with torch.no_grad():
        engine(**batch.inputs(), logits_to_keep=1)
    loss = engine(**batch.inputs(), logits_to_keep=4).float().pow(2).mean() * 100
    engine.backward(loss)
    engine.step()
    total = loss.detach().clone()
    torch.distributed.all_reduce(total)
    return total.item()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
