"""What the formats share: kept records row by row, their texts, and their media as files."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from qoqdata.answer_format import instruction, objects, response
from qoqdata.atomic import replacing
from qoqdata.boxes import Box, BoxFrame, Size, whole_corners
from qoqdata.contract.manifest import Shard
from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.question import one_reading, question_text, targets
from qoqdata.roles import evaluation_sources
from qoqdata.stream.row_groups import stored_once

Row = Mapping[str, Any]
#: What becomes of a record before it is written.
Change = Callable[[Row], Row]


def unchanged(row: Row) -> Row:
    """The record as it is."""
    return row


_ROWS = 10

#: Who reads an export resizes images as they like, so corners are in thousandths of the sides.
FRAME: BoxFrame = "thousandths"

#: Stands for an image in a prompt.
PLACEHOLDER = "<image>"
#: verl splits prompts at these, wherever they stand.
MARKS = (PLACEHOLDER, "<video>", "<audio>")


@dataclass
class Tally:
    """What an export wrote and what it had no place for, by reason."""

    written: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def wrote(self, split: str) -> None:
        """Count a record."""
        self.written[split] = self.written.get(split, 0) + 1

    def leave_out(self, reason: str) -> None:
        """Count a record that the format cannot hold."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def by_split(
    dataset: Dataset, change: Change, progress: ProgressCallback = silent
) -> Iterator[tuple[Split, Iterator[Row]]]:
    """The splits that have shards, each with its kept records in shard order, as dictionaries in
    the record schema, as `change` makes them. `progress` hears of records that were read.

    Without evaluation sources, since exports are for trainers; raises UsageError where no others
    are there.
    """
    ids = set(dataset.for_training(["id"])["id"])
    own = exported_shards(dataset)
    total = sum(shard.rows for shard in own)
    seen = 0

    def read(rows: int) -> None:
        nonlocal seen
        seen += rows
        progress(seen, total)

    for split in SPLITS:
        shards = [shard for shard in own if shard.split == split]
        if shards:
            yield split, map(change, _rows(dataset, shards, ids, read))


def exported_shards(dataset: Dataset) -> list[Shard]:
    """The shards of all sources that may be trained on."""
    benchmarks = evaluation_sources(dataset.manifest)
    return [shard for shard in dataset.manifest.shards if shard.source not in benchmarks]


def _rows(
    dataset: Dataset, shards: Iterable[Shard], ids: Container[str], read: Callable[[int], None]
) -> Iterator[Row]:
    for shard in shards:
        with dataset.files.holding(shard, verify=True) as path:
            footer = pq.read_metadata(path)
            once = stored_once(footer, 0)
            with pq.ParquetFile(path, metadata=footer, read_dictionary=once) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    for first in range(0, table.num_rows, _ROWS):
                        # A few at a time: each dictionary has its own copy of the media.
                        for row in table.slice(first, _ROWS).to_pylist():
                            if row["id"] in ids:
                                yield row
                    read(table.num_rows)


def prompt_text(row: Row) -> str:
    """What is asked (`qoqdata.question`), as training asks it.

    Regions that the question gives are told in FRAME.
    """
    return question_text(row, seen_sizes=image_sizes(row), frame=FRAME)


def instructed_text(row: Row) -> str:
    """`prompt_text`, and how to answer, as training says it; boxes are asked for where they are the
    question, and nowhere else."""
    marked = len(image_sizes(row)) if row["kind"] == "boxes" else 0
    return f"{prompt_text(row)}\n\n{instruction(row, marked=marked, frame=FRAME)}"


def answer_text(row: Row) -> str:
    """A right response to `instructed_text`; where boxes are the question, with those of one
    reader."""
    sizes = image_sizes(row)
    if row["kind"] != "boxes" or not sizes:
        return response(row)
    found = targets(row["regions"], row["kind"]) or []
    told = (
        (region["label"], region["image"], _corners(region, sizes[region["image"]]))
        for region in one_reading(found, lambda region: region["reader"])
    )
    return response(row, objects(told, images=len(sizes)))


def image_sizes(row: Row) -> list[tuple[int, int]]:
    """(width, height) of each image of the record, as it is stored and exported."""
    return [(info["width"], info["height"]) for info in row["image_info"] or ()]


def _corners(region: Row, size: Size) -> tuple[int, int, int, int]:
    corners = (region["x_min"], region["y_min"], region["x_max"], region["y_max"])
    return whole_corners(Box(*corners), stored_size=size, seen_size=size, frame=FRAME)


def marks_are_free(row: Row, tally: Tally, marks: Iterable[str]) -> bool:
    """Whether the record's text holds none of `marks`; if it does, it is counted out.

    Readers take them for images and signals, wherever they stand.
    """
    if any(mark in prompt_text(row) for mark in marks):
        tally.leave_out("its text holds a placeholder")
        return False
    return True


def shows_images(row: Row, tally: Tally) -> bool:
    """Whether a format of images and text can hold the record; if not, it is counted out.

    An ECG has no place there, and a record without it would ask about what is not shown.
    """
    if row["ecg"] is not None:
        tally.leave_out("shows an ECG")
        return False
    return True


def signal(row: Row) -> NDArray[np.float32]:
    """The ECG of a record: float32 millivolts, (lead, sample)."""
    return np.asarray(row["ecg"]["signal"], dtype=np.float32)


def write_images(row: Row, out: Path) -> list[str]:
    """Write the record's images below `out` and return their relative paths."""
    return [_write(item, f"images/{row['source']}", out) for item in row["images"] or ()]


def write_mask(row: Row, out: Path) -> str | None:
    """Write the first mask of the first image; None when there is none."""
    for mask, info in zip(row["masks"] or (), row["mask_info"] or (), strict=True):
        if info["image"] == 0:
            return _write(mask, f"masks/{row['source']}", out)
    return None


def write_signal(row: Row, out: Path) -> str | None:
    """Write the ECG as float32 millivolts (lead, sample) in NumPy's format; None without one."""
    if row["ecg"] is None:
        return None
    name = f"ecg/{row['source']}/{row['id']}.npy"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    with replacing(out / name) as draft, draft.open("wb") as stream:
        np.save(stream, signal(row))
    return name


def _write(item: dict[str, Any], folder: str, out: Path) -> str:
    name = f"{folder}/{item['path']}"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    with replacing(out / name) as draft:
        draft.write_bytes(item["bytes"])
    return name
