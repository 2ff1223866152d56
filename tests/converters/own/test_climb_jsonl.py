"""JSON lines of other pipelines: where a line ends, and boxes that are in no pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import Misaligned
from qoqdata.simulation import write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("climb_jsonl")
MAPPING = {
    "slug": "old_films",
    "name": "Old films",
    "domain": "chest_xray",
    "files": {"a.jsonl": "train"},
    "labels": {"clear": "Clear", "ill": "Ill"},
}


def _planned(raw: Path, *lines: dict[str, Any]) -> list[Planned]:
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    write_text(raw / "a.jsonl", text)
    assert SOURCE.configure is not None
    card, settings = SOURCE.configure(SOURCE.card, MAPPING)
    return list(SOURCE.plan(Job(card, open_raw(raw), mapping=settings)))


def _line(**changes: Any) -> dict[str, Any]:
    return {"images": ["a.png"], "problem": "<image>Ill?", "answer": "ill"} | changes


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_a_line_ends_at_a_line_feed_alone(tmp_path: Path, mark: str) -> None:
    """JSON lets these stand in a text as they are."""
    one, two = _planned(tmp_path, _line(problem=f"Ill?{mark}Or clear?"), _line(answer="clear"))
    assert isinstance(one, Unit) and isinstance(two, Unit)
    assert one.facts["wording"] == f"Ill?{mark}Or clear?"


def test_shares_of_the_sides_are_no_pixels(tmp_path: Path) -> None:
    """[0.1, 0.2, 0.5, 0.9] would be a box within the first pixel."""
    pixels, none = _line(bbox=[0, 0, 2, 1]), _line(bbox=[0, 0, 0, 0], answer="clear")
    one, two, three = _planned(tmp_path, pixels, none, _line(bbox=[0.1, 0.2, 0.5, 0.9]))
    assert isinstance(one, Unit) and one.facts["box"] == [0, 0, 2, 1]
    assert isinstance(two, Unit) and two.facts["box"] is None
    assert isinstance(three, Refused) and "shares of the sides" in str(three.error)


def _converted(raw: Path, turn: int = 1, **line: Any) -> Any:
    """The record of a line about an image of 40 x 20 pixels; its mask has columns 10 to 29."""
    exif = Image.Exif()
    exif[0x0112] = turn
    raw.mkdir(exist_ok=True)
    Image.new("L", (40, 20), 90).save(raw / "a.png", exif=exif)
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 10:30] = 255
    Image.fromarray(mask).save(raw / "mask.png")
    (unit,) = _planned(raw, _line(**line))
    assert isinstance(unit, Unit)
    card, settings = SOURCE.configure(SOURCE.card, MAPPING)
    (record,) = SOURCE.convert(unit, Job(card, open_raw(raw), mapping=settings))
    return record


def test_a_box_is_where_its_mask_is(tmp_path: Path) -> None:
    """Of x, y, width and height, and of a copy of half the size, both inside the image."""
    mask = {"segmentation_path": "mask.png"}
    record = _converted(tmp_path, bbox=[10, 5, 31, 15], **mask)
    assert [(r.x_min, r.y_min, r.x_max, r.y_max) for r in record.regions] == [(10, 5, 31, 15)]
    for box in ([10, 5, 20, 10], [5, 2.5, 15, 7.5]):
        with pytest.raises(Misaligned, match="elsewhere than the mask"):
            _converted(tmp_path, bbox=box, **mask)


def test_a_box_on_an_image_that_exif_turns_may_lie_on_either(tmp_path: Path) -> None:
    assert _converted(tmp_path, bbox=[10, 5, 30, 15]).regions
    assert _converted(tmp_path, turn=6).images[0].height == 40
    with pytest.raises(Misaligned, match=r"Exif turns the image \(orientation 6\)"):
        _converted(tmp_path, turn=6, bbox=[10, 5, 19, 15])
