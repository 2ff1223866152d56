"""Rollouts from the policy's own weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qoqtrain.rollout.protocol import Prompt, Rollout, SamplingSettings, seed_of

#: A number of each rank, on every rank.
Gather = Callable[[int], list[int]]

#: Responses that have ended leave the batch once they are more than one in so many.
LEAVING = 4


@dataclass(frozen=True)
class LocalSampler:
    """Generates with `policy`; `inputs_of` gives the policy's inputs of some prompts by their rows,
    left-padded and on its device; `decode` the text of response tokens.

    Prompts of similar length share a bucket of at most `batch_tokens` tokens; images, ECGs and
    the prompt are encoded once for the group. Every rollout draws from numbers of its own (seed,
    step, question, copy, index), so it does not depend on what shares its batch. `gather`
    is there where ranks make the same number of forward passes (ZeRO-3).
    """

    policy: Any
    inputs_of: Callable[[Sequence[int]], dict[str, Tensor]]
    decode: Callable[[Sequence[int]], str]
    batch_tokens: int
    gather: Gather | None = None

    def __call__(
        self, prompts: Sequence[Prompt], sampling: SamplingSettings, *, seed: int, step: int
    ) -> list[Rollout]:
        """`n` rollouts of every prompt, question after question."""
        rollouts: dict[int, list[Rollout]] = {}
        for rows in self._in_step(self.plan(prompts, sampling)):
            numbers = [
                uniforms(
                    seed_of(seed, step, prompts[row].question, prompts[row].copy, index),
                    sampling.max_tokens,
                )
                for row in rows
                for index in range(sampling.n)
            ]
            answers = generate(
                self.policy,
                self.inputs_of(rows),
                torch.from_numpy(np.stack(numbers)),
                sampling,
                gather=self.gather,
            )
            for place, row in enumerate(rows):
                mine = answers[place * sampling.n : (place + 1) * sampling.n]
                question = prompts[row].question
                rollouts[row] = [
                    Rollout(question, row, index, tokens, self.decode(tokens), truncated)
                    for index, (tokens, truncated) in enumerate(mine)
                ]
        return [rollout for row in range(len(prompts)) for rollout in rollouts[row]]

    def _in_step(self, plan: list[list[int]]) -> list[list[int]]:
        """As many buckets as the rank that has most: the last of the others is written again."""
        if self.gather is None:
            return plan
        most = max(self.gather(len(plan)))
        return [*plan, *([plan[-1][-1:]] * (most - len(plan)))]

    def plan(self, prompts: Sequence[Prompt], sampling: SamplingSettings) -> list[list[int]]:
        """The rows that are generated together."""
        return buckets(
            [prompt.length for prompt in prompts],
            rows=sampling.n,
            extra=sampling.max_tokens,
            limit=self.batch_tokens,
        )


@torch.no_grad()
def generate(
    policy: Any,
    inputs: dict[str, Tensor],
    numbers: Tensor,
    sampling: SamplingSettings,
    *,
    gather: Gather | None = None,
) -> list[tuple[tuple[int, ...], bool]]:
    """Response tokens and whether they were cut off, n a prompt next to each other.

    `numbers` (B * n, max_tokens) float64 in [0, 1) decide every token. The end token is kept. The
    model's own generation settings count for nothing but its end tokens: they would bend the
    distribution that the loss assumes. The policy is left in the mode (training or not) that it was
    in. With `gather` a rank that is done goes on until all are.
    """
    training = policy.training
    policy.eval()
    try:
        return _written(policy, inputs, numbers, sampling, gather)
    finally:
        policy.train(training)


def _written(
    policy: Any,
    inputs: dict[str, Tensor],
    numbers: Tensor,
    sampling: SamplingSettings,
    gather: Gather | None,
) -> list[tuple[tuple[int, ...], bool]]:
    device = inputs["input_ids"].device
    numbers = numbers.to(device)
    ends = torch.tensor(sorted(end_tokens(policy)), device=device)
    decoding = policy.begin(**inputs, n=sampling.n)
    # Which response each row of the batch writes, and whether it goes on.
    rows = torch.arange(len(numbers), device=device)
    going = torch.ones_like(rows, dtype=torch.bool)
    written = torch.zeros(numbers.shape, dtype=torch.long, device=device)
    lengths = torch.zeros_like(rows)
    for place in range(sampling.max_tokens):
        tokens = draw(
            decoding.logits,
            numbers[rows, place],
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )
        written[rows, place] = tokens
        lengths[rows] += going
        going = going & ~torch.isin(tokens, ends)
        left = int(going.sum())
        if place + 1 == sampling.max_tokens or not _any(left, gather):
            break
        if left * LEAVING <= len(rows) * (LEAVING - 1):
            # One row stays where other ranks go on.
            stay = going.nonzero()[:, 0] if left else torch.zeros_like(rows[:1])
            decoding.keep(stay)
            rows, going, tokens = rows[stay], going[stay], tokens[stay]
        decoding.write(tokens)
    counts = lengths.tolist()
    answers = [tuple(row[:count]) for row, count in zip(written.tolist(), counts, strict=True)]
    final = set(ends.tolist())
    return [(tokens, tokens[-1] not in final) for tokens in answers]


def _any(left: int, gather: Gather | None) -> bool:
    return left > 0 if gather is None else any(gather(left))


def end_tokens(policy: Any) -> frozenset[int]:
    """Ids that end a response."""
    end = policy.vlm.generation_config.eos_token_id
    return frozenset(end if isinstance(end, list) else [end])


def uniforms(seed: int, tokens: int) -> NDArray[np.float64]:
    """(tokens,) numbers in [0, 1): one for each token of a rollout (Philox, counter-based)."""
    return np.random.Generator(np.random.Philox(key=seed)).random(tokens)


def draw(logits: Tensor, numbers: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """(B,) token ids by inverting the distribution function at `numbers` (B,), float64 in [0, 1).

    `logits` (B, V). The distribution is softmax(logits / temperature), cut to the smallest set of
    most probable tokens that holds `top_p` of the mass (Holtzman et al., arXiv 1904.09751). Row by
    row, so that a rollout does not depend on what shares its batch.
    """
    probabilities = (logits.float() / temperature).softmax(-1).double()
    if top_p >= 1.0:
        return _invert(probabilities.cumsum(-1), numbers)
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    mass = ordered.cumsum(-1)
    # A token stays when what comes before it does not reach top_p yet.
    nucleus = ordered.masked_fill(mass - ordered >= top_p, 0.0)
    place = _invert(nucleus.cumsum(-1), numbers)
    return tokens.gather(-1, place[:, None])[:, 0]


def _invert(mass: Tensor, numbers: Tensor) -> Tensor:
    """First place where the running `mass` (B, V) exceeds its share `numbers` (B,)."""
    mass, whole = mass.contiguous(), mass[:, -1:].contiguous()
    place = torch.searchsorted(mass, numbers[:, None] * whole, right=True)
    # Rounding may reach the whole mass: then it is the last token that has any.
    return torch.minimum(place, torch.searchsorted(mass, whole))[:, 0]


def buckets(lengths: Sequence[int], *, rows: int, extra: int, limit: int) -> list[list[int]]:
    """Indices of prompts cut into buckets, longest first, equal lengths in the order given.

    `rows` sequences stand for each prompt (its rollouts), each as long as the bucket's longest
    prompt and `extra` tokens; a bucket holds at most `limit` such tokens, but at least one prompt.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    cuts: list[list[int]] = []
    for index in order:
        if cuts:
            tokens = (len(cuts[-1]) + 1) * rows * (lengths[cuts[-1][0]] + extra)
            if tokens <= limit:
                cuts[-1].append(index)
                continue
        cuts.append([index])
    return cuts
