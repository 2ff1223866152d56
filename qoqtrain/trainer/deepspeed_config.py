"""DeepSpeed's configuration as a pure function of the settings."""

from __future__ import annotations

from typing import Any

from qoqtrain.trainer.settings import TrainSettings


def deepspeed_config(
    settings: TrainSettings, *, micro_batches: int, bfloat16: bool
) -> dict[str, Any]:
    """The configuration that `deepspeed.initialize` gets, `micro_batches` to an optimizer step.

    The optimizer is torch's AdamW, given beside it: DeepSpeed's own would be compiled first.
    The trainer sets the learning rate before every step. Losses are divided by the tokens of the
    global batch, so the trainer undoes DeepSpeed's means over ranks and micro-batches.
    """
    engine = settings.engine
    zero: dict[str, Any] = {"stage": engine.zero}
    if engine.zero:
        zero |= {"overlap_comm": True, "contiguous_gradients": True, "reduce_scatter": True}
    if engine.zero == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    if engine.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if engine.offload == "all":
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": settings.micro_batch,
        "gradient_accumulation_steps": micro_batches,
        "gradient_clipping": settings.optimizer.clip_norm,
        "bf16": {"enabled": bfloat16},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1_000_000_000,
        "wall_clock_breakdown": False,
    }
