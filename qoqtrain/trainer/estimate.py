"""Memory and time of a rank, from the number of parameters: a guide, not a promise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qoqtrain.trainer.run import Shape
from qoqtrain.trainer.settings import TrainSettings

GIB = 2**30

#: An H100: 40 % of its 989 TFLOP/s in bfloat16, and 3.35 TB/s of memory.
FLOP_RATE, BYTE_RATE = 4e14, 3.35e12


@dataclass(frozen=True)
class Sizes:
    """What the model is made of: `parameters`, those of them that are `trained`, and the language
    model's `layers`, `width` and `vocabulary`."""

    parameters: int
    trained: int
    layers: int
    width: int
    vocabulary: int


@dataclass(frozen=True)
class Memory:
    """GiB on the device of a rank, by what they are for; `host` GiB of a rank in CPU memory."""

    weights: float
    optimizer: float
    gradients: float
    reference: float
    activations: float
    logits: float
    host: float

    @property
    def device(self) -> float:
        """All that is on the device at once."""
        return (
            self.weights
            + self.optimizer
            + self.gradients
            + self.reference
            + self.activations
            + self.logits
        )


def memory_of(
    sizes: Sizes, settings: TrainSettings, *, world: int, bfloat16: bool, deepspeed: bool
) -> Memory:
    """The estimate (ZeRO, arXiv 1910.02054: 2 + 2 bytes of weights and gradients a parameter in
    bfloat16, 12 of float32 master weights and AdamW moments; stages 1, 2, 3 share optimizer,
    gradients, weights over the ranks).

    Activations are one layer input a layer with gradient checkpointing, and 16 times that without;
    logits are those of the response with their gradient, and one float32 chunk. Generation's cache
    comes in the place of both.
    """
    engine = settings.engine
    half = 2 if bfloat16 and deepspeed else 4
    share = [1 if engine.zero < stage else 1 / world for stage in (1, 2, 3)]
    weights = sizes.parameters * half * share[2]
    gradients = sizes.trained * half * share[1]
    optimizer = sizes.trained * (12 if half == 2 else 8) * share[0]
    activation = 2 if bfloat16 else 4
    prompt, response = settings.rollouts.prompt_tokens, settings.rollouts.response_tokens
    tokens = settings.micro_batch * (prompt + response)
    kept = 1 if engine.gradient_checkpointing else 16
    states = tokens * sizes.width * sizes.layers * activation * kept
    logits = settings.micro_batch * sizes.vocabulary * (response * 2 * activation + 512 * 4)
    needs_copy = settings.stage == "drpo" and settings.loss.kl > 0 and settings.lora is None
    reference = sizes.parameters * (2 if bfloat16 else 4) if needs_copy else 0
    host = 0.0
    if engine.offload in ("optimizer", "all"):
        host, optimizer = host + optimizer, 0.0
    if engine.offload == "all":
        host, weights = host + weights, 0.0
    return Memory(
        *(part / GIB for part in (weights, optimizer, gradients, reference, states, logits, host))
    )


@dataclass(frozen=True)
class Time:
    """Seconds of a step on an H100 at most: `generation`, `update`."""

    generation: float
    update: float


def time_of(sizes: Sizes, settings: TrainSettings, shape: Shape, *, prompt_tokens: float) -> Time:
    """The estimate, for prompts of `prompt_tokens` and every answer at its limit.

    Two operations a parameter and token in a forward pass and twice that in a backward one; one
    more forward pass for gradient checkpointing, for the old log-probabilities and for those of
    the reference. Generation reads all weights once for each token of each bucket.
    """
    drpo = settings.stage == "drpo"
    response = settings.rollouts.response_tokens
    tokens = shape.sequences * shape.updates * (prompt_tokens + response)
    passes = 3 + settings.engine.gradient_checkpointing
    passes += drpo * ((shape.updates > 1) + (settings.loss.kl > 0))
    update = 2 * sizes.parameters * tokens * passes / FLOP_RATE
    buckets = math.ceil(tokens / settings.rollouts.batch_tokens)
    reading = buckets * response * sizes.parameters * 2 / BYTE_RATE
    prefill = 2 * sizes.parameters * shape.questions * prompt_tokens / FLOP_RATE
    return Time(generation=drpo * (reading + prefill), update=update)
