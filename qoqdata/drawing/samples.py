"""Records drawn to stand on a page of their own, which asks for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from qoqdata.drawing.ecg_paper import SHEET, seconds_of, sheet_svg
from qoqdata.drawing.pixels import Drawing, drawn_mask, small_image
from qoqdata.drawing.record_figures import (
    Figure,
    Outline,
    RecordFigures,
    record_figures,
    telling_figures,
)
from qoqdata.errors import InputError

#: Detail and leads of an ECG among others: ten seconds of twelve leads are about 0.3 MB.
_POINTS, _LEADS = 8, 12


@dataclass(frozen=True)
class DrawnFigure:
    """A figure with its `image`, and its masks by their number and code and the number of their
    colour."""

    figure: Figure
    image: Drawing
    masks: Mapping[tuple[tuple[int, int], int], Drawing]

    @property
    def size(self) -> int:
        """Bytes of the page that it takes."""
        return sum(len(one.content) for one in (self.image, *self.masks.values())) * 4 // 3

    @property
    def url(self) -> str:
        return self.image.uri

    def mask_url(self, outline: Outline, colour: int) -> str:
        """The address of what an outline covers."""
        assert outline.mask is not None
        return self.masks[outline.mask, colour].uri


@dataclass(frozen=True)
class DrawnRecord:
    """Figures of a record that tell most; `of` is how many it has, `shown` their labels."""

    figures: Sequence[DrawnFigure]
    of: int
    shown: RecordFigures | None


def draw_record(
    record: Mapping[str, Any], mask_names: Mapping[int, str], *, most: int, side: int
) -> DrawnRecord:
    """A record as `read_records` gives it: at most `most` figures, images and masks with at most
    `side` pixels on their longer side, of an ECG its first sheet.

    What cannot be decoded is not drawn; `qoqdata validate` names it.
    """
    try:
        shown = record_figures(record, mask_names)
    except InputError:
        return DrawnRecord((), len(record["images"] or ()), None)
    if not record["images"]:
        drawn = [_sheet(record["ecg"], figure) for figure in shown.figures[:1]]
        return DrawnRecord(drawn, len(shown.figures), shown)
    chosen = telling_figures(shown.figures, most)
    figures = [one for one in (_drawn(record, figure, side) for figure in chosen) if one]
    return DrawnRecord(figures, len(shown.figures), shown)


def _sheet(ecg: Mapping[str, Any], figure: Figure) -> DrawnFigure:
    leads = range(min(len(ecg["leads"]), _LEADS))
    # Of a short recording as much paper as it takes.
    seconds = min(SHEET, max(2.0, ceil(seconds_of(ecg) - 1e-9)))
    svg = sheet_svg(ecg, figure.number, leads=leads, seconds=seconds, points=_POINTS)
    return DrawnFigure(figure, Drawing(svg.encode(), "image/svg+xml"), {})


def _drawn(record: Mapping[str, Any], figure: Figure, side: int) -> DrawnFigure | None:
    try:
        image = small_image(record["images"][figure.number]["bytes"], side)
        masks = {
            (outline.mask, colour): drawn_mask(
                record["masks"][outline.mask[0]]["bytes"], outline.mask[1], colour, side
            )
            for outline, colour in figure.outlines
            if outline.mask is not None
        }
    except InputError:
        return None
    return DrawnFigure(figure, image, masks)
