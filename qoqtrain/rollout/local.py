"""Rollouts from the policy's own weights, by transformers' generate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from qoqtrain.rollout.protocol import Prompt, Rollout, SamplingSettings, seed_of

#: The model's own generation settings must not bend the distribution that the loss assumes.
PLAIN = {
    "do_sample": True,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "use_cache": True,
}


@dataclass(frozen=True)
class LocalSampler:
    """Generates with `policy`; `inputs_of` gives the policy's inputs of some prompts by their rows,
    left-padded and on its device; `decode` the text of response tokens.

    Prompts of similar length share a bucket of at most `batch_tokens` tokens; images, ECGs and
    the prompt are encoded once for the group. Every rollout draws from numbers of its own (seed,
    step, question, copy, index), so it does not depend on what shares its batch. `together`: all
    ranks make the same number of forward passes (ZeRO-3).
    """

    policy: Any
    inputs_of: Callable[[Sequence[int]], dict[str, Tensor]]
    decode: Callable[[Sequence[int]], str]
    batch_tokens: int
    together: bool = False

    def __call__(
        self, prompts: Sequence[Prompt], sampling: SamplingSettings, *, seed: int, step: int
    ) -> list[Rollout]:
        """`n` rollouts of every prompt, question after question."""
        rollouts: dict[int, list[Rollout]] = {}
        for rows in self.plan(prompts, sampling):
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
                together=self.together,
            )
            for place, row in enumerate(rows):
                mine = answers[place * sampling.n : (place + 1) * sampling.n]
                question = prompts[row].question
                rollouts[row] = [
                    Rollout(question, row, index, tokens, self.decode(tokens), truncated)
                    for index, (tokens, truncated) in enumerate(mine)
                ]
        return [rollout for row in range(len(prompts)) for rollout in rollouts[row]]

    def plan(self, prompts: Sequence[Prompt], sampling: SamplingSettings) -> list[list[int]]:
        """The rows that are generated together."""
        return buckets(
            [prompt.length for prompt in prompts],
            rows=sampling.n,
            extra=sampling.max_tokens,
            limit=self.batch_tokens,
        )


class _OnlyTheDrawnToken(LogitsProcessor):
    """Leaves only the token that the row's own number draws, so that any sampler takes it."""

    def __init__(self, numbers: Tensor, start: int, sampling: SamplingSettings) -> None:
        self.numbers, self.start, self.sampling = numbers, start, sampling

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        column = self.numbers[:, input_ids.shape[1] - self.start]
        tokens = draw(
            scores, column, temperature=self.sampling.temperature, top_p=self.sampling.top_p
        )
        return torch.full_like(scores, -torch.inf).scatter_(-1, tokens[:, None], 0.0)


def generate(
    policy: Any,
    inputs: dict[str, Tensor],
    numbers: Tensor,
    sampling: SamplingSettings,
    *,
    together: bool = False,
) -> list[tuple[tuple[int, ...], bool]]:
    """Response tokens and whether they were cut off, n a prompt next to each other.

    `numbers` (B * n, max_tokens) float64 in [0, 1) decide every token. The end token is kept, what
    comes behind it is not. The policy is left in the mode (training or not) that it was in.
    """
    start = inputs["input_ids"].shape[1]
    processor = _OnlyTheDrawnToken(numbers.to(inputs["input_ids"].device), start, sampling)
    training = policy.training
    policy.eval()
    try:
        sequences = policy.generate(
            **inputs,
            **PLAIN,
            max_new_tokens=sampling.max_tokens,
            num_return_sequences=sampling.n,
            logits_processor=LogitsProcessorList([processor]),
            synced_gpus=together,
        )
    finally:
        policy.train(training)
    ends = end_tokens(policy)
    return [_cut(row, ends, sampling.max_tokens) for row in sequences.tolist()]


def end_tokens(policy: Any) -> frozenset[int]:
    """Ids that end a response."""
    end = policy.vlm.generation_config.eos_token_id
    return frozenset(end if isinstance(end, list) else [end])


def _cut(tokens: list[int], ends: frozenset[int], limit: int) -> tuple[tuple[int, ...], bool]:
    for place, token in enumerate(tokens):
        if token in ends:
            return tuple(tokens[: place + 1]), False
    return tuple(tokens), len(tokens) >= limit


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
