"""The figures of a record, and what is drawn over them: boxes and masks by label and reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qoqdata.drawing.ecg_paper import sheet_size, sheets
from qoqdata.drawing.pixels import COLOURS, mask_codes
from qoqdata.question import image_names

COLOUR_COUNT = len(COLOURS)
#: Readers that are not kept apart.
UNNAMED = "unnamed"
#: Modalities whose images are scrolled through, one at a time.
_STACKS = ("volume_3d", "video")


@dataclass(frozen=True)
class Outline:
    """What is drawn over an image: a `box` (x_min, y_min, x_max, y_max in stored pixels), or a
    `mask` (number of the mask in the record, its code)."""

    label: str
    reader: str
    role: str
    box: tuple[float, ...] | None = None
    mask: tuple[int, int] | None = None


@dataclass(frozen=True)
class Figure:
    """An image or, where it has no `width`, a sheet of ECG; `number` counts from 0. Each outline
    comes with the number of its colour.

    `spacing` is mm between the pixels of an image, down and across; None where it is unknown.
    `paper` is the width and height of a sheet in mm.
    """

    number: int
    name: str
    facts: str
    width: int = 0
    height: int = 0
    outlines: list[tuple[Outline, int]] = field(default_factory=list)
    spacing: tuple[float, float] | None = None
    paper: tuple[float, float] | None = None


@dataclass(frozen=True)
class RecordFigures:
    """`layers` are labels that are drawn, with the number of their colour; `readers` who drew them;
    `beyond` how many outlines lie on images that the record does not hold. `stacked` figures are
    shown one at a time."""

    figures: list[Figure]
    stacked: bool
    layers: list[tuple[str, int]]
    readers: list[str]
    beyond: int

    @property
    def measurable(self) -> bool:
        """Whether a length can be told on any of the figures."""
        return any(figure.spacing or figure.paper for figure in self.figures)


def record_figures(record: Mapping[str, Any], mask_names: Mapping[int, str]) -> RecordFigures:
    """The figures of a record as `read_records` gives it; `mask_names` are those of mask codes.

    Raises InputError for a mask that cannot be decoded.
    """
    images = record["images"] or []
    outlines = _outlines(record, mask_names)
    names = list(dict.fromkeys(outline.label for _, outline in outlines))
    figures = [_image_figure(record, n, outlines, names) for n in range(len(images))]
    return RecordFigures(
        figures=figures or _sheets(record),
        stacked=not images or record["modality"] in _STACKS,
        layers=[(name, place % COLOUR_COUNT) for place, name in enumerate(names)],
        readers=sorted({outline.reader for _, outline in outlines}),
        beyond=sum(number >= len(images) for number, _ in outlines),
    )


def answer_text(record: Mapping[str, Any]) -> str:
    """The answer of a record; of a number, also its value, unit and tolerance."""
    number = record["number"]
    if not number:
        return str(record["answer"])
    unit = f" {number['unit']}" if number["unit"] else ""
    return f"{record['answer']} ({number['value']:g}{unit}, right within {number['tolerance']:g})"


def _outlines(record: Mapping[str, Any], names: Mapping[int, str]) -> list[tuple[int, Outline]]:
    """Boxes and masks with the number of the image each lies on."""
    found: list[tuple[int, Outline]] = []
    for region in record["regions"] or []:
        box = tuple(float(region[name]) for name in ("x_min", "y_min", "x_max", "y_max"))
        reader = region["reader"] or UNNAMED
        found.append((region["image"], Outline(region["label"], reader, region["role"], box=box)))
    masks, infos = record["masks"] or [], record["mask_info"] or []
    for number, (mask, info) in enumerate(zip(masks, infos, strict=True)):
        for code in mask_codes(mask["bytes"]):
            label = names.get(code, f"code {code}")
            reader = info["reader"] or UNNAMED
            found.append((info["image"], Outline(label, reader, "mask", mask=(number, code))))
    return found


def _image_figure(
    record: Mapping[str, Any],
    number: int,
    outlines: Iterable[tuple[int, Outline]],
    names: Sequence[str],
) -> Figure:
    info = record["image_info"][number]
    parts = [f"{info['width']} × {info['height']} px"]
    parts += [str(info[name]) for name in ("view", "laterality") if info[name]]
    if window := info["window"]:
        named = f"{window['name']} " if window["name"] else ""
        parts.append(f"window {named}{window['centre']:g} / {window['width']:g}")
    if info["index"] is not None:
        parts.append(f"raw index {info['index']}")
    if info["spacing"]:
        parts.append(" × ".join(f"{step:.3g}" for step in info["spacing"]) + " mm")
    return Figure(
        number=number,
        name=image_names(record, number + 1)[-1],
        facts=", ".join(parts),
        width=info["width"],
        height=info["height"],
        outlines=[
            (outline, names.index(outline.label) % COLOUR_COUNT)
            for image, outline in outlines
            if image == number
        ],
        spacing=(info["spacing"][0], info["spacing"][1]) if info["spacing"] else None,
    )


def _sheets(record: Mapping[str, Any]) -> list[Figure]:
    if not record["ecg"]:
        return []
    ecg = record["ecg"]
    facts = f"{len(ecg['leads'])} leads, {ecg['fs']:g} Hz, 25 mm/s, 10 mm/mV"
    count = sheets(ecg)
    paper = sheet_size(len(ecg["leads"]))
    names = (f"ECG, sheet {n + 1} of {count}" for n in range(count))
    return [Figure(n, name, facts, paper=paper) for n, name in enumerate(names)]


def telling_figures(figures: Sequence[Figure], most: int) -> list[Figure]:
    """At most `most` figures in their order: of those over which most labels are drawn, else of
    all, the middle of each of as many equal parts."""
    labels = [len({outline.label for outline, _ in figure.outlines}) for figure in figures]
    worth = [f for f, count in zip(figures, labels, strict=True) if count == max(labels)]
    count = min(most, len(worth))
    return [worth[(2 * n + 1) * len(worth) // (2 * count)] for n in range(count)]
