"""Prompts with responses, in micro-batches, and the log-probabilities of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    examples: Sequence[Example],
    lengths: Sequence[int],
    *,
    sequences: int,
    tokens: int | None = None,
    shared: bool = True,
) -> list[list[Example]]:
    """Micro-batches of at most `sequences`, or of as many as fit into `tokens`, padding included,
    but at least one; `lengths` are those of the rows.

    The responses to a row lie together, since they share its prompt where prompts are `shared`,
    and rows are neighbours in length.
    """
    groups: dict[int, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.row, []).append(example)
    whole = {row: lengths[row] + sum(len(e.tokens) for e in groups[row]) for row in groups}
    cuts: list[list[Example]] = []
    for row in sorted(groups, key=lambda row: (-whole[row], row)):
        for example in groups[row]:
            grown = [*cuts[-1], example] if cuts else []
            cost = len(grown) if tokens is None else _padded(grown, lengths, shared)
            if grown and cost <= (sequences if tokens is None else tokens):
                cuts[-1] = grown
            else:
                cuts.append([example])
    return cuts


def _padded(examples: Sequence[Example], lengths: Sequence[int], shared: bool) -> int:
    """Tokens of a forward pass, with padding."""
    rows: dict[int, int] = {}
    for place, example in enumerate(examples):
        key = example.row if shared else place
        rows[key] = rows.get(key, lengths[example.row]) + len(example.tokens)
    return len(rows) * max(rows.values(), default=0)


def in_step(batches: Sequence[list[Example]], count: int) -> list[list[Example]]:
    """The same with as many micro-batches as the rank that has most: those that are lacking hold
    the shortest example, which does not count. Raises UsageError without any example."""
    if not any(batches):
        raise UsageError("no example to train on")
    shortest = min((e for batch in batches for e in batch), key=lambda e: len(e.tokens))
    filler = [replace(shortest, counts=False)]
    return [*batches, *([filler] * (count - len(batches)))]


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
    spread: bool = True,
) -> tuple[Distribution, Responses]:
    """What the policy gives the examples' responses, and these, on the device of `forward`.

    Responses to one row share a pass over its prompt and its images where `forward` can; without
    `spread` entropies are 0. What is not `present` may be anything.
    """
    responses = padded(examples, int(collator.processor.pad_token_id)).to(forward.device)
    if forward.shares_prompts:
        return _behind_prompts(forward, collator, rows, examples, temperature, spread), responses
    batch = collator.batch([rows[example.row] for example in examples])
    inputs = batch.with_responses(responses.tokens.cpu(), responses.present.cpu())
    logits = _logits(forward, inputs, responses.tokens.shape[1] + 1)[:, :-1]
    measure = token_distribution if spread else token_logprobs
    return measure(logits, responses.tokens, temperature=temperature), responses


def _behind_prompts(
    forward: Forward,
    collator: Collator,
    rows: Sequence[Row],
    examples: Sequence[Example],
    temperature: float,
    spread: bool,
) -> Distribution:
    groups: dict[int, list[int]] = {}
    for place, example in enumerate(examples):
        groups.setdefault(example.row, []).append(place)
    batch = collator.batch([rows[row] for row in groups])
    order = list(groups.values())
    inputs = batch.with_branches([[examples[place].tokens for place in group] for group in order])
    width = inputs["input_ids"].shape[1] - batch.input_ids.shape[1] + 1
    targets = torch.zeros((len(order), width), dtype=torch.long)
    longest = max(1, *(len(example.tokens) for example in examples))
    # Where in `targets` the tokens of each example are.
    places = torch.zeros((len(examples), longest), dtype=torch.long)
    for row, group in enumerate(order):
        at = 0
        for place in group:
            tokens = examples[place].tokens
            targets[row, at : at + len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            places[place, : len(tokens)] = row * width + at + torch.arange(len(tokens))
            at += len(tokens)
    logits = _logits(forward, inputs, width)
    measure = token_distribution if spread else token_logprobs
    found = measure(logits, targets.to(forward.device), temperature=temperature)
    places = places.to(forward.device)
    return Distribution(found.logprobs.flatten()[places], found.entropies.flatten()[places])


def _logits(forward: Forward, inputs: Mapping[str, Tensor], last: int) -> Tensor:
    placed = {name: value.to(forward.device, non_blocking=True) for name, value in inputs.items()}
    return forward.forward(**placed, logits_to_keep=last)


def response_logprobs(
    forward: Forward,
    collator: Collator,
    rows: Sequence[Row],
    examples: Sequence[Example],
    *,
    temperature: float = 1.0,
) -> tuple[Tensor, Responses]:
    """(B, R) log-probabilities of the examples' responses, and the responses, on the device."""
    found, responses = response_distribution(
        forward, collator, rows, examples, temperature=temperature, spread=False
    )
    return found.logprobs, responses


def token_logprobs(
    logits: Tensor, tokens: Tensor, *, temperature: float = 1.0, chunk: int = CHUNK
) -> Distribution:
    """`token_distribution` without the work for entropies, which are 0."""
    _check_tokens(logits, tokens)
    return Distribution(*_TokenDistribution.apply(logits, tokens, temperature, chunk, False))


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
