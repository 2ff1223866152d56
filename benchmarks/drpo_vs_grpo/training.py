"""Reinforcement learning of one policy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.arms import Arm
from benchmarks.drpo_vs_grpo.domains import DOMAINS
from benchmarks.drpo_vs_grpo.evaluation import evaluate
from benchmarks.drpo_vs_grpo.policy import log_probabilities
from benchmarks.drpo_vs_grpo.question_set import Questions
from benchmarks.drpo_vs_grpo.rollouts import ROLLOUTS, rewards_of
from benchmarks.drpo_vs_grpo.sampling import knowing_the_draws, order
from benchmarks.drpo_vs_grpo.schedule import Choice, Schedule
from benchmarks.drpo_vs_grpo.supervised import DECAY, Start

if TYPE_CHECKING:
    import torch

    from qoqtrain import DRPO

CLIP, DUAL_CLIP, LARGEST_NORM = 0.2, 3.0, 1.0


@dataclass(frozen=True)
class Asked:
    """Q questions and what the policy said: `rows` (Q,) of the training set, `answers` (Q, 5)
    places in VOCABULARY, `before` (Q, 5) their log-probabilities, `rewards` and `kl` (Q, 5), the
    k3 estimate of the divergence from the start."""

    rows: NDArray[np.intp]
    answers: torch.Tensor
    before: torch.Tensor
    rewards: NDArray[np.float64]
    kl: NDArray[np.float64]

    @property
    def telling(self) -> int:
        """Questions whose rollouts differ in reward."""
        return int((np.ptp(self.rewards, axis=1) > 0).sum())


def asked_in_a_step(
    batches: Iterator[NDArray[np.intp]],
    ask: Callable[[NDArray[np.intp]], Asked],
    draws: int,
    places: int,
) -> Asked | None:
    """One batch asked, or with `draws` above 1 as many, up to that, as it takes for `places`
    questions to differ; None after the last batch."""
    drawn: list[Asked] = []
    for rows in islice(batches, draws):
        drawn.append(ask(rows))
        if sum(one.telling for one in drawn) >= places:
            break
    return _joined(drawn) if drawn else None


def train_arm(
    arm: Arm,
    drpo: DRPO,
    start: Start,
    questions: dict[str, Questions],
    schedule: Schedule,
    choice: Choice,
    seed: int,
    updates: int | None = None,
) -> dict[str, Any]:
    """Train from `start` and evaluate: {"curve": [{"batch", "validation"}], "test", figures of
    the weights' health, "asked" and "updated" questions}.

    All arms of a seed see the same questions in the same order (of their sampler) and the same
    dice. The loss is the clipped one of `qoqtrain.trainer` minus `choice.entropy` times the
    entropy of the answers, AdamW, gradient norm at most 1. A run ends after the questions of
    `schedule`; with `updates`, once it has updated on so many, and it may ask as many more as it
    draws.
    """
    import torch

    train = questions["train"]
    policy, drpo = copy.deepcopy(start.policy), knowing_the_draws(drpo, arm.sampler, train)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=choice.rate, weight_decay=DECAY)
    rng, dice = np.random.default_rng([seed, 2]), torch.Generator().manual_seed(seed)
    names = np.array(DOMAINS)

    def ask(rows: NDArray[np.intp]) -> Asked:
        old = log_probabilities(policy, train.images[rows], train.domains[rows])
        answers = torch.multinomial(old.exp(), ROLLOUTS, replacement=True, generator=dice)
        before = old.gather(1, answers)
        gap = start.reference[torch.from_numpy(rows)].gather(1, answers) - before
        return Asked(
            rows,
            answers,
            before,
            rewards=rewards_of(answers.numpy(), train.answers[rows]),
            kl=(gap.clamp(-20, 20).exp() - gap - 1).numpy(),
        )

    curve: list[dict[str, Any]] = []
    health: list[dict[str, Any]] = []
    asked = updated = 0
    length = schedule if updates is None else schedule.times(arm.draws)
    batches = order(train, length, arm.sampler, rng)
    while updates is None or updated < updates:
        draw = asked_in_a_step(batches, ask, arm.draws, schedule.questions)
        if draw is None:
            break
        images = torch.from_numpy(train.images[draw.rows])
        domains = torch.from_numpy(train.domains[draw.rows])
        step = drpo.step(
            rewards=draw.rewards.ravel(),
            questions=np.repeat(np.arange(draw.rows.size), ROLLOUTS),
            domains=np.repeat(names[train.domains[draw.rows]], ROLLOUTS),
            kl=draw.kl.ravel(),
        )
        advantages = torch.from_numpy(step.advantages).float().view(-1, ROLLOUTS)
        used = rng.permutation(draw.rows.size)
        if arm.skip_tied:
            used = used[advantages[torch.from_numpy(used)].abs().sum(1).numpy() > 0]
        used = _first(used, schedule.questions)
        asked, updated = asked + draw.rows.size, updated + used.size
        for part in torch.from_numpy(used).chunk(schedule.parts) if used.size else ():
            logs = torch.log_softmax(policy(images[part], domains[part]), dim=1)
            loss = _loss(
                logs, draw.answers[part], draw.before[part], advantages[part], choice.entropy
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), LARGEST_NORM)
            optimizer.step()
        health.append(step.report)
        if len(health) % schedule.validate_every == 0:
            found = evaluate(policy, questions["validation"])
            curve.append({"batch": len(health), "validation": found})
    if not curve or curve[-1]["batch"] != len(health):
        found = evaluate(policy, questions["validation"])
        curve.append({"batch": len(health), "validation": found})
    return {
        "curve": curve,
        "test": evaluate(policy, questions["test"]),
        "asked": asked,
        "updated": updated,
        "ess": float(np.median([report["ess"] for report in health])),
        "max_abs": float(np.median([report["max_abs_advantage"] for report in health])),
        "mass": _mean_mass(health),
    }


def _first(used: NDArray[np.intp], places: int) -> NDArray[np.intp]:
    """Those of the `places` that were asked first, in the order of `used`."""
    return used if used.size <= places else used[used <= np.sort(used)[places - 1]]


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


def _joined(drawn: Sequence[Asked]) -> Asked:
    import torch

    return Asked(
        np.concatenate([one.rows for one in drawn]),
        torch.cat([one.answers for one in drawn]),
        torch.cat([one.before for one in drawn]),
        np.concatenate([one.rewards for one in drawn]),
        np.concatenate([one.kl for one in drawn]),
    )
