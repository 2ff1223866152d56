"""One DRPO step: questions, rollouts, rewards, advantages, updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError
from qoqtrain.rollout.protocol import Prompt, Rollout
from qoqtrain.trainer.export import push_weights
from qoqtrain.trainer.log.rollouts import rollout_table, write_rollouts
from qoqtrain.trainer.questions import Draws, StepQuestions
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.step.sampling import sampler_of, sampling_of
from qoqtrain.trainer.step.scoring import ScoredRollouts, rollout_numbers, score_rollouts, weigh
from qoqtrain.trainer.step.sequences import Example
from qoqtrain.trainer.step.update import rollout_divergence, telling, update_policy
from qoqtrain.trainer.success import chance_of_difference

if TYPE_CHECKING:
    from qoqtrain.data.batch import Row

#: Draws of a step at most, however cheap they are.
MAX_ROUNDS = 16


@dataclass(eq=False)
class Asked:
    """What a step asked on this rank, over its draws: the `rows` shown with their rollouts and
    scores; how many records were `left_out`, how many were `foreseen` to tell nothing; how many
    ECGs are shorter than the policy's window (`short_ecgs`)."""

    rows: list[Row] = field(default_factory=list)
    rollouts: list[Rollout] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0
    short_ecgs: int = 0
    foreseen: int = 0
    rounds: int = 0

    @property
    def tokens(self) -> int:
        return sum(len(rollout.tokens) for rollout in self.rollouts)

    @property
    def telling(self) -> int:
        """Groups whose rewards differ."""
        rewards: dict[str, set[float]] = {}
        for rollout, score in zip(self.rollouts, self.scores, strict=True):
            rewards.setdefault(rollout.question, set()).add(score["overall"])
        return sum(len(values) > 1 for values in rewards.values())


def policy_step(run: TrainingRun, draws: Draws, step: int) -> dict[str, Any]:
    """Take step `step` (from 1) on the questions drawn, and on further draws where the settings ask
    for them; the numbers of the step, equal on all ranks but for `seconds`.

    Raises UsageError for rollouts without a reward and QoqdataError for a loss that is not finite,
    on every rank, before any weight is changed by it.
    """
    with run.clock.on("push"):
        push_weights(run, step)
    asked = Asked()
    _ask(run, asked, draws.latest, step)
    while _goes_on(run, asked):
        _ask(run, asked, draws(), step)
    rows, rollouts = asked.rows, asked.rollouts
    examples = [
        Example(one.row, one.tokens, logprobs=one.logprobs, truncated=one.truncated)
        for one in rollouts
    ]
    scored = _weighed(run, asked, examples)
    if run.settings.log.rollouts and rollouts:
        table = rollout_table(
            rollouts,
            [row.facts for row in rows],
            scored.scores,
            scored.advantages,
            [row.truth for row in rows],
            step=step,
            policy=run.settings.model,
        )
        write_rollouts(run.settings.out, table, step=step, rank=run.ranks.rank)
    examples = [
        replace(example, advantage=advantage)
        for example, advantage in zip(examples, scored.advantages, strict=True)
    ]
    if run.success is not None:
        run.success.add((row["question"], row["success"]) for row in scored.everyone)
    update = update_policy(run, rows, _within_shape(run, examples), step)
    return {
        **rollout_numbers(scored),
        **update,
        "left_out": int(run.ranks.total(asked.left_out)),
        "short_ecgs": int(run.ranks.total(asked.short_ecgs)),
        "groups": {
            "rounds": asked.rounds,
            "asked": int(run.ranks.total(len(asked.rows))),
            "foreseen": int(run.ranks.total(asked.foreseen)),
            "telling": int(run.ranks.total(asked.telling)),
            "tokens": int(run.ranks.total(asked.tokens)),
        },
    }


def _ask(run: TrainingRun, asked: Asked, questions: StepQuestions, step: int) -> None:
    """Let the policy answer one draw, and score what it says."""
    pairs = zip(questions.records, questions.rows, strict=True)
    shown = [(record, row) for record, row in pairs if row is not None]
    kept = _promising(run, shown)
    records, rows = [record for record, _ in kept], [row for _, row in kept]
    rollouts = _rollouts(run, rows, records, step)
    scores = _scored(run, rows, rollouts)
    first = len(asked.rows)
    asked.rows += rows
    asked.rollouts += [replace(rollout, row=first + rollout.row) for rollout in rollouts]
    asked.scores += scores
    asked.left_out += len(questions.left_out)
    asked.short_ecgs += questions.short_ecgs
    asked.foreseen += len(shown) - len(kept)
    asked.rounds += 1


def _promising(
    run: TrainingRun, shown: Sequence[tuple[Mapping[str, Any], Row]]
) -> list[tuple[Mapping[str, Any], Row]]:
    """Those whose rollouts may differ, as far as their success so far tells; the most promising
    where none may, since success changes."""
    least = run.settings.groups.foresee
    if run.success is None or not least or not shown:
        return list(shown)
    key, n = run.settings.drpo.domain_key, run.settings.rollouts.per_question
    chances = [
        chance_of_difference(run.success.rate(str(row.facts["id"]), str(row.facts[key])), n)
        for _, row in shown
    ]
    kept = [pair for pair, chance in zip(shown, chances, strict=True) if chance >= least]
    return kept or [shown[chances.index(max(chances))]]


def _goes_on(run: TrainingRun, asked: Asked) -> bool:
    """Whether another draw is wanted and, at the mean cost of those so far, within the budget."""
    budget = run.settings.groups.tokens
    if budget is None or asked.rounds >= MAX_ROUNDS:
        return False
    telling, tokens = run.ranks.total(asked.telling), run.ranks.total(asked.tokens)
    return telling < run.settings.questions and tokens * (1 + 1 / asked.rounds) <= budget


def _within_shape(run: TrainingRun, examples: Sequence[Example]) -> list[Example]:
    """The examples that have something to tell, whole groups, as many as a step has places."""
    useful = telling(examples, run.settings)
    places = run.shape.sequences * run.shape.updates
    chosen: list[Example] = []
    for row in sorted({example.row for example in useful}):
        group = [example for example in useful if example.row == row]
        if len(chosen) + len(group) > places:
            break
        chosen += group
    return chosen


def _rollouts(
    run: TrainingRun, rows: Sequence[Row], records: Sequence[Mapping[str, Any]], step: int
) -> list[Rollout]:
    prompts = [
        Prompt(record, row.tokens, int(record.get("position", 0)))
        for row, record in zip(rows, records, strict=True)
    ]
    settings = run.settings
    with run.clock.on("generate"), run.engine.generating():
        sampler = sampler_of(run, rows, records)
        return sampler(prompts, sampling_of(settings), seed=settings.seed, step=step)


def _scored(
    run: TrainingRun, rows: Sequence[Row], rollouts: Sequence[Rollout]
) -> list[dict[str, Any]]:
    """Rewards on this rank; a failed one stops every rank."""
    failure: QoqdataError | None = None
    scores: list[dict[str, Any]] = []
    with run.clock.on("reward"):
        try:
            scores = score_rollouts(
                rollouts,
                [row.truth for row in rows],
                run.settings.reward,
                run.settings.rollouts,
            )
        except QoqdataError as error:
            failure = error
        run.ranks.agree(failure)
    return scores


def _weighed(run: TrainingRun, asked: Asked, examples: Sequence[Example]) -> ScoredRollouts:
    """Advantages over all ranks."""
    assert run.drpo is not None
    kl = None
    if run.drpo.settings.kl_damping != "none":
        kl = rollout_divergence(run, asked.rows, examples)
    with run.clock.on("drpo"):
        key = run.settings.drpo.domain_key
        domains = [str(row.facts[key]) for row in asked.rows]
        return weigh(run.drpo, asked.rollouts, domains, asked.scores, run.ranks, kl)
