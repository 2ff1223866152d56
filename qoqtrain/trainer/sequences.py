"""Prompts with responses, cut into micro-batches of similar length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from qoqtrain.data.collate import Collator
    from qoqtrain.data.row import Row
    from qoqtrain.trainer.reference import Forward


@dataclass(frozen=True)
class Example:
    """A response to the prompt of row `row`: its `tokens`, its `advantage`, whether it `counts`
    (one that does not only keeps the ranks in step), and the sampler's `logprobs` if it gave any.
    """

    row: int
    tokens: tuple[int, ...]
    advantage: float = 0.0
    counts: bool = True
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses of B examples, padded on the right to R tokens.

    `tokens` int64 (B, R); `mask` bool (B, R), true on tokens that count; `present` bool (B, R),
    true on tokens; `advantages` float32 (B,); `sampled` float32 (B, R) the sampler's
    log-probabilities, 0 where it gave none.
    """

    tokens: Tensor
    mask: Tensor
    present: Tensor
    advantages: Tensor
    sampled: Tensor

    def to(self, device: torch.device) -> Responses:
        """The same on `device`."""
        parts = {name: getattr(self, name).to(device) for name in self.__dataclass_fields__}
        return replace(self, **parts)


def micro_batches(
    examples: Sequence[Example], lengths: Sequence[int], count: int
) -> list[list[Example]]:
    """Exactly `count` micro-batches, neighbours in total length; `lengths` are those of the rows.

    Sizes differ by one at most. Where there are fewer examples than micro-batches the shortest
    stands in, without counting. Raises UsageError without any example.
    """
    if not examples:
        raise UsageError("no example to train on")
    order = sorted(
        range(len(examples)),
        key=lambda i: (-lengths[examples[i].row] - len(examples[i].tokens), i),
    )
    size, more = divmod(len(examples), count)
    cut, at = [], 0
    for index in range(count):
        end = at + size + (index < more)
        cut.append([examples[i] for i in order[at:end]])
        at = end
    filler = replace(examples[order[-1]], counts=False)
    return [batch or [filler] for batch in cut]


def padded(examples: Sequence[Example], pad: int) -> Responses:
    """The responses of `examples`; at least one column wide."""
    width = max(1, *(len(example.tokens) for example in examples))
    tokens = torch.full((len(examples), width), pad, dtype=torch.long)
    present = torch.zeros((len(examples), width), dtype=torch.bool)
    sampled = torch.zeros((len(examples), width))
    for row, example in enumerate(examples):
        tokens[row, : len(example.tokens)] = torch.tensor(example.tokens, dtype=torch.long)
        present[row, : len(example.tokens)] = True
        if example.logprobs is not None:
            sampled[row, : len(example.tokens)] = torch.tensor(example.logprobs)
    counts = torch.tensor([example.counts for example in examples])
    advantages = torch.tensor([example.advantage for example in examples], dtype=torch.float32)
    return Responses(tokens, present & counts[:, None], present, advantages, sampled)


def response_logits(
    forward: Forward,
    collator: Collator,
    rows: Sequence[Row],
    examples: Sequence[Example],
    responses: Responses,
) -> Tensor:
    """Logits (B, R, V) that predict the response tokens; prompts make none."""
    batch = collator.batch([rows[example.row] for example in examples])
    inputs = batch.with_responses(responses.tokens.cpu(), responses.present.cpu())
    moved = {name: value.to(forward.device, non_blocking=True) for name, value in inputs.items()}
    logits = forward.forward(**moved, logits_to_keep=responses.tokens.shape[1] + 1)
    return logits[:, :-1]
