"""How much memory a rank takes, every part by its name, from the model's sizes and the settings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import NamedTuple

from qoqtrain.model.policy import MASKED
from qoqtrain.rollout.local import buckets
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.run import copies_reference
from qoqtrain.trainer.step.sequences import CHUNK, Example, micro_batches

GIB = 2**30
#: Elements of DeepSpeed's buckets: one that is reduced and one that is filled, one that is gathered
#: (its defaults), and parameters of ZeRO-3 that are whole at once at most.
BUCKET, LIVE = 500_000_000, 1_000_000_000
#: GiB of a CUDA context with its libraries.
CONTEXT = 0.75


@dataclass(frozen=True)
class Sizes:
    """What the model is made of: `parameters`, those of them that are `trained`, and the language
    model's `layers`, `width` and `vocabulary`; `kv_width` of its keys, `width` where it is 0;
    `inner_width` of its gated MLPs, four times `width` where it is 0; attention `heads`;
    `new_branch`, whether the ECG branch begins with this run."""

    parameters: int
    trained: int
    layers: int
    width: int
    vocabulary: int
    kv_width: int = 0
    inner_width: int = 0
    heads: int = 0
    new_branch: bool = False


@dataclass(frozen=True)
class Memory:
    """GiB on the device of a rank, by what they are for; `host` GiB of a rank in CPU memory.

    There all the time: `weights` that are trained, `frozen` ones (under LoRA the base), the
    `optimizer`'s states, `gradients`, the `reference` policy, and `buffers` of communication and of
    the device's runtime. In an update: `activations`, `logits`, the `mask` of shared prompts.
    In generation: `prefill`, while prompts are read, then the `cache` of keys and values with
    `sampling`, the probabilities of the next token. `casts` are bfloat16 copies of float32 weights
    in either. In the optimizer's step: `stepping`, what it works out beside its states.
    """

    weights: float
    frozen: float
    optimizer: float
    gradients: float
    reference: float
    casts: float
    activations: float
    logits: float
    mask: float
    prefill: float
    cache: float
    sampling: float
    stepping: float
    buffers: float
    host: float

    @property
    def states(self) -> float:
        """What is there all the time."""
        return (
            self.weights
            + self.frozen
            + self.optimizer
            + self.gradients
            + self.reference
            + self.buffers
        )

    @property
    def update(self) -> float:
        """What an update's passes take beside the states."""
        return self.casts + self.activations + self.logits + self.mask

    @property
    def generation(self) -> float:
        """What rollouts take beside the states."""
        return self.casts + max(self.prefill, self.cache + self.sampling)

    @property
    def device(self) -> float:
        """The most that is on the device at once: they come one after the other."""
        return self.states + max(self.update, self.generation, self.stepping)


def memory_of(
    sizes: Sizes, settings: TrainSettings, *, world: int, bfloat16: bool, deepspeed: bool
) -> Memory:
    """The estimate, with every prompt and response at its limit.

    States (ZeRO, arXiv 1910.02054): 2 + 2 bytes of weights and gradients a parameter in bfloat16,
    12 of float32 master weights and AdamW moments; stages 1, 2, 3 share optimizer, gradients,
    weights over the ranks. torch alone keeps float32 weights and computes in bfloat16. Frozen
    parameters have weights and nothing else. AdamW works out a float32 root of a moment for all
    that is trained, on DeepSpeed from float32 gradients.

    Not counted: the vision tower's activations.
    `benchmarks/memory.py` measures what a CPU can.
    """
    engine = settings.engine
    half = 2 if bfloat16 and deepspeed else 4
    share = [1 if engine.zero < stage else 1 / world for stage in (1, 2, 3)]
    frozen = (sizes.parameters - sizes.trained) * half * share[2]
    weights = sizes.trained * half * share[2]
    gradients = sizes.trained * half * share[1]
    optimizer = sizes.trained * (12 if half == 2 else 8) * share[0]
    stepping = sizes.trained * (8 if half == 2 else 4) * share[0]
    copied = copies_reference(settings, new_branch=sizes.new_branch)
    width = Width(2 if bfloat16 else 4, half)
    passing = _passing(sizes, settings, world, width)
    writing = _writing(sizes, settings, world, width)
    host = 0.0
    if engine.offload in ("optimizer", "all"):
        host, optimizer, stepping = host + optimizer, 0.0, 0.0
    if engine.offload == "all":
        host, weights, frozen = host + weights + frozen, 0.0, 0.0
    parts = Memory(
        weights=weights,
        frozen=frozen,
        optimizer=optimizer,
        gradients=gradients,
        reference=sizes.parameters * half if copied else 0,
        casts=_casts(sizes, settings) if bfloat16 and not deepspeed else 0,
        activations=passing.activations,
        logits=passing.logits,
        mask=passing.mask,
        prefill=writing.prefill,
        cache=writing.cache,
        sampling=writing.sampling,
        stepping=stepping,
        buffers=CONTEXT * GIB + _buckets(sizes, settings, half) * deepspeed,
        host=host,
    )
    return Memory(**{part.name: getattr(parts, part.name) / GIB for part in fields(parts)})


class Width(NamedTuple):
    """Bytes of a number: where layers compute, and where weights, residuals and norms are; torch
    alone keeps these in float32 and computes in bfloat16."""

    inner: int
    outer: int


class PassShape(NamedTuple):
    """A forward pass over `rows` of `length` tokens, with logits at `responses` of these."""

    rows: int
    length: int
    responses: int


def pass_shapes(settings: TrainSettings, *, world: int) -> set[PassShape]:
    """The forward passes of an update, cut as the update cuts them."""
    prompt, response = settings.rollouts.prompt_tokens, settings.rollouts.response_tokens
    questions = max(1, settings.questions // world)
    copies = settings.rollouts.per_question if settings.stage == "drpo" else 1
    shared = shares_prompts(settings)
    blank = (0,) * response
    cuts = micro_batches(
        [Example(row, blank) for row in range(questions) for _ in range(copies)],
        [prompt] * questions,
        sequences=settings.micro_batch,
        tokens=settings.micro_tokens,
        shared=shared,
    )
    shapes = set()
    for cut in cuts:
        behind = Counter(example.row for example in cut)
        if shared:
            # Responses begin with copies of the prompt's last token, which has no place of its own.
            width = max(behind.values()) * response
            shapes.add(PassShape(len(behind), prompt - 1 + width, width))
        else:
            shapes.add(PassShape(len(cut), prompt + response, response + 1))
    return shapes


def shares_prompts(settings: TrainSettings) -> bool:
    """Whether responses to a question stand behind one prompt."""
    return settings.engine.attention in MASKED


class Passing(NamedTuple):
    """Bytes of a forward and backward pass."""

    activations: float
    logits: float
    mask: float


def _passing(sizes: Sizes, settings: TrainSettings, world: int, width: Width) -> Passing:
    """Of the pass that takes most."""
    shapes = pass_shapes(settings, world=world)
    return max((_bytes_of(shape, sizes, settings, width) for shape in shapes), key=sum)


def _bytes_of(shape: PassShape, sizes: Sizes, settings: TrainSettings, width: Width) -> Passing:
    """A layer keeps some times its input and the width of its MLP (`_kept`); with gradient
    checkpointing its input, and one layer at a time the rest, which comes in the place of logits.
    The mask is one of bools, and each layer that is kept holds it in the dtype of the scores."""
    tokens, pairs = shape.rows * shape.length, shape.rows * shape.length**2
    attention, checkpointed = settings.engine.attention, settings.engine.gradient_checkpointing
    logits = shape.rows * sizes.vocabulary * _of_a_logit(shape.responses, width.inner)
    inputs, inners = _kept(settings)
    layer = tokens * inputs * sizes.width * width.outer
    layer += tokens * inners * (sizes.inner_width or 4 * sizes.width) * width.inner
    if attention == "eager":
        # Shares in float32, and once more in the dtype of the values.
        layer += pairs * sizes.heads * (4 + width.inner * (width.inner < 4))
    if checkpointed:
        activations = tokens * sizes.width * sizes.layers * width.outer + max(0, layer - logits)
    else:
        activations = layer * sizes.layers
    mask = 0
    if attention == "sdpa":
        mask = pairs * (1 + (1 if checkpointed else sizes.layers) * width.inner)
    elif attention == "eager":
        mask = pairs * (1 + width.outer)
    return Passing(activations, logits, mask)


def _of_a_logit(responses: int, inner: int) -> int:
    """Bytes for an entry of the vocabulary at `responses` positions: logits with four float32
    chunks while entropies are worked out, or with their gradient and three."""
    chunk = 4 * min(CHUNK, responses)
    return max(responses * inner + 4 * chunk, 2 * responses * inner + 3 * chunk)


def _kept(settings: TrainSettings) -> tuple[int, int]:
    """How often a layer keeps its input's width and its MLP's; a frozen linear layer does not keep
    what goes into it."""
    if settings.lora is None and settings.stage != "align":
        return 10, 4
    adapted = set() if settings.lora is None else set(settings.lora.targets)
    return 5 + bool(adapted & {"gate_proj", "up_proj"}), 3 + ("down_proj" in adapted)


class Writing(NamedTuple):
    """Bytes of generation: of reading the prompts, with their keys and values; of keys and values
    at the end; of the next token's probabilities."""

    prefill: float
    cache: float
    sampling: float


def _writing(sizes: Sizes, settings: TrainSettings, world: int, width: Width) -> Writing:
    """Of the largest bucket of rollouts.

    Keys and values are as wide as residuals: rotary positions make them so. The probabilities and
    their sum are float64; top_p sorts them.
    """
    rollouts = settings.rollouts
    if settings.stage != "drpo" or rollouts.backend != "local":
        return Writing(0, 0, 0)
    cuts = buckets(
        [rollouts.prompt_tokens] * max(1, settings.questions // world),
        rows=rollouts.per_question,
        extra=rollouts.response_tokens,
        limit=rollouts.batch_tokens,
    )
    prompts = max(map(len, cuts))
    sequences, read = prompts * rollouts.per_question, prompts * rollouts.prompt_tokens
    token = 2 * sizes.layers * (sizes.kv_width or sizes.width) * width.outer
    layer = 4 * sizes.width * width.outer
    layer += 3 * (sizes.inner_width or 4 * sizes.width) * width.inner
    if settings.engine.attention == "eager":
        layer += rollouts.prompt_tokens * (sizes.heads + 1) * 4
    doubles = 2 if rollouts.top_p >= 1 else 6
    return Writing(
        prefill=read * (token + layer),
        cache=sequences * (rollouts.prompt_tokens + rollouts.response_tokens) * token,
        sampling=sequences * sizes.vocabulary * (width.inner + 8 * doubles),
    )


def _casts(sizes: Sizes, settings: TrainSettings) -> float:
    """Bytes of what autocast keeps: trained weights for a pass, frozen ones where the backward pass
    needs them and does not make them anew, and at least those of the head."""
    whole = not settings.engine.gradient_checkpointing
    return 2 * max(sizes.parameters if whole else sizes.trained, sizes.vocabulary * sizes.width)


def _buckets(sizes: Sizes, settings: TrainSettings, half: int) -> float:
    """Bytes of DeepSpeed's buckets, none larger than what it holds."""
    stage = settings.engine.zero
    reduced = 2 * min(BUCKET, sizes.trained) * half if stage else 0
    gathered = min(BUCKET, sizes.trained) * half if stage in (1, 2) else 0
    live = min(LIVE, sizes.parameters) * half if stage == 3 else 0
    return reduced + gathered + live
