"""From rollouts to advantages: rewards of this rank, DRPO over the rollouts of all ranks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain import rewards
from qoqtrain.rewards import PARTS
from qoqtrain.rollout.protocol import Rollout
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.settings import Reward, Rollouts

if TYPE_CHECKING:
    from qoqtrain.drpo import DRPO
    from qoqtrain.rewards import Truth


#: Health of a step that metrics keep; `domains` has the rest, by domain.
HEALTH = (
    *("n_questions", "n_degenerate_groups", "answer_tied", "ess_unweighted", "ess_floor_met"),
    *("alpha", "n_clipped", "max_abs_advantage", "share_tiny_advantages", "batch_std"),
    *("factor_min", "factor_max", "kl_damping"),
)


#: The same of a domain: its share of the squared advantage, its N, what DRPO takes its success rate
#: for, and the mean weight of its questions.
DOMAIN_HEALTH = ("squared_mass", "N", "success_rate", "weight")


@dataclass(frozen=True, eq=False)
class ScoredRollouts:
    """`scores` and `advantages` of this rank's rollouts, `everyone` the light columns of all
    ranks' rollouts, and the estimator's `report` on them."""

    scores: list[dict[str, Any]]
    advantages: list[float]
    everyone: list[dict[str, Any]]
    report: dict[str, Any]


def score_rollouts(
    rollouts: Sequence[Rollout],
    truths: Sequence[Truth],
    reward: Reward,
    limits: Rollouts | None = None,
) -> list[dict[str, Any]]:
    """The scores of `rollouts`; `truths` are those of the rows that they name. With `limits` the
    reward falls in a line to 0 over the last `overlong_buffer` tokens (DAPO, arXiv 2503.14476).

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
        if limits is not None and limits.overlong_buffer:
            left = limits.response_tokens - len(rollout.tokens)
            score["overall"] *= min(1.0, max(0.0, left / limits.overlong_buffer))
    return scores


def success_of(score: Mapping[str, Any]) -> float:
    """What a rollout adds to the success rate of its question: the answer part, or the total
    without one."""
    return float(score["overall"] if score["answer"] is None else score["answer"])


def weigh(
    drpo: DRPO,
    rollouts: Sequence[Rollout],
    domains: Sequence[str],
    scores: list[dict[str, Any]],
    ranks: Ranks,
    kl: Sequence[float] | None = None,
) -> ScoredRollouts:
    """Advantages of this rank's rollouts; `domains` are those of the rows that they name, `kl` the
    divergence of each rollout from the reference, for estimators that damp by it.

    Every rank gathers the rollouts of all ranks and takes the same step on them, in order of
    rank, so the estimator's state is the same on each. Groups are the rollouts of one question.
    """
    mine = [
        {
            "question": rollout.question,
            "domain": domains[rollout.row],
            "reward": score["overall"],
            "success": success_of(score),
            **{part: score.get(part) for part in PARTS},
            "tokens": len(rollout.tokens),
            "truncated": rollout.truncated,
            **({} if kl is None else {"kl": kl[place]}),
        }
        for place, (rollout, score) in enumerate(zip(rollouts, scores, strict=True))
    ]
    gathered = ranks.gather(mine)
    everyone = [row for rows in gathered for row in rows]
    if not everyone:
        raise QoqdataError("no question of the step could be shown", fix="see the reasons above")
    step = drpo.step(
        rewards=[row["reward"] for row in everyone],
        questions=[row["question"] for row in everyone],
        domains=[row["domain"] for row in everyone],
        success=[row["success"] for row in everyone],
        kl=None if kl is None else [row["kl"] for row in everyone],
    )
    before = sum(len(rows) for rows in gathered[: ranks.rank])
    advantages = step.advantages[before : before + len(mine)].tolist()
    return ScoredRollouts(scores, advantages, everyone, step.report)


def rollout_numbers(scored: ScoredRollouts) -> dict[str, Any]:
    """The numbers of a step's rollouts, over all ranks.

    `answer` is the mean answer part (F1 of the label sets, text similarity of open answers), as are
    the other parts by domain; null where no rollout has truth for one.
    """
    everyone = scored.everyone
    by_domain: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in everyone:
        by_domain[row["domain"]].append(row)
    answers = _known(everyone, "answer")
    report = scored.report
    return {
        "reward": _mean([row["reward"] for row in everyone]),
        "answer": _mean(answers),
        "domains": {
            domain: {
                "reward": _mean([row["reward"] for row in rows]),
                **{part: _mean(_known(rows, part)) for part in PARTS},
                "truncated": _mean([float(row["truncated"]) for row in rows]),
                "response_tokens": _mean([row["tokens"] for row in rows]),
                "rollouts": len(rows),
                **{name: report["domains"][domain][name] for name in DOMAIN_HEALTH},
            }
            for domain, rows in sorted(by_domain.items())
        },
        "ess": report["ess"],
        "response_tokens": _mean([row["tokens"] for row in everyone]),
        "truncated": _mean([float(row["truncated"]) for row in everyone]),
        "drpo": {name: report[name] for name in HEALTH},
    }


def _known(rows: Sequence[Mapping[str, Any]], part: str) -> list[float]:
    return [row[part] for row in rows if row[part] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
