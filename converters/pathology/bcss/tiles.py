"""Tiles of a region, and what the codes of their pixels answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from qoqdata.contract.card import Card
from qoqdata.readers import masks
from qoqdata.records.content import Record
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number, translate
from qoqdata.sources.protocol import Converted, Skipped

#: Codes that say nothing about the tissue, by name.
IGNORED = frozenset({"outside_roi", "exclude", "undetermined"})
IMMUNE = ("lymphocytic_infiltrate", "plasma_cells", "other_immune_infiltrate")
#: Share of the tile that may be ignored: at all, and where shares are asked.
MOST_IGNORED, FEW_IGNORED = 0.5, 0.05
#: Share of what is annotated from which a tissue is there.
PRESENT = 0.05
#: Share of the tile that stroma with its immune cells must have.
ENOUGH_STROMA = 0.2
#: Share of the tile from which a region of tumor is boxed, and up to which tumor is.
BOXED, MOST_BOXED = 0.01, 0.8
TASKS = ("tissues", "main_tissue", "tumor_share", "immune_share", "tumor_regions")


def grid(shape: tuple[int, int], side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of equal tiles of about `side` pixels that cover (rows, columns)."""
    rows, columns = (_parts(length, side) for length in shape)
    for band in rows:
        for column in columns:
            yield band, column


def questions(
    codes: np.ndarray, card: Card, item: str, shared: dict[str, Any]
) -> Iterator[Converted]:
    """The questions about one tile; `codes` is its label map, (rows, columns)."""
    values, counts = np.unique(codes, return_counts=True)
    area = dict(zip((card.mask_codes[int(v)] for v in values), map(int, counts), strict=True))
    ignored = sum(area.get(name, 0) for name in IGNORED)
    tissue = {name: count for name, count in area.items() if name not in IGNORED}

    def skipped(task: str, reason: str, what: str) -> Skipped:
        return Skipped(task, reason, f"{item}: {what}", item)

    def record(**fields: Any) -> Record:
        return Record(**(shared | fields), item=item)

    if ignored >= MOST_IGNORED * codes.size:
        what = f"{ignored / codes.size:.0%} of the tile is not annotated"
        yield from (skipped(task, "not_annotated", what) for task in TASKS)
        return
    yield record(**_tissues(tissue, card, complete=not ignored))
    main = max(tissue, key=lambda name: (tissue[name], name))
    if 2 * tissue[main] > codes.size:
        option = translate(card, main, where=item, task="main_tissue")
        yield record(**ask(card, "main_tissue", [option]))
    else:
        yield skipped("main_tissue", "no_majority", "no tissue covers half of the tile")
    if ignored > FEW_IGNORED * codes.size:
        what = f"{ignored / codes.size:.0%} of the tile is not annotated"
        yield from (skipped(task, "partly_annotated", what) for task in TASKS[2:])
        return
    tumor = tissue.get("tumor", 0)
    annotated = sum(tissue.values())
    share = round(100 * tumor / annotated, 1)
    yield record(**ask_number(card, "tumor_share", share, unit="%"))
    immune = sum(tissue.get(name, 0) for name in IMMUNE)
    stroma = immune + tissue.get("stroma", 0)
    if stroma >= ENOUGH_STROMA * codes.size:
        share = round(100 * immune / stroma, 1)
        yield record(**ask_number(card, "immune_share", share, unit="%"))
    else:
        yield skipped("immune_share", "little_stroma", "the tile has too little stroma")
    table = {code: name for code, name in card.mask_codes.items() if name == "tumor"}
    least = max(1, round(BOXED * codes.size))
    boxes = masks.boxes(codes, table, instances=True, min_area=least)
    if not boxes or tumor > MOST_BOXED * codes.size:
        yield skipped("tumor_regions", "no_region", "tumor is nowhere, or nearly everywhere")
        return
    regions = regions_from_boxes(boxes, image=0)
    yield record(**ask_boxes(card, "tumor_regions", regions), regions=regions)


def _tissues(tissue: dict[str, int], card: Card, *, complete: bool) -> dict[str, Any]:
    """Tissues by state; those without a pixel are absent where the whole tile is annotated."""
    annotated, options = sum(tissue.values()), card.tasks["tissues"].options or ()
    names = {translate(card, name, where=name, task="tissues"): n for name, n in tissue.items()}
    present = [option for option, count in names.items() if count >= PRESENT * annotated]
    return ask(
        card,
        "tissues",
        present,
        uncertain=set(names) - set(present),
        absent=set(options) - set(names) if complete else (),
    )


def _parts(length: int, side: int) -> list[slice]:
    count = max(1, round(length / side))
    edges = [length * part // count for part in range(count + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]
