"""Prompts with responses, in micro-batches, and the log-probabilities of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqtrain.data.batch import Row
    from qoqtrain.data.collate import Collator
    from qoqtrain.trainer.engine.reference import Forward

#: Positions whose logits are held in float32 at once: 512 x 151,936 are 0.3 GB a row.
CHUNK = 512


@dataclass(frozen=True)
class Example:
    """A response to the prompt of row `row`: its `tokens`, its `advantage`, whether it `counts`
    (one that does not only keeps the ranks in step), the sampler's `logprobs` if it gave any, and
    whether the token limit cut it (`truncated`).
    """

    row: int
    tokens: tuple[int, ...]
    advantage: float = 0.0
    counts: bool = True
    logprobs: tuple[float, ...] | None = None
    truncated: bool = False


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
    batches, at = [], 0
    for index in range(count):
        end = at + size + (index < more)
        batches.append([examples[i] for i in order[at:end]])
        at = end
    filler = replace(examples[order[-1]], counts=False)
    return [batch or [filler] for batch in batches]


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
    inputs = {name: value.to(forward.device, non_blocking=True) for name, value in inputs.items()}
    logits = forward.forward(**inputs, logits_to_keep=responses.tokens.shape[1] + 1)
    return logits[:, :-1]


class Distribution(NamedTuple):
    """(B, R) float32 `logprobs` of tokens and `entropies` in nats of what they were drawn from."""

    logprobs: Tensor
    entropies: Tensor


def response_distribution(
    forward: Forward,
    collator: Collator,
    rows: Sequence[Row],
    examples: Sequence[Example],
    *,
    temperature: float = 1.0,
) -> tuple[Distribution, Responses]:
    """`response_logprobs` with the entropy at each token."""
    logits, responses = _padded_logits(forward, collator, rows, examples)
    return token_distribution(logits, responses.tokens, temperature=temperature), responses


def response_logprobs(
    forward: Forward,
    collator: Collator,
    rows: Sequence[Row],
    examples: Sequence[Example],
    *,
    temperature: float = 1.0,
) -> tuple[Tensor, Responses]:
    """(B, R) log-probabilities of the examples' responses, and the responses, on the device."""
    logits, responses = _padded_logits(forward, collator, rows, examples)
    return token_logprobs(logits, responses.tokens, temperature=temperature), responses


def _padded_logits(
    forward: Forward, collator: Collator, rows: Sequence[Row], examples: Sequence[Example]
) -> tuple[Tensor, Responses]:
    responses = padded(examples, int(collator.processor.pad_token_id)).to(forward.device)
    return response_logits(forward, collator, rows, examples, responses), responses


def token_logprobs(
    logits: Tensor, tokens: Tensor, *, temperature: float = 1.0, chunk: int = CHUNK
) -> Tensor:
    """The log-probabilities of `token_distribution`, without the work for entropies."""
    _check_tokens(logits, tokens)
    return _TokenDistribution.apply(logits, tokens, temperature, chunk, False)[0]


def token_distribution(
    logits: Tensor, tokens: Tensor, *, temperature: float = 1.0, chunk: int = CHUNK
) -> Distribution:
    """(B, T) float32 log-probabilities of `tokens` (B, T) under `logits` (B, T, V) / temperature,
    and the entropies there.

    Computed in float32 whatever the logits are, `chunk` positions at a time, and so is the
    gradient, which has the logits' dtype: beside the logits no tensor of their size is kept.
    Raises UsageError for shapes that do not fit.
    """
    _check_tokens(logits, tokens)
    return Distribution(*_TokenDistribution.apply(logits, tokens, temperature, chunk, True))


def _check_tokens(logits: Tensor, tokens: Tensor) -> None:
    if logits.shape[:2] != tokens.shape:
        raise UsageError(f"logits {tuple(logits.shape)} for tokens {tuple(tokens.shape)}")


class _TokenDistribution(torch.autograd.Function):
    """l = log softmax(logits / temperature) at the tokens, with the gradient 1[token] - p, and the
    entropy H = -sum p log p, with the gradient -p (log p + H)."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, tokens: Tensor, temperature: float, chunk: int, spread: bool
    ) -> tuple[Tensor, Tensor]:
        values = logits.new_empty(tokens.shape, dtype=torch.float32)
        norms, entropies = torch.empty_like(values), torch.zeros_like(values)
        for at in range(0, tokens.shape[1], chunk):
            part = slice(at, at + chunk)
            scaled = logits[:, part].float() / temperature
            norms[:, part] = scaled.logsumexp(-1)
            values[:, part] = scaled.gather(-1, tokens[:, part, None])[..., 0]
            if spread:
                logs = scaled.sub_(norms[:, part, None])
                # p log p is 0 where p is, whatever -inf times 0 says.
                entropies[:, part] = -(logs.exp() * logs.clamp_min(-1e9)).sum(-1)
        ctx.save_for_backward(logits, tokens, norms, entropies)
        ctx.temperature, ctx.chunk = temperature, chunk
        ctx.set_materialize_grads(False)
        return values - norms, entropies

    @staticmethod
    def backward(
        ctx: Any, logprob_slope: Tensor | None, entropy_slope: Tensor | None
    ) -> tuple[Tensor, None, None, None, None]:
        logits, tokens, norms, entropies = ctx.saved_tensors
        gradient = torch.empty_like(logits)
        for at in range(0, tokens.shape[1], ctx.chunk):
            part = slice(at, at + ctx.chunk)
            scaled = logits[:, part].float() / ctx.temperature
            logs = scaled.sub_(norms[:, part, None])
            shares = logs.exp()
            piece = torch.zeros_like(shares)
            if entropy_slope is not None:
                surprise = logs.clamp_min_(-1e9).add_(entropies[:, part, None])
                pull = entropy_slope[:, part, None] / ctx.temperature
                piece = surprise.mul_(shares).mul_(-pull)
            if logprob_slope is not None:
                slope = logprob_slope[:, part, None] / ctx.temperature
                piece = piece.sub_(shares.mul_(slope))
                piece.scatter_add_(-1, tokens[:, part, None], slope)
            gradient[:, part] = piece
        return gradient, None, None, None, None
