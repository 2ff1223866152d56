"""A policy answers the questions of a split: the predictions that evaluation reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.errors import InputError, UsageError
from qoqdata.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from qoqdata.boxes import BoxFrame
    from qoqdata.dataset import Dataset
    from qoqtrain.data.batch import Row
    from qoqtrain.data.collate import Collator
    from qoqtrain.model.policy import Policy
    from qoqtrain.model.processor import Processor

#: Columns that a policy is shown or scored by.
COLUMNS = (
    "id",
    "source",
    "domain",
    "modality",
    "task",
    "kind",
    "split",
    "images",
    "image_info",
    "ecg",
    "regions",
    "context",
    "question",
    "options",
    "answer",
    "number",
    "labels",
)


@dataclass(frozen=True)
class AnswerSettings:
    """How answers are made: greedily, up to `max_tokens`, `batch` questions at a time."""

    max_tokens: int = 1024
    batch: int = 8
    max_prompt_tokens: int = 8192


def answer(
    dataset: Dataset,
    split: str,
    policy: Policy,
    processor: Processor,
    out: Path,
    settings: AnswerSettings,
    progress: ProgressCallback = silent,
) -> BoxFrame:
    """Write a line for every question of the split to `out`, and return the frame of its boxes.

    Lines hold id, response and seen_sizes; a question that cannot be shown has the response null
    and the reason. A file that is there already is gone on with, so that an interrupted evaluation
    loses one batch. Raises UsageError for a split without records.
    """
    from qoqdata.stream.decode.budget import budget_of
    from qoqtrain.data.collate import Collator

    ids = _ids_in(out)
    stream = dataset.stream(
        split,
        purpose="evaluation",
        shuffle=False,
        epochs=1,
        columns=COLUMNS,
        images="array",
        budget=budget_of(processor.image_processor),
    )
    collator = Collator(processor, max_prompt_tokens=settings.max_prompt_tokens, unfit="refuse")
    records = (record for record in stream if record["id"] not in ids)
    count = len(ids)
    policy.eval()
    with out.open("a", encoding="utf-8") as file:
        for lines in _answers(records, policy, collator, settings):
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            file.flush()
            count += len(lines)
            progress(count, stream.n_records)
    return processor.family.frame


def _answers(
    records: Iterator[dict[str, Any]],
    policy: Policy,
    collator: Collator,
    settings: AnswerSettings,
) -> Iterator[list[dict[str, Any]]]:
    while part := list(islice(records, settings.batch)):
        lines: list[dict[str, Any]] = []
        rows: list[Row] = []
        for record in part:
            try:
                rows.append(collator.row(record))
            except (InputError, UsageError) as error:
                lines.append({"id": record["id"], "response": None, "why": str(error)})
        if rows:
            texts = _generate(rows, policy, collator, settings)
            for row, text in zip(rows, texts, strict=True):
                lines.append({"id": row.id, "response": text, **_seen_sizes(row)})
        yield lines


def _generate(
    rows: Sequence[Row], policy: Policy, collator: Collator, settings: AnswerSettings
) -> list[str]:
    import torch

    batch = collator.batch(rows).to(next(policy.parameters()).device)
    with torch.inference_mode():
        tokens = policy.generate(
            **batch.inputs(), max_new_tokens=settings.max_tokens, do_sample=False
        )
    return [collator.response_text(row) for row in tokens.tolist()]


def _seen_sizes(row: Row) -> dict[str, Any]:
    sizes = row.truth.seen_sizes
    return {"seen_sizes": [[int(side) for side in size] for size in sizes]} if sizes else {}


def _ids_in(out: Path) -> set[str]:
    """Ids that `out` holds; a last line that was cut off is removed."""
    if not out.is_file():
        return set()
    text = out.read_text(encoding="utf-8")
    lines, _, rest = text.rpartition("\n")
    if rest:
        out.write_text(lines + "\n" if lines else "", encoding="utf-8")
    try:
        return {json.loads(line)["id"] for line in lines.split("\n") if lines}
    except (ValueError, KeyError, TypeError) as error:
        fix = "name another file with --predictions"
        raise UsageError("holds no predictions to go on with", where=str(out), fix=fix) from error
