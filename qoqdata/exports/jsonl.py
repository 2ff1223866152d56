"""JSON lines, one file a split, written whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qoqdata.atomic import replacing
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import Row, Tally, by_split


def write_jsonl(
    dataset: Dataset,
    out: Path,
    convert: Callable[[Row, Tally], dict[str, Any] | None],
    name: Callable[[str], str] = lambda split: f"{split}.jsonl",
) -> Tally:
    """Write each split's records as `convert` gives them; None leaves one out."""
    tally = Tally()
    out.mkdir(parents=True, exist_ok=True)
    for split, records in by_split(dataset):
        with replacing(out / name(split)) as draft, draft.open("w", encoding="utf-8") as stream:
            for line in _lines(records, convert, tally, split):
                stream.write(line)
    return tally


def _lines(
    records: Iterable[Row],
    convert: Callable[[Row, Tally], dict[str, Any] | None],
    tally: Tally,
    split: str,
) -> Iterable[str]:
    for row in records:
        converted = convert(row, tally)
        if converted is not None:
            tally.wrote(split)
            yield json.dumps(converted, ensure_ascii=False) + "\n"
