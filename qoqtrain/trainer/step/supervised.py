"""One supervised step: cross-entropy on what the records say (alignment and warm start)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer.feed import Taken
from qoqtrain.trainer.logprobs import token_logprobs
from qoqtrain.trainer.run import TrainingRun, require_finite, step_weights
from qoqtrain.trainer.schedule import learning_rate
from qoqtrain.trainer.sequences import Example, micro_batches, padded, response_logits
from qoqtrain.trainer.targets import target_tokens

if TYPE_CHECKING:
    from qoqtrain.data.row import Row


def supervised_step(run: TrainingRun, taken: Taken, step: int) -> dict[str, Any]:
    """Take step `step` (from 1) on the records `taken`: the mean over all target tokens of their
    negative log-probability. The numbers of the step, equal on all ranks.

    A target longer than `rollouts.response_tokens` is left out or raises UsageError, on every rank,
    as `rollouts.unfit` says; it is never cut.
    """
    settings, shape = run.settings, run.shape
    rows = [row for row in taken.rows if row is not None]
    processor = run.collator.processor
    targets = [Example(i, target_tokens(row, processor)) for i, row in enumerate(rows)]
    limit = settings.rollouts.response_tokens
    examples = [example for example in targets if len(example.tokens) <= limit]
    left_out = run.ranks.total(len(taken.left_out) + len(targets) - len(examples))
    run.ranks.agree(_refusal(run, rows, targets, examples))
    batches = micro_batches(examples, [row.tokens for row in rows], shape.micro_batches)
    total = max(1.0, run.ranks.total(sum(len(example.tokens) for example in examples)))
    loss_sum = 0.0
    with run.clock.on("update"):
        for batch in batches:
            responses = padded(batch, run.pad).to(run.engine.device)
            logits = response_logits(run.engine, run.collator, rows, batch, responses)
            logprobs = token_logprobs(logits, responses.tokens)
            loss = -(logprobs * responses.mask).sum() / total
            run.engine.backward(loss)
            loss_sum += loss.item()
        rate = learning_rate(settings.optimizer, step - 1, shape.steps)
        loss_mean = require_finite(run, loss_sum)
        norm = step_weights(run, rate)
    return {
        "loss": loss_mean,
        "gradient_norm": norm,
        "learning_rate": rate,
        "response_tokens": total / max(1.0, run.ranks.total(len(examples))),
        "left_out": int(left_out),
    }


def _refusal(
    run: TrainingRun, rows: Sequence[Row], targets: Sequence[Example], examples: Sequence[Example]
) -> QoqdataError | None:
    limit, stop = run.settings.rollouts.response_tokens, run.settings.rollouts.unfit == "stop"
    for example in targets:
        if len(example.tokens) > limit and (stop or not examples):
            return UsageError(
                f"the target has {len(example.tokens)} tokens, {limit} are allowed",
                where=f"record {rows[example.row].id}",
                fix="raise rollouts.response_tokens, or set rollouts.unfit to leave_out",
            )
    return None
