"""A made-up FunBench: task files of two levels, and preprocessed images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import photograph, write_png, write_text

TASKS = (
    (
        "L2-anatomy_perception/L2b-laterality",
        "Which eye is this?",
        ("left eye", "right eye"),
    ),
    (
        "L4-disease_diagnosis/L4c-dr_grading",
        "Which grade of diabetic retinopathy is this?",
        ("none", "mild", "moderate", "severe", "proliferative"),
    ),
)
SEVERAL = "L4-disease_diagnosis/L4b-multi_condition_diagnosis"

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions. With quirks: an image lost and one cut, an answer that is no option, and a
    task with several answers.
    """
    rng = np.random.default_rng(seed)
    data: dict[str, dict[str, Any]] = {}
    for number in range(n):
        task, question, words = TASKS[number % len(TASKS)]
        image = f"MadeUp/{number:04}.png"
        write_png(out / "datasets_preprocessed" / image, photograph(rng, (48, 48)))
        options = [str(word) for word in rng.permutation(words)]
        answer = str(rng.choice(options))
        data.setdefault(task, {})[image] = _entry(question, options, answer)
    if quirks:
        _break(out, [pair for own in data.values() for pair in own.items()])
        first = next(iter(data.values()))
        image = list(first)[-1]
        entry = _entry("Which conditions are there?", ["drusen", "oedema", "scar"], "drusen")
        entry["raw_data"]["gt"] = ["drusen", "scar"]
        data[SEVERAL] = {image: entry}
    for task, own in data.items():
        info = {"data source": ["MadeUp"], "number of images": len(own)}
        write_text(out / f"FunBench/{task}.json", json.dumps({"info": info, "data": own}))


def _entry(question: str, options: list[str], answer: str) -> dict[str, Any]:
    printed = " ".join(f"{one}. {text}" for one, text in zip("ABCDE", options, strict=False))
    return {
        "E-mode2": f"The image is a {answer} case. {question} {printed}",
        "E-mode3": f"{question} {printed}",
        "gt": "ABCDE"[options.index(answer)],
        "raw_data": {"question": question, "options": options, "gt": answer},
    }


def _break(out: Path, entries: list[tuple[str, dict[str, Any]]]) -> None:
    """A fault in each of the first entries, as far as they go."""
    path = out / "datasets_preprocessed" / entries[0][0]
    path.write_bytes(path.read_bytes()[:60])
    if len(entries) > 1:
        (out / "datasets_preprocessed" / entries[1][0]).unlink()
    if len(entries) > 2:
        entries[2][1]["raw_data"]["gt"] = "neither"
