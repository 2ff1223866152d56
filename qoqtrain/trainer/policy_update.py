"""The optimizer steps on one set of rollouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from qoqtrain.trainer.logprobs import token_logprobs
from qoqtrain.trainer.loss import policy_loss, summarise
from qoqtrain.trainer.run import TrainingRun, require_finite, step_weights
from qoqtrain.trainer.schedule import learning_rate
from qoqtrain.trainer.sequences import (
    Example,
    Responses,
    micro_batches,
    padded,
    response_logits,
)

if TYPE_CHECKING:
    from torch import Tensor

    from qoqtrain.data.row import Row
    from qoqtrain.trainer.reference import Forward


def update_policy(
    run: TrainingRun, rows: Sequence[Row], examples: Sequence[Example], step: int
) -> dict[str, Any]:
    """All optimizer steps on one set of rollouts; old log-probabilities are those before them."""
    shape, settings = run.shape, run.settings
    lengths = [row.tokens for row in rows]
    plan = [
        micro_batches(part, lengths, shape.micro_batches)
        for part in _parts(rows, examples, shape.updates, run.pad)
    ]
    old = _before(run, rows, plan)
    reference = _reference(run, rows, plan)
    reports, losses, norms = [], [], []
    for update, batches in enumerate(plan):
        total = _total(run, batches)
        loss_sum = 0.0
        for index, batch in enumerate(batches):
            with run.clock.on("update"):
                new, responses = _logprobs(run, run.engine, rows, batch)
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
                    total=total,
                )
                run.engine.backward(loss)
                loss_sum += loss.item()
                reports.append(report)
        with run.clock.on("update"):
            number = (step - 1) * shape.updates + update
            rate = learning_rate(settings.optimizer, number, shape.steps * shape.updates)
            losses.append(require_finite(run, loss_sum))
            norms.append(step_weights(run, rate))
    mine = [{name: float(value) for name, value in report.items()} for report in reports]
    everyone = [report for held in run.ranks.gather(mine) for report in held]
    return {
        "loss": sum(losses) / len(losses),
        "gradient_norm": sum(norms) / len(norms),
        "learning_rate": rate,
        "policy": summarise(everyone),
    }


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

    A server's own are taken as they are: its weights may not be these. None where the present
    ones serve, before a single update.
    """
    given = [e.logprobs is not None for part in plan for batch in part for e in batch if e.counts]
    if given and all(given):
        sampled = [[padded(batch, run.pad).sampled for batch in batches] for batches in plan]
        return [[part.to(run.engine.device) for part in parts] for parts in sampled]
    if run.shape.updates == 1:
        return None
    with run.clock.on("old"), torch.no_grad():
        return [
            [_logprobs(run, run.engine, rows, batch)[0] for batch in batches] for batches in plan
        ]


def _reference(
    run: TrainingRun, rows: Sequence[Row], plan: list[list[list[Example]]]
) -> list[list[Tensor]] | None:
    """The same under the reference policy, where there is one."""
    if run.reference is None:
        return None
    with run.clock.on("reference"), torch.no_grad(), run.reference.opened(run.engine) as first:
        return [[_logprobs(run, first, rows, batch)[0] for batch in batches] for batches in plan]


def _logprobs(
    run: TrainingRun, forward: Forward, rows: Sequence[Row], batch: Sequence[Example]
) -> tuple[Tensor, Responses]:
    """(B, R) log-probabilities of the batch's responses, and the responses."""
    responses = padded(batch, run.pad).to(run.engine.device)
    logits = response_logits(forward, run.collator, rows, batch, responses)
    temperature = run.settings.rollouts.temperature
    return token_logprobs(logits, responses.tokens, temperature=temperature), responses


def _total(run: TrainingRun, batches: Sequence[Sequence[Example]]) -> float:
    """Tokens, or sequences, of the optimizer step over all ranks: what the loss is divided by."""
    counted = [example for batch in batches for example in batch if example.counts]
    by_token = run.settings.loss.aggregate == "token_mean"
    mine = sum(len(example.tokens) for example in counted) if by_token else len(counted)
    return max(1.0, run.ranks.total(mine))
