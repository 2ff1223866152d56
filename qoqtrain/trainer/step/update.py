"""The optimizer steps on one set of rollouts, and what every optimizer step does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from qoqdata.errors import QoqdataError
from qoqtrain.trainer.plan.settings import Optimizer, TrainSettings
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.step.loss import divergence, policy_loss, summarise
from qoqtrain.trainer.step.sequences import (
    Example,
    in_step,
    micro_batches,
    padded,
    response_distribution,
    response_logprobs,
)

if TYPE_CHECKING:
    from torch import Tensor

    from qoqtrain.data.batch import Row
    from qoqtrain.trainer.engine.reference import Forward


def update_policy(
    run: TrainingRun, rows: Sequence[Row], examples: Sequence[Example], step: int
) -> dict[str, Any]:
    """All optimizer steps on one set of rollouts; old log-probabilities are those before them.

    Examples that carry nothing to learn are left out (`telling`), those that move nothing are
    counted in the mean and not computed (`moving`); where no rank has any other, nothing moves,
    the optimizer's momentum included.
    """
    shape, settings = run.shape, run.settings
    examples = telling(examples, settings)
    totals = [_total(run, [part]) for part in _parts(rows, examples, shape.updates, run.pad)]
    examples = moving(examples, settings)
    skipped = run.ranks.total(len(examples)) == 0
    if skipped:
        rate = learning_rate(settings.optimizer, (step - 1) * shape.updates, _all_updates(run))
        return {"loss": 0.0, "gradient_norm": 0.0, "learning_rate": rate, "policy": summarise([])}
    temperature = settings.rollouts.temperature
    lengths = [row.tokens for row in rows]
    plan = [cut(run, part, lengths) for part in _parts(rows, examples, shape.updates, run.pad)]
    old = _before(run, rows, plan)
    reference = _reference(run, rows, plan)
    reports, losses, norms = [], [], []
    for update, batches in enumerate(plan):
        loss_sum = 0.0
        for index, batch in enumerate(batches):
            with run.clock.on("update"):
                found, responses = response_distribution(
                    run.engine, run.collator, rows, batch, temperature=temperature
                )
                new = found.logprobs
                loss, report = policy_loss(
                    new,
                    new.detach() if old is None else old[update][index],
                    responses.advantages,
                    responses.mask,
                    clip_low=settings.loss.clip_low,
                    clip_high=settings.loss.clip_high,
                    dual_clip=settings.loss.dual_clip,
                    ref_logprobs=None if reference is None else reference[update][index],
                    kl=settings.loss.kl,
                    kl_estimator=settings.loss.kl_estimator,
                    aggregate=settings.loss.aggregate,
                    ratio_of=settings.loss.ratio,
                    entropies=found.entropies,
                    entropy=settings.loss.entropy,
                    sampled=responses.sampled if _samplers_own(batch) else None,
                    importance_cap=settings.loss.importance_cap,
                    total=totals[update],
                )
                run.engine.backward(loss, last=index == len(batches) - 1)
                loss_sum += loss.item()
                reports.append(report)
        with run.clock.on("update"):
            number = (step - 1) * shape.updates + update
            whole, norm, rate = optimizer_step(run, loss_sum, number)
            losses.append(whole)
            norms.append(norm)
    mine = [{name: float(value) for name, value in report.items()} for report in reports]
    everyone = [report for theirs in run.ranks.gather(mine) for report in theirs]
    return {
        "loss": sum(losses) / len(losses),
        "gradient_norm": sum(norms) / len(norms),
        "learning_rate": rate,
        "policy": summarise(everyone),
    }


def telling(examples: Sequence[Example], settings: TrainSettings) -> list[Example]:
    """The examples that the mean of an update is over: without those that were cut, where they are
    masked; and without tied groups where these are skipped, or the budget of tokens draws others
    in their place, unless a divergence holds them to the reference too."""
    mask, groups = settings.rollouts.overlong == "mask", settings.groups
    skip = (groups.skip_tied or groups.tokens is not None) and not settings.loss.kl
    return [
        example
        for example in examples
        if not (mask and example.truncated) and not (skip and example.advantage == 0.0)
    ]


def moving(examples: Sequence[Example], settings: TrainSettings) -> list[Example]:
    """Those of them that have a gradient: without an advantage only divergence and entropy give
    one."""
    held = settings.loss.kl > 0 or settings.loss.entropy > 0
    return [example for example in examples if held or example.advantage != 0.0]


def rollout_divergence(
    run: TrainingRun, rows: Sequence[Row], examples: Sequence[Example]
) -> list[float] | None:
    """k3 of each rollout from the reference, summed over its tokens; None without a reference.

    What the KL factor of the paper damps by, before any update of the step.
    """
    if run.reference is None:
        return None
    place = {id(example): index for index, example in enumerate(examples)}
    plan = [cut(run, examples, [row.tokens for row in rows])]
    with run.clock.on("old"), torch.no_grad():
        policy = _logprobs(run, run.engine, rows, plan)[0]
    reference = _reference(run, rows, plan)
    assert reference is not None
    apart = [0.0] * len(examples)
    for batch, ours, theirs in zip(plan[0], policy, reference[0], strict=True):
        present = padded(batch, run.pad).present.to(ours.device)
        sums = (divergence(ours, theirs, "k3") * present).sum(-1).tolist()
        for example, value in zip(batch, sums, strict=True):
            if (index := place.get(id(example))) is not None:
                apart[index] = value
    return apart


def cut(
    run: TrainingRun, examples: Sequence[Example], lengths: Sequence[int]
) -> list[list[Example]]:
    """Micro-batches of this rank's examples, as many on every rank; all ranks call this."""
    settings = run.settings
    batches = micro_batches(
        examples,
        lengths,
        sequences=settings.micro_batch,
        tokens=settings.micro_tokens,
        shared=run.engine.shares_prompts,
    )
    return in_step(batches, max(run.ranks.gather(len(batches))))


def _samplers_own(examples: Sequence[Example]) -> bool:
    return all(example.logprobs is not None for example in examples)


def _all_updates(run: TrainingRun) -> int:
    return run.shape.steps * run.shape.updates


def optimizer_step(run: TrainingRun, loss: float, number: int) -> tuple[float, float, float]:
    """Optimizer step `number` (from 0) of the run, on the gradients that the engine has added up;
    `loss` is the sum of this rank's losses.

    The loss over all ranks, the norm of the gradient, and the learning rate. Raises QoqdataError
    on every rank, before any weight changes, when the loss is not finite, and after a gradient
    that is not.
    """
    rate = learning_rate(run.settings.optimizer, number, _all_updates(run))
    whole = _finite(run.ranks.total(loss), "the loss is")
    norm = _finite(run.engine.step(rate), "the gradient has the norm")
    return whole, norm, rate


def learning_rate(settings: Optimizer, step: int, steps: int) -> float:
    """Learning rate of optimizer step `step` (0-based) of `steps`.

    Warm-up is linear and reaches the full rate at its last step; then it is constant, or half a
    cosine that ends at `floor` times the rate.
    """
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    done = min(1.0, (step - settings.warmup) / max(1, steps - settings.warmup))
    share = settings.floor + (1.0 - settings.floor) * (1.0 + math.cos(math.pi * done)) / 2.0
    return settings.learning_rate * share


def _parts(
    rows: Sequence[Row], examples: Sequence[Example], updates: int, pad: int
) -> list[list[Example]]:
    """The examples of each optimizer step, whole groups, question after question."""
    share = math.ceil(len(rows) / updates)
    parts = [
        [example for example in examples if example.row // share == update]
        for update in range(updates)
    ]
    return [part or [Example(0, (pad,), counts=False)] for part in parts]


def _before(
    run: TrainingRun, rows: Sequence[Row], plan: list[list[list[Example]]]
) -> list[list[Tensor]] | None:
    """Log-probabilities of all responses under the policy that sampled them, in one pass.

    A server's own are taken as they are, its weights may not be these, unless truncated importance
    weights correct for them. None where the present ones serve, before a single update.
    """
    examples = [e for batches in plan for batch in batches for e in batch if e.counts]
    corrected = run.settings.loss.importance_cap is not None
    if examples and not corrected and _samplers_own(examples):
        device = run.engine.device
        return [[padded(batch, run.pad).sampled.to(device) for batch in part] for part in plan]
    if run.shape.updates == 1:
        return None
    with run.clock.on("old"), torch.no_grad():
        return _logprobs(run, run.engine, rows, plan)


def _reference(
    run: TrainingRun, rows: Sequence[Row], plan: list[list[list[Example]]]
) -> list[list[Tensor]] | None:
    """The same under the reference policy, where there is one."""
    if run.reference is None:
        return None
    with run.clock.on("reference"), torch.no_grad(), run.reference.opened(run.engine) as first:
        return _logprobs(run, first, rows, plan)


def _logprobs(
    run: TrainingRun, forward: Forward, rows: Sequence[Row], plan: list[list[list[Example]]]
) -> list[list[Tensor]]:
    """(B, R) log-probabilities of the responses of every micro-batch."""
    temperature = run.settings.rollouts.temperature
    return [
        [
            response_logprobs(forward, run.collator, rows, batch, temperature=temperature)[0]
            for batch in batches
        ]
        for batches in plan
    ]


def _total(run: TrainingRun, batches: Sequence[Sequence[Example]]) -> float:
    """Tokens, or sequences, of the optimizer step over all ranks: what the loss is divided by."""
    examples = [example for batch in batches for example in batch if example.counts]
    by_token = run.settings.loss.aggregate == "token_mean"
    mine = sum(len(example.tokens) for example in examples) if by_token else len(examples)
    return max(1.0, run.ranks.total(mine))


def _finite(value: float, what: str) -> float:
    if not math.isfinite(value):
        fix = "go on from the last checkpoint with a lower learning rate or float32"
        raise QoqdataError(f"{what} {value}", fix=fix)
    return value
