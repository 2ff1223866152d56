"""A made-up ECG-Grounding: the two tests, with recordings and pictures of traces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.simulation import ecg, write_text, write_wfdb
from qoqdata.simulation.mark import write_bytes

from ..ecg_pictures import png_of, trace

#: File of the test, recording as the table names it, and picture, by number.
TESTS = (
    (
        "ecg-grounding-test-mimiciv.json",
        "mimic-iv/files/p1000/p1000{0:04}/s4{0:07}/4{0:07}",
        "gen_images/mimic_gen/4{0:07}-0.png",
    ),
    (
        "ecg-grounding-test-ptbxl.json",
        "somewhere/else/ptbxl/records500/00000/{0:05}_hr",
        "gen_images/ptb-xl-gen/{0:05}_hr-0.png",
    ),
)

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_table", "duplicate_key", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions, in turn of both tests, at least one each. With quirks: a recording and a
    picture lost, a picture cut, a conversation of one turn, and a question twice.
    """
    rng = np.random.default_rng(seed)
    tests: dict[str, list[dict[str, Any]]] = {name: [] for name, _, _ in TESTS}
    for number in range(max(n, len(TESTS))):
        name, recording, picture = TESTS[number % 2]
        stem = recording.format(number).removeprefix("somewhere/else/")
        image = picture.format(number)
        if not (quirks and number == 0):
            write_wfdb(out / "ecg_timeseries" / stem, ecg(rng, 250, 2, TWELVE), 250, TWELVE)
        pixels = png_of(trace(rng))
        if not (quirks and number == 1):
            cut = 60 if quirks and number == 2 else len(pixels)
            write_bytes(out / "ecg_images" / image, pixels[:cut])
        turns = [
            {"from": "human", "value": "<ecg>\n<image>\nInterpret this ECG."},
            {"from": "gpt", "value": f"A regular rhythm, made up as number {number}."},
        ]
        row = {
            "id": f"made-up-{number}",
            "image": image,
            "ecg": recording.format(number),
            "conversations": turns[:1] if quirks and number == 3 else turns,
            "machine_measurements": {"rate": 70},
            "report": "not to be shown",
        }
        tests[name].append(row)
    if quirks:
        tests[TESTS[0][0]].append(tests[TESTS[0][0]][-1])
    for name, rows in tests.items():
        write_text(out / "ecg_jsons" / name, json.dumps(rows))
