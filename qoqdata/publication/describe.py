"""The pages of a data set for people and machines: README.md, figures, croissant.json."""

from __future__ import annotations

from pathlib import Path

from qoqdata.atomic import replacing, write_json
from qoqdata.dataset import Dataset
from qoqdata.publication.croissant import croissant
from qoqdata.publication.facts import gather
from qoqdata.publication.figures import draw
from qoqdata.publication.readme import readme

FIGURES = "figures"


def describe(dataset: Dataset, url: str | None) -> tuple[Path, ...]:
    """Write the pages into the data set's folder and return them.

    The same data set gives the same bytes. Raises UsageError when matplotlib is not installed.
    """
    facts, root = gather(dataset), dataset.root
    figures = tuple(f"{FIGURES}/{name}" for name in draw(facts, root / FIGURES))
    page, machine = root / "README.md", root / "croissant.json"
    with replacing(page) as draft:
        draft.write_text(readme(facts, url, figures), encoding="utf-8")
    write_json(machine, croissant(facts, url))
    return (page, machine, *(root / name for name in figures))
