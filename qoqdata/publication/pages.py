"""The pages of a data set for people and machines: README.md, figures, croissant.json.

The figures are SVG files whose bytes follow from the facts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.atomic import replacing, write_json
from qoqdata.dataset import Dataset
from qoqdata.plots.counts import records_figure
from qoqdata.plots.rates import rarity_figure
from qoqdata.plots.style import write_figures
from qoqdata.publication.card_samples import SAMPLE
from qoqdata.publication.croissant import croissant
from qoqdata.publication.facts import Facts, gather_facts
from qoqdata.publication.readme import FIGURES, readme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "figures"


def write_pages(dataset: Dataset, url: str | None) -> tuple[Path, ...]:
    """Write the pages into the data set's folder and return their paths.

    `url` is where the set is published, for the loading snippet. The same data set gives the same
    bytes. Figures that an earlier call drew and this one does not go. Raises UsageError when
    matplotlib is not installed.
    """
    facts, root = gather_facts(dataset), dataset.root
    written = draw_figures(facts, root / FOLDER)
    ours = [root / FOLDER / f"{name}.svg" for name in FIGURES]
    for stale in {*ours, *(root / FOLDER).glob(f"{SAMPLE}*.svg")} - set(written):
        stale.unlink(missing_ok=True)
    page, machine = root / "README.md", root / "croissant.json"
    with replacing(page) as draft:
        figures = tuple(path.relative_to(root).as_posix() for path in written)
        draft.write_text(readme(facts, url, figures), encoding="utf-8")
    write_json(machine, croissant(facts, url))
    return (page, machine, *written)


def draw_figures(facts: Facts, folder: Path) -> tuple[Path, ...]:
    """Draw what the facts allow into `folder` and return the paths, samples last.

    Raises UsageError when matplotlib is not installed.
    """
    figures: dict[str, Callable[[], Figure]] = {}
    if facts.domains.height:
        figures[FIGURES[0]] = partial(records_figure, facts.domains, "domain")
    if facts.stats is not None and facts.stats.domains["success_rate"].drop_nulls().len():
        figures[FIGURES[1]] = partial(rarity_figure, facts.stats.domains)
    paths = list(write_figures(figures, folder, ("svg",)))
    for sample in facts.samples:
        path = folder / f"{sample.name}.svg"
        with replacing(path) as draft:
            draft.write_text(sample.svg, encoding="utf-8")
        paths.append(path)
    return tuple(paths)
