"""A made-up FunBench: task files of two levels, and preprocessed images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.simulation import photograph, write_png, write_text

from .source import TASKS

#: Folder of each level, and the tasks whose answers are lists.
LEVELS = {
    "L1": "L1-modality_perception",
    "L2": "L2-anatomy_perception",
    "L3": "L3-lesion_analysis/{}-lesion",
    "L4": "L4-disease_diagnosis",
}
SEVERAL = ("L3b", "L4b")
CONDITIONS = ("drusen, many", "macular oedema", "scar", "normal")
GRADES = ("none", "mild", "moderate", "severe", "proliferative")
#: Images that a round of all tasks shares.
IMAGES = 10

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions over all tasks, at least one each. With quirks: an image lost and one cut, an
    answer that is no option, and the last task's file lost.
    """
    rng = np.random.default_rng(seed)
    data: dict[str, dict[str, Any]] = {}
    tasks = TASKS[:-1] if quirks else TASKS
    for number in range(max(n, len(tasks))):
        task = tasks[number % len(tasks)]
        image = f"MadeUp/{number // len(tasks) * IMAGES + number % IMAGES:04}.png"
        path = out / "datasets_preprocessed" / image
        if not path.exists():
            write_png(path, photograph(rng, (48, 48)))
        words = CONDITIONS if task.startswith(SEVERAL) else GRADES
        options = [str(word) for word in rng.permutation(words)]
        count = 1 + number % 2 if words is CONDITIONS else 1
        right = [options[n] for n in rng.permutation(len(options))[:count]]
        data.setdefault(task, {})[image] = _entry("What does it show?", options, *right)
    if quirks:
        _break(out, [pair for own in data.values() for pair in own.items()])
    for task, own in data.items():
        folder = LEVELS[task[:2]].format(task[:3])
        info = {"data source": ["MadeUp"], "number of images": len(own)}
        file = out / f"FunBench/{folder}/{task}-made_up.json"
        write_text(file, json.dumps({"info": info, "data": own}))


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
