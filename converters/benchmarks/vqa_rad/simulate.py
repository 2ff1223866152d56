"""A made-up VQA-RAD: Parquet tables with an image, a question and an answer in each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import film

from ..hub_table import ShortQuestion, cmyk, write_hub_table

PARTS = ("train", "test")
ASKED = (
    ("Is the largest structure in the middle of the picture?", ("yes", "no")),
    ("Is the tissue at the left border normal?", ("Yes", "no")),
    ("what is shown by the bright area?", ("a cyst", "normal tissue", "fluid")),
    ("where does the shadow lie?", ("left, below", "right")),
)

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("missing_file", "unreadable_file", "unsupported_format")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images, some with two questions. With quirks: an image lost, one cut, one in CMYK, a
    blank answer.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[ShortQuestion]] = {part: [] for part in PARTS}
    for number in range(n):
        own = rows[PARTS[number % len(PARTS)]]
        image: np.ndarray | bytes | None = np.repeat(film(rng, (64, 56))[..., None], 3, axis=2)
        for question, answers in ASKED[number % 4 :][: 1 + number // 4 % 2]:
            answer: str | None = str(rng.choice(answers))
            if quirks:
                image, answer = _broken(number, image, answer)
            own.append(ShortQuestion(image, question, answer))
    for part, own in rows.items():
        write_hub_table(out / f"data/{part}-00000-of-00001.parquet", own)


def _broken(
    number: int, image: np.ndarray | bytes | None, answer: str | None
) -> tuple[np.ndarray | bytes | None, str | None]:
    match number:
        case 0:
            return None, answer
        case 1:
            return bytes([0xFF, 0xD8, 0xFF]) + b"cut", answer
        case 2 if isinstance(image, np.ndarray):
            return cmyk(image), answer
        case 3:
            return image, " "
    return image, answer
