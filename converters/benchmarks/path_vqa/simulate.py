"""A made-up PathVQA: Parquet tables with an image, a question and an answer in each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import photograph

from ..hub_table import QUIRKS, simulate_short_questions

__all__ = ["QUIRKS", "simulate"]

PARTS = ("train", "validation", "test")
ASKED = (
    ("Is the largest structure in the middle of the picture?", ("yes", "no")),
    ("Is the tissue at the left border normal?", ("Yes", "no")),
    ("what is shown by the bright area?", ("a cyst", "normal tissue", "fluid")),
    ("where does the shadow lie?", ("left, below", "right")),
)


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images, some with two questions; quirks are those of `simulate_short_questions`."""
    simulate_short_questions(
        out, n, parts=PARTS, asked=ASKED, draw=_image, seed=seed, quirks=quirks
    )


def _image(rng: np.random.Generator) -> np.ndarray:
    return photograph(rng, (64, 56))
