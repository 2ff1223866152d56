"""Responses scored per CPU-second: `python -m benchmarks.rewards`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from benchmarks.cpu import best
from qoqdata import console
from qoqtrain.rewards import score

QUESTIONS, ROLLOUTS, RUNS = 512, 5, 10

# The 14 labels of CheXpert and one region, as a record of a chest X-ray set has them.
OPTIONS = [
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum",
    "Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other",
    "Pneumonia", "Pneumothorax", "Support Devices",
]  # fmt: skip
REGION = {"label": "Edema", "image": 0, "x_min": 10, "y_min": 10, "x_max": 50, "y_max": 50}
BOXES = """```json
[{"bbox_2d": [12, 8, 49, 52], "label": "Edema"},
 {"bbox_2d": [100, 80, 149, 152], "label": "Pleural Effusion"}]
```"""


def responses() -> Iterator[str]:
    """A step's responses: 120 words of reasoning, two boxes, one to three of the labels."""
    for index in range(QUESTIONS * ROLLOUTS):
        words = f"The finding in zone {index} of this film is seen as an opacity. " * 10
        named = [OPTIONS[(index * 5 + shift) % len(OPTIONS)] for shift in range(1 + index % 3)]
        yield f"<think>{words}</think>\n{BOXES}\n\\boxed{{{', '.join(named)}}}"


def truths(shared: int) -> Iterator[dict[str, Any]]:
    """A truth for each response, one object for `shared` of them in a row."""
    for index in range(QUESTIONS * ROLLOUTS):
        if index % shared == 0:
            answer = ", ".join(OPTIONS[(index + shift) % len(OPTIONS)] for shift in (0, 5))
            truth = {
                "answer": answer,
                "options": list(OPTIONS),
                "regions": [deepcopy(REGION)],
                "stored_sizes": [(512, 512)],
            }
        yield truth


def per_second(texts: Sequence[str], given: Sequence[dict[str, Any]]) -> float:
    return len(texts) / best(lambda: score(texts, given), runs=RUNS)


def main() -> None:
    """Print the rate with a truth object for every rollout, and with one for every question."""
    texts = list(responses())
    own, shared = list(truths(1)), list(truths(ROLLOUTS))
    console.table(
        ("truths", "responses per CPU-second"),
        [
            ("one a rollout", round(per_second(texts, own))),
            ("one a question", round(per_second(texts, shared))),
        ],
    )


if __name__ == "__main__":
    main()
