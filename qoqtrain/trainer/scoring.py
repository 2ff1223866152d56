"""From rollouts to advantages: rewards of this rank, DRPO over the rollouts of all ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain import rewards
from qoqtrain.rollout.protocol import Rollout
from qoqtrain.trainer.ranks import Ranks
from qoqtrain.trainer.rollout_log import difficulty_of
from qoqtrain.trainer.settings import Reward

if TYPE_CHECKING:
    from qoqtrain.drpo import DRPO
    from qoqtrain.rewards import Truth


@dataclass(frozen=True, eq=False)
class Scored:
    """`scores` and `advantages` of this rank's rollouts, `everyone` the light columns of all
    ranks' rollouts, and the estimator's `report` on them."""

    scores: list[dict[str, Any]]
    advantages: list[float]
    everyone: list[dict[str, Any]]
    report: dict[str, Any]


def score_rollouts(
    rollouts: Sequence[Rollout], truths: Sequence[Truth], reward: Reward
) -> list[dict[str, Any]]:
    """The scores of `rollouts`; `truths` are those of the rows that they name.

    Raises UsageError for a rollout without a finite reward, which is never guessed.
    """
    scores = rewards.score(
        [rollout.text for rollout in rollouts],
        [truths[rollout.row] for rollout in rollouts],
        reward.preset,
        truncated=[rollout.truncated for rollout in rollouts],
        **reward.settings,
    )
    for rollout, score in zip(rollouts, scores, strict=True):
        if score["overall"] is None or not math.isfinite(score["overall"]):
            raise UsageError(
                f"a rollout has the reward {score['overall']}: no part of it could be scored",
                where=f"record {rollout.question}",
                fix="give a part that this record has truth for a weight in `reward`, or leave"
                " such records out",
            )
    return scores


def weigh(
    drpo: DRPO,
    rollouts: Sequence[Rollout],
    domains: Sequence[str],
    scores: list[dict[str, Any]],
    ranks: Ranks,
) -> Scored:
    """Advantages of this rank's rollouts; `domains` are those of the rows that they name.

    Every rank gathers the rollouts of all ranks and takes the same step on them, in order of
    rank, so the estimator's state is the same on each. Groups are the rollouts of one question.
    """
    mine = [
        {
            "question": rollout.question,
            "domain": domains[rollout.row],
            "reward": score["overall"],
            "difficulty": difficulty_of(score),
            "answer": score["answer"],
            "tokens": len(rollout.tokens),
            "truncated": rollout.truncated,
        }
        for rollout, score in zip(rollouts, scores, strict=True)
    ]
    gathered = ranks.gather(mine)
    everyone = [row for rows in gathered for row in rows]
    if not everyone:
        raise QoqdataError("no question of the step could be shown", fix="see the reasons above")
    step = drpo.step(
        rewards=[row["reward"] for row in everyone],
        questions=[row["question"] for row in everyone],
        domains=[row["domain"] for row in everyone],
        success=[row["difficulty"] for row in everyone],
    )
    before = sum(len(rows) for rows in gathered[: ranks.rank])
    advantages = step.advantages[before : before + len(mine)].tolist()
    return Scored(scores, advantages, everyone, step.report)
