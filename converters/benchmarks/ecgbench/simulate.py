"""A made-up ECGBench: a Parquet table for each part, with pictures of traces."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.simulation.mark import MARK, write_bytes

from ..ecg_pictures import png_of, trace

#: Folder, set of the recordings, question, and answers as the part writes them.
PARTS: tuple[tuple[str, str, str, tuple[Any, ...]], ...] = (
    ("ptb-test", "ptb-xl", "Name the superclasses.", ("NORM", "MI, STTC", "CD, HYP")),
    ("cpsc-test", "cpsc", "Name the findings.", ("AF", "I-AVB, RBBB", "NORM")),
    ("code15-test", "code15", "Is it normal?", ("NORM", "ABNORMAL", "SB, 1dAVb")),
    ("csn-test-no-cot", "csn", "Which is it?\nA. flutter\nB. pause\nH. other", ("A", "B. pause")),
    ("g12-test-no-cot", "g12", "Which one?\nA. block\nB. paced\nH. other", ("B", "H")),
    ("mmmu-ecg", "mmmu-ecg", "Which holds?\nA. one\nB. two\nD. none", ("D", "A")),
    (
        "ecgqa-test",
        "ptb-xl",
        "Which? Options: none, pacemaker, af",
        (["none"], ["pacemaker", "af"]),
    ),
    ("ptb-test-report", "ptb-xl", "Write a report.", ("Sinus rhythm. No ischaemia.",)),
)
#: Tables whose turns are lists of texts.
LISTED = "ecgqa-test"

#: Reasons of the quarantine that quirks lead to.
QUIRKS = (
    *("bad_label", "bad_table", "duplicate_key", "missing_file", "missing_key", "unreadable_file"),
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions over the parts, at least one each. With quirks: a picture lost and one cut, a
    reference that names no label, a conversation of one turn, no key, a row twice, and the last
    part lost.
    """
    rng = np.random.default_rng(seed)
    tables: dict[str, list[dict[str, Any]]] = {}
    parts = PARTS[:-1] if quirks else PARTS
    for number in range(max(n, len(parts))):
        name, records, question, answers = parts[number % len(parts)]
        answer = answers[number // len(parts) % len(answers)]
        asked = [f"<image>\n{question}"] if name == LISTED else f"<image>\n{question}"
        turns = [{"from": "human", "value": asked}, {"from": "gpt", "value": answer}]
        row = {
            "No" if name == "mmmu-ecg" else "id": f"{name}-{number}",
            "image_path": f"{records}/{number:05}-0.png",
            "image": {"bytes": png_of(trace(rng)), "path": None},
            "conversations": turns,
        }
        tables.setdefault(name, []).append(row)
    if quirks:
        _break([row for name, own in tables.items() if name != "mmmu-ecg" for row in own])
        for own in tables.values():
            own.append(dict(own[-1]))
    for name, own in tables.items():
        table = pa.Table.from_pylist(own).replace_schema_metadata({"comment": MARK})
        stream = BytesIO()
        pq.write_table(table, stream)
        write_bytes(out / name / "test-00000-of-00001.parquet", stream.getvalue())


def _break(rows: list[dict[str, Any]]) -> None:
    """A fault in each of the first rows, as far as they go."""
    cut = {"bytes": rows[0]["image"]["bytes"][:60], "path": None}
    turns = rows[0]["conversations"]
    faults = (
        ("image", {"bytes": None, "path": None}),
        ("image", cut),
        ("conversations", [turns[0], turns[1] | {"value": "nothing of the kind"}]),
        ("conversations", turns[:1]),
        ("id", ""),
    )
    for row, (column, value) in zip(rows, faults, strict=False):
        row[column] = value
