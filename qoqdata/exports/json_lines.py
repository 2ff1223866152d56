"""JSON lines beside image files, one file a split: ShareGPT, and those of CLIMB and QoQ-Med.

ShareGPT, as LLaVA and LLaMA-Factory read it: a line holds `id`, `images` (relative paths), and two
turns: the human's with an `<image>` for each image and how to answer, and an answer in that form
(`qoqdata.answer_format`), with its reasoning where the record has one and, where boxes are asked
for, the list of them in thousandths of the image's sides. Records with an ECG are left out: the
format has no place for one.

CLIMB and QoQ-Med: both sets of keys in one line. `problem`, `answer`, `images`,
`segmentation_path`, `bbox` and `demo` are what QoQ-Med reads; `conversations` is what CLIMB writes.
`time-series` names NumPy files of millivolts (lead, sample). `bbox` holds one box to be found, so
a record with several of these on its first image keeps them in `regions` only, which the old
readers ignore; `conversations` and `answer` name labels alone. The source `climb_jsonl` reads these
files back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qoqdata.atomic import replacing
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import (
    MARKS,
    PLACEHOLDER,
    Change,
    Row,
    Tally,
    answer_text,
    by_split,
    instructed_text,
    marks_are_free,
    prompt_text,
    shows_images,
    unchanged,
    write_images,
    write_mask,
    write_signal,
)
from qoqdata.progress import ProgressCallback, silent
from qoqdata.question import targets

#: Stands for an ECG in a prompt of CLIMB.
SERIES = "<time-series>"

#: A record as the object of a line; None leaves it out, and the tally counts why.
Convert = Callable[[Row, Tally], dict[str, Any] | None]


def write_sharegpt(
    dataset: Dataset, out: Path, change: Change = unchanged, progress: ProgressCallback = silent
) -> Tally:
    """`<split>.jsonl`, and images/."""

    def convert(row: Row, tally: Tally) -> dict[str, Any] | None:
        if not (shows_images(row, tally) and marks_are_free(row, tally, MARKS)):
            return None
        images = write_images(row, out)
        problem = f"{PLACEHOLDER}\n" * len(images) + instructed_text(row)
        turns = _turns(problem, answer_text(row))
        return {"id": row["id"], "images": images, "conversations": turns}

    return _write_json_lines(dataset, out, change, progress, convert, name="{}.jsonl")


def write_climb(
    dataset: Dataset, out: Path, change: Change = unchanged, progress: ProgressCallback = silent
) -> Tally:
    """`annotation_<split>.jsonl` with images/, masks/ and ecg/ beside it."""

    def convert(row: Row, tally: Tally) -> dict[str, Any] | None:
        if not marks_are_free(row, tally, (*MARKS, SERIES)):
            return None
        images, series = write_images(row, out), write_signal(row, out)
        marks = f"{PLACEHOLDER}\n" * len(images) + (f"{SERIES}\n" if series else "")
        problem = marks + prompt_text(row)
        line: dict[str, Any] = {
            "id": row["id"],
            "problem": problem,
            "answer": row["answer"],
            "images": images,
            "data_source": row["domain"],
            "dataset": row["source"],
            "conversations": _turns(problem, row["answer"]),
        }
        if series:
            line["time-series"] = [series]
        if mask := write_mask(row, out):
            line["segmentation_path"] = mask
        line |= _boxes(row)
        if demo := _demo(row):
            line["demo"] = demo
        return line

    return _write_json_lines(dataset, out, change, progress, convert, name="annotation_{}.jsonl")


def _turns(problem: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": problem}, {"from": "gpt", "value": answer}]


def _boxes(row: Row) -> dict[str, Any]:
    regions = row["regions"]
    if not regions:
        return {}
    found = targets(regions, row["kind"]) or ()
    first = [region for region in found if region["image"] == 0]
    edges = ("x_min", "y_min", "x_max", "y_max")
    single = {"bbox": [first[0][edge] for edge in edges]} if len(first) == 1 else {}
    return single | {"regions": regions}


def _demo(row: Row) -> str:
    parts = []
    if row["sex"] is not None:
        parts.append(f"sex: {row['sex'].capitalize()}")
    if row["age"] is not None:
        parts.append(f"age: {row['age']}")
    return ", ".join(parts)


def _write_json_lines(
    dataset: Dataset,
    out: Path,
    change: Change,
    progress: ProgressCallback,
    convert: Convert,
    *,
    name: str,
) -> Tally:
    """Write each split's records as `convert` gives them, to the file `name` with its split."""
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    for split, records in by_split(dataset, change, progress):
        path = out / name.format(split)
        with replacing(path) as draft, draft.open("w", encoding="utf-8") as stream:
            for line in _lines(records, convert, tally, split):
                stream.write(line)
    return tally


def _lines(records: Iterable[Row], convert: Convert, tally: Tally, split: str) -> Iterable[str]:
    for row in records:
        content = convert(row, tally)
        if content is not None:
            tally.wrote(split)
            yield json.dumps(content, ensure_ascii=False) + "\n"
