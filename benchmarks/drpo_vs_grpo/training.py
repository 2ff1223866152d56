"""Warm-up and reinforcement learning of one policy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.arms import Arm
from benchmarks.drpo_vs_grpo.domains import ANSWERS, DOMAINS, VOCABULARY
from benchmarks.drpo_vs_grpo.evaluation import evaluate
from benchmarks.drpo_vs_grpo.policy import log_probabilities, new_policy
from benchmarks.drpo_vs_grpo.question_set import Questions, simulate
from benchmarks.drpo_vs_grpo.rollouts import ROLLOUTS, rewards_of

if TYPE_CHECKING:
    import torch

    from qoqtrain import DRPO

#: Images of each domain that the warm-up sees; they are in no split.
WARM_UP_IMAGES, WARM_UP_BATCH, WARM_UP_RATE = 280, 128, 1e-3
CLIP, DUAL_CLIP, LARGEST_NORM, DECAY = 0.2, 3.0, 1.0, 1e-2


@dataclass(frozen=True)
class Schedule:
    """The compute of a run, the same for every arm.

    `warm_up` supervised steps; `batches` of `questions` with 5 rollouts each, every batch in
    `parts` optimizer steps; validation every `validate_every` batches.
    """

    warm_up: int = 60
    batches: int = 48
    questions: int = 512
    parts: int = 4
    validate_every: int = 8


@dataclass(frozen=True)
class Choice:
    """Learning rate, which the search chooses for each arm, and entropy bonus."""

    rate: float
    entropy: float


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


def order(
    train: Questions, schedule: Schedule, sampler: str, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """The training questions of each batch: whole epochs, each shuffled; or every domain equally
    often, or each class of a domain by the target, and its records in shuffled epochs of their
    own."""
    need = schedule.batches * schedule.questions
    count = len(train.answers)
    if sampler == "target":
        parts, chances = target_chances(train)
        drawn = rng.choice(len(parts), need, p=chances)
        rows = np.empty(need, np.intp)
        for place, pool in enumerate(parts):
            wanted = drawn == place
            epochs = [rng.permutation(pool) for _ in range(int(wanted.sum()) // pool.size + 1)]
            rows[wanted] = np.concatenate(epochs)[: wanted.sum()]
    elif sampler == "balanced":
        domains = rng.integers(0, len(DOMAINS), need)
        rows = np.empty(need, np.intp)
        for place in range(len(DOMAINS)):
            pool, wanted = np.flatnonzero(train.domains == place), domains == place
            epochs = [rng.permutation(pool) for _ in range(int(wanted.sum()) // pool.size + 1)]
            rows[wanted] = np.concatenate(epochs)[: wanted.sum()]
    else:
        rows = np.concatenate([rng.permutation(count) for _ in range(need // count + 1)])
    for batch in range(schedule.batches):
        yield rows[batch * schedule.questions : (batch + 1) * schedule.questions]


def target_chances(train: Questions) -> tuple[list[NDArray[np.intp]], NDArray[np.float64]]:
    """The classes of the domains, rows each, and the chance of each under the training's own mix:
    domains alike, classes by the root of their number, none more than ten times an epoch."""
    from qoqdata.stream.mixing import Mix, probabilities
    from qoqtrain.trainer.plan.settings import Budget

    budget = Budget()
    keys = train.domains * len(VOCABULARY) + train.answers
    parts = {
        f"{DOMAINS[key // len(VOCABULARY)]}/{key % len(VOCABULARY)}": np.flatnonzero(keys == key)
        for key in np.unique(keys).tolist()
    }
    records = {name: rows.size for name, rows in parts.items()}
    mix = Mix("domain/label", "target", exponents=(budget.exponent, budget.within_exponent))
    target = mix.target({name: float(n) for name, n in records.items()})
    chances = probabilities(target, records, max_repeats=budget.max_repeats)
    return list(parts.values()), chances


def knowing_the_draws(drpo: DRPO, sampler: str, train: Questions) -> DRPO:
    """The estimator told what the sampler draws, where it weighs draws; all domains alike are the
    target."""
    if drpo.settings.rarity != "draws":
        return drpo
    counts = np.bincount(train.domains, minlength=len(DOMAINS)) / train.domains.size
    if sampler == "target":
        parts, chances = target_chances(train)
        counts = np.zeros(len(DOMAINS))
        for rows, chance in zip(parts, chances, strict=True):
            counts[train.domains[rows[0]]] += chance
    even = dict.fromkeys(DOMAINS, 1 / len(DOMAINS))
    return drpo.drawn(dict(zip(DOMAINS, counts.tolist(), strict=True)), even)


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


def train_arm(
    arm: Arm,
    drpo: DRPO,
    start: Start,
    questions: dict[str, Questions],
    schedule: Schedule,
    choice: Choice,
    seed: int,
) -> dict[str, Any]:
    """Train from `start` and evaluate: {"curve": [{"batch", "validation"}], "test", figures of
    the weights' health, "asked" and "updated" questions}.

    All arms of a seed see the same questions in the same order (of their sampler) and the same
    dice. The loss is the clipped one of `qoqtrain.trainer` minus `choice.entropy` times the
    entropy of the answers, AdamW, gradient norm at most 1.
    """
    import torch

    train = questions["train"]
    policy, drpo = copy.deepcopy(start.policy), knowing_the_draws(drpo, arm.sampler, train)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=choice.rate, weight_decay=DECAY)
    rng, dice = np.random.default_rng([seed, 2]), torch.Generator().manual_seed(seed)
    names = np.array(DOMAINS)
    curve: list[dict[str, Any]] = []
    health: list[dict[str, Any]] = []
    asked = updated = 0
    for batch, rows in enumerate(order(train, schedule, arm.sampler, rng), start=1):
        images = torch.from_numpy(train.images[rows])
        domains = torch.from_numpy(train.domains[rows])
        old = log_probabilities(policy, train.images[rows], train.domains[rows])
        answers = torch.multinomial(old.exp(), ROLLOUTS, replacement=True, generator=dice)
        before = old.gather(1, answers)
        gap = start.reference[torch.from_numpy(rows)].gather(1, answers) - before
        step = drpo.step(
            rewards=rewards_of(answers.numpy(), train.answers[rows]).ravel(),
            questions=np.repeat(np.arange(rows.size), ROLLOUTS),
            domains=np.repeat(names[train.domains[rows]], ROLLOUTS),
            kl=(gap.clamp(-20, 20).exp() - gap - 1).numpy().ravel(),
        )
        advantages = torch.from_numpy(step.advantages).float().view(-1, ROLLOUTS)
        used = rng.permutation(rows.size)
        if arm.skip_tied:
            used = used[advantages[torch.from_numpy(used)].abs().sum(1).numpy() > 0]
        asked, updated = asked + rows.size, updated + used.size
        for part in torch.from_numpy(used).chunk(schedule.parts) if used.size else ():
            logs = torch.log_softmax(policy(images[part], domains[part]), dim=1)
            loss = _loss(logs, answers[part], before[part], advantages[part], choice.entropy)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), LARGEST_NORM)
            optimizer.step()
        health.append(step.report)
        if batch % schedule.validate_every == 0 or batch == schedule.batches:
            found = evaluate(policy, questions["validation"])
            curve.append({"batch": batch, "validation": found})
    return {
        "curve": curve,
        "test": evaluate(policy, questions["test"]),
        "asked": asked,
        "updated": updated,
        "ess": float(np.median([report["ess"] for report in health])),
        "max_abs": float(np.median([report["max_abs_advantage"] for report in health])),
        "mass": _mean_mass(health),
    }


def _loss(
    logs: torch.Tensor,
    answers: torch.Tensor,
    before: torch.Tensor,
    advantages: torch.Tensor,
    entropy: float,
) -> torch.Tensor:
    from qoqtrain.trainer.step.loss import policy_loss

    rollout = (answers.numel(), 1)
    loss, _ = policy_loss(
        logs.gather(1, answers).reshape(rollout),
        before.reshape(rollout),
        advantages.reshape(-1),
        before.new_ones(rollout),
        clip_low=CLIP,
        clip_high=CLIP,
        dual_clip=DUAL_CLIP,
    )
    return loss + entropy * (logs.exp() * logs).sum(dim=1).mean()


def _mean_mass(health: list[dict[str, Any]]) -> dict[str, float]:
    """Domain -> share of the squared advantage, averaged over the batches."""
    return {
        domain: float(
            np.mean([r["domains"].get(domain, {}).get("squared_mass", 0.0) for r in health])
        )
        for domain in DOMAINS
    }
