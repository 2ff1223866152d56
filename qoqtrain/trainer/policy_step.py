"""One DRPO step: questions, rollouts, rewards, advantages, updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError
from qoqtrain.rollout.protocol import Prompt, Rollout
from qoqtrain.trainer import rollout_log, serving
from qoqtrain.trainer.feed import Taken
from qoqtrain.trainer.policy_update import update_policy
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.samplers import sampler_of, sampling_of
from qoqtrain.trainer.scoring import Scored, score_rollouts, weigh
from qoqtrain.trainer.sequences import Example
from qoqtrain.trainer.step_numbers import describe

if TYPE_CHECKING:
    from qoqtrain.data.row import Row


def policy_step(run: TrainingRun, taken: Taken, step: int) -> dict[str, Any]:
    """Take step `step` (from 1) on the questions `taken`; the numbers of the step, equal on all
    ranks but for `seconds`.

    Raises UsageError for rollouts without a reward and QoqdataError for a loss that is not finite,
    on every rank, before any weight is changed by it.
    """
    rows = [row for row in taken.rows if row is not None]
    shown = [
        record for record, row in zip(taken.records, taken.rows, strict=True) if row is not None
    ]
    with run.clock.on("push"):
        serving.push(run, step)
    rollouts = _rollouts(run, rows, shown, step)
    scored = _scored(run, rows, rollouts, step)
    if run.settings.log.rollouts and rollouts:
        facts = [row.facts for row in rows]
        table = rollout_log.table_of(
            rollouts,
            facts,
            scored.scores,
            scored.advantages,
            step=step,
            policy=run.settings.model,
        )
        rollout_log.write_rollouts(run.settings.out, table, step=step, rank=run.ranks.rank)
    examples = [
        Example(rollout.row, rollout.tokens, advantage, logprobs=rollout.logprobs)
        for rollout, advantage in zip(rollouts, scored.advantages, strict=True)
    ]
    learnt = update_policy(run, rows, examples, step)
    left_out = int(run.ranks.total(len(taken.left_out)))
    return {**describe(scored), **learnt, "left_out": left_out}


def _rollouts(
    run: TrainingRun, rows: Sequence[Row], records: Sequence[Mapping[str, Any]], step: int
) -> list[Rollout]:
    prompts = [
        Prompt(record, row.tokens, int(record.get("position", 0)))
        for row, record in zip(rows, records, strict=True)
    ]
    settings = run.settings
    with run.clock.on("generate"), run.engine.generating():
        sampler = sampler_of(run, rows)
        return sampler(prompts, sampling_of(settings), seed=settings.seed, step=step)


def _scored(
    run: TrainingRun, rows: Sequence[Row], rollouts: Sequence[Rollout], step: int
) -> Scored:
    assert run.drpo is not None
    failure: QoqdataError | None = None
    scores: list[dict[str, Any]] = []
    with run.clock.on("reward"):
        try:
            scores = score_rollouts(rollouts, [row.truth for row in rows], run.settings.reward)
        except QoqdataError as error:
            failure = error
        run.ranks.agree(failure)
    with run.clock.on("drpo"):
        key = run.settings.drpo.domain_key
        domains = [str(row.facts[key]) for row in rows]
        return weigh(run.drpo, rollouts, domains, scores, run.ranks)
