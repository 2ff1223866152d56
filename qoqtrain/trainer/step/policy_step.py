"""One DRPO step: questions, rollouts, rewards, advantages, updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError
from qoqtrain.rollout.protocol import Prompt, Rollout
from qoqtrain.trainer.export import push_weights
from qoqtrain.trainer.log.rollouts import rollout_table, write_rollouts
from qoqtrain.trainer.questions import StepQuestions
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.step.sampling import sampler_of, sampling_of
from qoqtrain.trainer.step.scoring import ScoredRollouts, rollout_numbers, score_rollouts, weigh
from qoqtrain.trainer.step.sequences import Example
from qoqtrain.trainer.step.update import update_policy

if TYPE_CHECKING:
    from qoqtrain.data.batch import Row


def policy_step(run: TrainingRun, questions: StepQuestions, step: int) -> dict[str, Any]:
    """Take step `step` (from 1) on `questions`; the numbers of the step, equal on all ranks but
    for `seconds`.

    Raises UsageError for rollouts without a reward and QoqdataError for a loss that is not finite,
    on every rank, before any weight is changed by it.
    """
    pairs = zip(questions.records, questions.rows, strict=True)
    visible = [(record, row) for record, row in pairs if row is not None]
    records, rows = [record for record, _ in visible], [row for _, row in visible]
    with run.clock.on("push"):
        push_weights(run, step)
    rollouts = _rollouts(run, rows, records, step)
    scored = _scored(run, rows, rollouts)
    if run.settings.log.rollouts and rollouts:
        table = rollout_table(
            rollouts,
            [row.facts for row in rows],
            scored.scores,
            scored.advantages,
            step=step,
            policy=run.settings.model,
        )
        write_rollouts(run.settings.out, table, step=step, rank=run.ranks.rank)
    examples = [
        Example(rollout.row, rollout.tokens, advantage, logprobs=rollout.logprobs)
        for rollout, advantage in zip(rollouts, scored.advantages, strict=True)
    ]
    update = update_policy(run, rows, examples, step)
    left_out = int(run.ranks.total(len(questions.left_out)))
    return {**rollout_numbers(scored), **update, "left_out": left_out}


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


def _scored(run: TrainingRun, rows: Sequence[Row], rollouts: Sequence[Rollout]) -> ScoredRollouts:
    """Rewards on this rank, then advantages over all ranks; a failed reward stops every rank."""
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
