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
#: A task whose answers are lists, of which every third image is asked.
SEVERAL = "L4-disease_diagnosis/L4b-multi_condition_diagnosis"
CONDITIONS = ("drusen, many", "macular oedema", "scar", "normal")

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images with a question, every third with one of several answers too. With quirks: an
    image lost and one cut, and an answer that is no option.
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
        if number % 3 == 0:
            options = [str(word) for word in rng.permutation(CONDITIONS)]
            right = [options[n] for n in rng.permutation(4)[: 1 + number // 3 % 2]]
            entry = _entry("Which conditions are there?", options, *right)
            data.setdefault(SEVERAL, {})[image] = entry
    if quirks:
        _break(out, [pair for own in data.values() for pair in own.items()])
    for task, own in data.items():
        info = {"data source": ["MadeUp"], "number of images": len(own)}
        write_text(out / f"FunBench/{task}.json", json.dumps({"info": info, "data": own}))


def _entry(question: str, options: list[str], *answers: str) -> dict[str, Any]:
    """An answer of the conditions is a list, also where it is one."""
    printed = " ".join(f"{one}. {text}" for one, text in zip("ABCDE", options, strict=False))
    several = set(options) <= set(CONDITIONS)
    return {
        "E-mode2": f"The image is a {answers[0]} case. {question} {printed}",
        "E-mode3": f"{question} {printed}",
        "gt": ",".join(sorted("ABCDE"[options.index(answer)] for answer in answers)),
        "raw_data": {
            "question": question,
            "options": options,
            "gt": list(answers) if several else answers[0],
        },
    }


def _break(out: Path, entries: list[tuple[str, dict[str, Any]]]) -> None:
    """A fault in each of the first entries, as far as they go."""
    path = out / "datasets_preprocessed" / entries[0][0]
    path.write_bytes(path.read_bytes()[:60])
    if len(entries) > 1:
        (out / "datasets_preprocessed" / entries[1][0]).unlink()
    if len(entries) > 2:
        entries[2][1]["raw_data"]["gt"] = "neither"
