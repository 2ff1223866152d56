"""The pages of a data set for people and machines: README.md, figures, croissant.json.

The figures are SVG files whose bytes follow from the facts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qoqdata.atomic import replacing, write_json
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.publication.croissant import croissant
from qoqdata.publication.facts import Facts, gather_facts
from qoqdata.publication.readme import FIGURES, readme

FOLDER = "figures"

_COLOURS = {"train": "#4477aa", "validation": "#ccbb44", "test": "#ee6677"}
#: Without these, matplotlib writes random ids and the date into SVG.
_FIXED: Any = {"svg.hashsalt": "qoqdata", "svg.fonttype": "none", "font.family": "DejaVu Sans"}


def write_pages(dataset: Dataset, url: str | None) -> tuple[Path, ...]:
    """Write the pages into the data set's folder and return their paths.

    `url` is where the set is published, for the loading snippet. The same data set gives the same
    bytes. Raises UsageError when matplotlib is not installed.
    """
    facts, root = gather_facts(dataset), dataset.root
    figures = tuple(f"{FOLDER}/{name}" for name in draw_figures(facts, root / FOLDER))
    page, machine = root / "README.md", root / "croissant.json"
    with replacing(page) as draft:
        draft.write_text(readme(facts, url, figures), encoding="utf-8")
    write_json(machine, croissant(facts, url))
    return (page, machine, *(root / name for name in figures))


def draw_figures(facts: Facts, folder: Path) -> tuple[str, ...]:
    """Draw what the facts allow into `folder` and return the file names.

    Raises UsageError when matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        fix = "pip install 'qoqdata[view]'"
        raise UsageError("plots need matplotlib", fix=fix) from error
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    with matplotlib.rc_context(_FIXED):
        if facts.domains.height:
            _records(facts, folder / FIGURES[0])
            names.append(FIGURES[0])
        if facts.stats is not None and facts.stats.domains["success_rate"].drop_nulls().len():
            _success(facts, folder / FIGURES[1])
            names.append(FIGURES[1])
    return tuple(names)


def _records(facts: Facts, path: Path) -> None:
    frame = facts.domains.sort("records", "domain")
    figure, axes = _axes(frame.height)
    left = [0] * frame.height
    for split in SPLITS:
        axes.barh(frame["domain"], frame[split], left=left, color=_COLOURS[split], label=split)
        left = [a + b for a, b in zip(left, frame[split], strict=True)]
    axes.set_xlabel("records")
    figure.legend(frameon=False, loc="outside upper right", ncols=len(SPLITS))
    _save(figure, path)


def _success(facts: Facts, path: Path) -> None:
    assert facts.stats is not None
    frame = facts.stats.domains.drop_nulls("success_rate").sort("key")
    figure, axes = _axes(max(frame.height, 6))
    axes.scatter(frame["success_rate"], frame["rarity"], color=_COLOURS["train"])
    for name, x, y in frame.select("key", "success_rate", "rarity").iter_rows():
        axes.annotate(name, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.set_xlabel("success rate (0 hard, 1 easy)")
    axes.set_ylabel("rarity")
    axes.set_xlim(-0.05, 1.25)
    _save(figure, path)


def _axes(rows: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.2 + 0.32 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
