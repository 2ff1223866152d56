"""The search of texts for protected health information: CPU-seconds for 1,000 texts of each kind.

    python -m benchmarks.curation.texts [SET] [--texts 1000]

Texts have 100 words or more and no two are the same. Sentences are those of `tests/curation/phi`
that name nobody, which were written to mislead the rules; stays list measurements of intensive care
and reports say what a chest film shows, both made up. A data set adds its own distinct texts, a row
a column.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

import qoqdata
from benchmarks.cpu import best
from qoqdata import console
from qoqdata.curation.phi import find
from qoqdata.curation.phi.columns import text_columns
from tests.curation.phi.measured import sentences

_WORDS = 100
_MEASURES = (
    *("Heart rate (/min)", "Respiratory rate (/min)", "Arterial pressure (mean) (mmHg)"),
    *("Temperature (Cel)", "Lactate (mmol/L)", "Glucose (mg/dL)", "Platelets (10*3/uL)"),
)
_SAID = (
    "The heart is {how} in size.",
    "There is a {how} pleural effusion at the left base.",
    "The opacity in the right lower lobe is {how} and measures {number} mm.",
    "Compared with the prior study, the oedema is {how}.",
    "The tip of the endotracheal tube lies {number} cm above the carina.",
    "No pneumothorax; the mediastinal contours are {how}.",
)
_HOW = ("normal", "mildly enlarged", "small", "moderate", "unchanged", "new", "large", "stable")


def made(count: int, *, seed: int = 0) -> dict[str, list[str]]:
    """Distinct texts by kind, `count` of each."""
    rng = np.random.default_rng(seed)

    def one_of(some: Sequence[str]) -> str:
        return some[int(rng.integers(len(some)))]

    def measurement() -> str:
        low, first, last, high = sorted(rng.uniform(1, 200, 4).round(2))
        times = int(rng.integers(2, 12))
        spread = f"first {first}, lowest {low}, highest {high}, last {last} (n={times})"
        return f"{one_of(_MEASURES)}: {spread}\n"

    harmless = [one for one in sentences() if one.class_ != "phi"]
    english = [one.text for one in harmless if one.language == "en"]
    every = [one.text for one in harmless]
    kinds: dict[str, Callable[[], str]] = {
        "sentences, English": lambda: one_of(english) + " ",
        "sentences, all languages": lambda: one_of(every) + " ",
        "reports": lambda: (
            one_of(_SAID).format(how=one_of(_HOW), number=int(rng.integers(1, 40))) + " "
        ),
        "stays": measurement,
    }
    return {kind: _distinct(count, part) for kind, part in kinds.items()}


def _distinct(count: int, part: Callable[[], str]) -> list[str]:
    """Texts of parts in a row, as many as make the words of one."""
    found: dict[str, None] = {}
    while len(found) < count:
        text = ""
        while len(text.split()) < _WORDS:
            text += part()
        found[text.rstrip()] = None
    return list(found)


def of_set(root: Path) -> dict[str, list[str]]:
    """The distinct texts of a data set by column, without columns that have none."""
    files = qoqdata.open(root).files
    found = {}
    for name, path in text_columns().items():
        column = pl.Series(pl.from_arrow(files.leaves([path])[name.split(".")[0]]))
        while not isinstance(kind := column.dtype, pl.String):
            if isinstance(kind, pl.Struct):
                column = column.struct.field(kind.fields[0].name)
            else:
                column = column.explode()
        found[name] = column.unique().drop_nulls().sort().to_list()
    return {name: texts for name, texts in found.items() if texts}


def _search(texts: Sequence[str]) -> None:
    for text in texts:
        find(text)


def main() -> None:
    """Print texts, their mean length, how many have findings, and CPU-seconds for 1,000."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path, nargs="?", help="a data set, for its texts too")
    parser.add_argument("--texts", type=int, default=1_000)
    asked = parser.parse_args()
    rows = []
    for kind, texts in {**made(asked.texts), **(of_set(asked.set) if asked.set else {})}.items():
        seconds = best(partial(_search, texts), runs=2)
        length = sum(map(len, texts)) / len(texts)
        found = sum(bool(find(text)) for text in texts)
        cost = f"{1_000 * seconds / len(texts):.3f}"
        rows.append((kind, f"{len(texts):,}", f"{length:.0f}", f"{found:,}", cost))
    console.table(("texts", "number", "characters", "with findings", "CPU s for 1,000"), rows)


if __name__ == "__main__":
    main()
