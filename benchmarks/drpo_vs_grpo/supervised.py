"""What is taught by right answers: the warm start of every arm, the ceiling, and traces."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import ANSWERS, DOMAINS, VOCABULARY
from benchmarks.drpo_vs_grpo.evaluation import evaluate
from benchmarks.drpo_vs_grpo.policy import log_probabilities, new_policy
from benchmarks.drpo_vs_grpo.question_set import Questions, simulate
from benchmarks.drpo_vs_grpo.rollouts import ROLLOUTS, rewards_of
from benchmarks.drpo_vs_grpo.sampling import order
from benchmarks.drpo_vs_grpo.schedule import Schedule

if TYPE_CHECKING:
    import torch

#: Images of each domain that the warm-up sees; they are in no split.
WARM_UP_IMAGES, WARM_UP_BATCH, WARM_UP_RATE, DECAY = 280, 128, 1e-3, 1e-2


@dataclass(frozen=True)
class Start:
    """Where all arms of a seed begin: the warmed-up `policy` and its (Q, 39) `reference`
    log-probabilities on the training questions."""

    policy: torch.nn.Module
    reference: torch.Tensor


def warm_up(contrast: float, steps: int, seed: int, train: Questions) -> Start:
    """A policy after `steps` supervised steps on images of its own.

    Domains and classes come up equally often: like a general model it knows every answer a
    little, and no prevalence.
    """
    import torch

    rng = np.random.default_rng([seed, 1])
    drawn = [simulate(d, WARM_UP_IMAGES, contrast, rng, equal=True) for d in DOMAINS]
    images = np.concatenate([shown for shown, _ in drawn])
    domains = np.repeat(np.arange(len(DOMAINS)), WARM_UP_IMAGES)
    first = [VOCABULARY.index(ANSWERS[domain][0]) for domain in DOMAINS]
    answers = np.concatenate([kinds + a for (_, kinds), a in zip(drawn, first, strict=True)])
    policy = new_policy(seed)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=WARM_UP_RATE, weight_decay=DECAY)
    for _ in range(steps):
        rows = rng.integers(0, len(images), WARM_UP_BATCH)
        logits = policy(torch.from_numpy(images[rows]), torch.from_numpy(domains[rows]))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(answers[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Start(policy, log_probabilities(policy, train.images, train.domains))


def first_rollouts(start: Start, train: Questions, seed: int) -> NDArray[np.float64]:
    """(Q, 5) rewards of the warmed-up policy on the training questions."""
    import torch

    dice = torch.Generator().manual_seed(1_000_003 + seed)
    answers = torch.multinomial(
        start.reference.exp(), ROLLOUTS, replacement=True, generator=dice
    ).numpy()
    return rewards_of(answers, train.answers)


def traced(
    start: Start,
    questions: dict[str, Questions],
    rewards: NDArray[np.float64],
    schedule: Schedule,
    seed: int,
) -> Any:
    """The test figures of `start` taught what it found itself: the training questions of which one
    of the rollouts earned all, as `qoqdata traces` takes them; `rewards` (Q, 5)."""
    found = rewards.max(axis=1) >= 1.0
    train = questions["train"]
    kept = Questions(*(column[found] for column in vars(train).values()))
    return supervised(start, {**questions, "train": kept}, schedule, seed)


def supervised(start: Start, questions: dict[str, Questions], schedule: Schedule, seed: int) -> Any:
    """The test figures of `start` taught the right answers of as many questions: a ceiling."""
    import torch

    train, policy = questions["train"], copy.deepcopy(start.policy)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=WARM_UP_RATE, weight_decay=DECAY)
    rng = np.random.default_rng([seed, 3])
    for rows in order(train, schedule, "target", rng):
        for part in np.array_split(rows, schedule.parts):
            logits = policy(
                torch.from_numpy(train.images[part]), torch.from_numpy(train.domains[part])
            )
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(train.answers[part]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return evaluate(policy, questions["test"])
