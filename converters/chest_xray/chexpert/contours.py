"""CheXlocalize: contours that radiologists drew around findings on films of validation and test.

    {film: {"img_size": [rows, columns], finding: [contour, ...], ...}, ...}

where a contour is a list of [x, y] in pixels of the full-size film, and a film is called by its
patient, study and view, such as patient64541_study1_view1_frontal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image as Canvas
from PIL import ImageDraw

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable
from qoqdata.readers import masks
from qoqdata.records.content import Image, Mask, Record, Region
from qoqdata.records.images import regions_from_boxes
from qoqdata.sources.asking import ask_boxes, translate
from qoqdata.sources.protocol import Converted, Job, Skipped

from ..four_states import States

FILES: dict[Split, str] = {
    "validation": "gt_annotations_val.json",
    "test": "gt_annotations_test.json",
}
SIZE = "img_size"
#: By how much a film's ratio of sides may differ from that which the contours were drawn on.
SAME_SHAPE = 0.02

#: `img_size` and contours by finding, of one film.
Drawn = dict[str, Any]


def read_contours(job: Job, where: str) -> dict[str, Drawn]:
    """The contours of each film; raises BadTable for a file that holds something else."""
    try:
        content = json.loads(job.raw.read_bytes(where, limits=job.limits))
    except ValueError as error:
        raise BadTable(f"is no JSON: {error}", where=where, fix="fetch it again") from error
    if not isinstance(content, dict) or not all(_is_drawn(film) for film in content.values()):
        raise BadTable("holds no contours by film and finding", where=where, fix="fetch it again")
    return content


def ask_contours(
    card: Card,
    drawn: Drawn | None,
    states: States | None,
    image: Image,
    shown: Mapping[str, Any],
    *,
    film: str,
) -> Converted:
    """The boxes of one film, with a mask for each finding; findings overlap.

    Only what is present was drawn: the question is skipped where `states` of the study (None for
    unknown ones) say something else. Contours are brought to the size of `image`, which a smaller
    edition has reduced.
    """
    if not drawn or len(drawn) == 1:
        return Skipped("boxes", "no_contour", "nobody drew on this film", film)
    rows, columns = drawn[SIZE]
    down, across = image.height / rows, image.width / columns
    if abs(down / across - 1) > SAME_SHAPE:
        what = f"drawn on {columns} x {rows} pixels, shown with {image.width} x {image.height}"
        return Skipped("boxes", "other_shape", what, film)
    codes = {name: code for code, name in card.mask_codes.items()}
    names = {
        translate(card, raw, where=film, task="findings_reviewed"): raw
        for raw in sorted(drawn.keys() - {SIZE})
    }
    if stray := [label for label in names if states is not None and states.get(label) != 1]:
        return Skipped("boxes", "boxes_and_labels", f"{stray[0]} is drawn and not present", film)
    layers, regions = list[Mask](), list[Region]()
    for label, raw in names.items():
        mask = _filled(drawn[raw], (image.height, image.width), (across, down)) * codes[label]
        layers.append(Mask(mask.astype(np.uint8), instance=len(layers) + 1))
        found = masks.boxes(mask, {codes[label]: label}, instances=True)
        regions += regions_from_boxes(found, image=0)
    if not regions:
        return Skipped("boxes", "no_contour", "no contour has an area in the film", film)
    fields: dict[str, Any] = {**shown, **ask_boxes(card, "boxes", regions), "images": (image,)}
    return Record(**fields, item=film, masks=tuple(layers), regions=tuple(regions))


def _filled(
    contours: list[list[list[float]]], shape: tuple[int, int], scale: tuple[float, float]
) -> np.ndarray:
    """1 in and on the contours, uint8 of (rows, columns)."""
    canvas = Canvas.new("L", (shape[1], shape[0]))
    draw = ImageDraw.Draw(canvas)
    for contour in contours:
        points = [(x * scale[0], y * scale[1]) for x, y in contour]
        if len(points) > 2:
            draw.polygon(points, outline=1, fill=1)
    return np.asarray(canvas)


def _is_drawn(film: object) -> bool:
    if not isinstance(film, dict) or not _are_numbers(film.get(SIZE)) or min(film[SIZE]) <= 0:
        return False
    return all(
        isinstance(contours, list)
        and all(isinstance(one, list) and all(map(_are_numbers, one)) for one in contours)
        for name, contours in film.items()
        if name != SIZE
    )


def _are_numbers(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(value, int | float) for value in pair)
    )
