"""One supervised step: cross-entropy on what the records say (alignment and warm start)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qoqdata.answer_format import objects, response
from qoqdata.boxes import Box, clipped, whole_corners
from qoqdata.errors import QoqdataError, UsageError
from qoqdata.question import one_reading
from qoqtrain.rewards import Truth
from qoqtrain.rewards.truth import TrueRegion
from qoqtrain.trainer.questions import StepQuestions
from qoqtrain.trainer.run import TrainingRun
from qoqtrain.trainer.step.sequences import Example, response_logprobs
from qoqtrain.trainer.step.update import cut, optimizer_step

if TYPE_CHECKING:
    from qoqtrain.data.batch import Row
    from qoqtrain.model.processor import Processor


def supervised_step(run: TrainingRun, questions: StepQuestions, step: int) -> dict[str, Any]:
    """Take step `step` (from 1) on `questions`; the numbers of the step, equal on all ranks.

    The loss is the mean over all target tokens of their negative log-probability.

    A target longer than `rollouts.response_tokens` is left out or raises UsageError, on every rank,
    as `rollouts.unfit` says; it is never cut.
    """
    settings = run.settings
    rows = [row for row in questions.rows if row is not None]
    processor = run.collator.processor
    targets = [Example(i, target_tokens(row, processor)) for i, row in enumerate(rows)]
    limit = settings.rollouts.response_tokens
    examples = [example for example in targets if len(example.tokens) <= limit]
    left_out = run.ranks.total(len(questions.left_out) + len(targets) - len(examples))
    run.ranks.agree(_refusal(run, rows, targets, examples))
    batches = cut(run, examples, [row.tokens for row in rows])
    total = max(1.0, run.ranks.total(sum(len(example.tokens) for example in examples)))
    loss_sum = 0.0
    with run.clock.on("update"):
        for index, batch in enumerate(batches):
            logprobs, responses = response_logprobs(run.engine, run.collator, rows, batch)
            loss = -(logprobs * responses.mask).sum() / total
            run.engine.backward(loss, last=index == len(batches) - 1)
            loss_sum += loss.item()
        whole, norm, rate = optimizer_step(run, loss_sum, step - 1)
    return {
        "loss": whole,
        "gradient_norm": norm,
        "learning_rate": rate,
        "response_tokens": total / max(1.0, run.ranks.total(len(examples))),
        "left_out": int(left_out),
        "short_ecgs": int(run.ranks.total(questions.short_ecgs)),
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


def target_text(facts: Mapping[str, Any], truth: Truth, *, images: int) -> str:
    """The response to a record: its reasoning where it has one, its boxes where they are asked
    for, and the boxed answer.

    Boxes are in the frame that the policy saw, rounded to whole numbers, and those of one reader;
    regions without area are no boxes. Nothing is made up: a record without reasoning teaches none.
    """
    boxes = None
    if images and truth.regions is not None:
        found = [region for region in truth.regions if not region.is_blank]
        marked = one_reading(found, lambda region: region.reader)
        told = ((region.label, region.image, _corners(region, truth)) for region in marked)
        boxes = objects(told, images=images)
    return response(facts, boxes)


def target_tokens(row: Row, processor: Processor) -> tuple[int, ...]:
    """The tokens of the target, its end token included.

    Letters of a special token in a record's text are encoded as ordinary letters.
    """
    images = 0 if row.grid is None else len(row.grid)
    encoder = copy.copy(processor.tokenizer.backend_tokenizer)
    encoder.encode_special_tokens = True
    text = target_text(row.facts, row.truth, images=images)
    ids = encoder.encode(text, add_special_tokens=False).ids
    return (*ids, processor.eos_token_id)


def _corners(region: TrueRegion, truth: Truth) -> Sequence[int]:
    if (size := truth.size(region.image)) is None:
        return [round(corner) for corner in region.corners]
    seen = truth.seen_sizes[region.image] if truth.seen_sizes else size
    box = Box(*clipped(region.corners, size))
    return whole_corners(box, stored_size=size, seen_size=seen, frame=truth.frame)
