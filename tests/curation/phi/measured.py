"""Recall and precision of the PHI rules on `sentences.tsv`, by part of it and by language.

    python -m tests.curation.phi.measured

Parts: `given` came from elsewhere, `own` and `held` were written before the rules (`held` was not
looked at while they were), `unseen`, `fresh`, `third`, `last` and `fourth` after them. Rules were
mended after each was measured for the first time, but `last`, whose failures nobody has looked at;
docs/curation.md has the figures of those times. A sentence is found when any rule finds something.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from qoqdata.curation.phi import find

SENTENCES = Path(__file__).parent / "sentences.tsv"
ALL = "all"


class Sentence(NamedTuple):
    class_: str
    part: str
    language: str
    kind: str
    text: str


class Quality(NamedTuple):
    """Sentences with an identifier, those of them that were found, and all that were found."""

    phi: int
    right: int
    found: int

    @property
    def recall(self) -> float:
        return self.right / self.phi if self.phi else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0


def sentences() -> list[Sentence]:
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return [Sentence(*row) for row in rows]


def measure() -> dict[tuple[str, str], Quality]:
    """Quality by part and language; ALL stands for every language."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in sentences():
        found = bool(find(one.text))
        for language in (one.language, ALL):
            counts[one.part, language, "phi"] += one.class_ == "phi"
            counts[one.part, language, "found"] += found
            counts[one.part, language, "right"] += found and one.class_ == "phi"
    keys = dict.fromkeys((part, language) for part, language, _ in counts)
    return {key: Quality(*(counts[*key, n] for n in ("phi", "right", "found"))) for key in keys}


def main() -> None:
    head = f"{'part':8} {'language':9} {'phi':>4} {'recall':>7} {'found':>6} {'precision':>9}"
    lines = [
        f"{part:8} {language:9} {q.phi:4} {q.recall:7.3f} {q.found:6} {q.precision:9.3f}"
        for (part, language), q in sorted(measure().items())
    ]
    print("\n".join([head, *lines]))  # noqa: T201


if __name__ == "__main__":
    main()
