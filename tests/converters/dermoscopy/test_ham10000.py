"""HAM10000: the further questions about an image, on real files."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("ham10000")
GROUPS = {"nv", "bkl", "df", "vasc"}, {"mel", "bcc"}


def test_real_images_are_asked_for_group_place_and_site(realdata: Path) -> None:
    raw = realdata / "dermoscopy" / "ham10000_small"
    options = {"masks": "required", "questions": "all"}
    job = Job(SOURCE.card, open_raw(raw), options=options)
    with (raw / "HAM10000_metadata.csv").open() as file:
        rows = {row["image_id"]: row for row in csv.DictReader(file)}
    units = [one for one in SOURCE.plan(job) if isinstance(one, Unit)]
    assert len(units) == len(rows) == 156
    asked = Counter[str]()
    for unit in units[::8]:
        row, found = rows[unit.key], {one.task: one for one in SOURCE.convert(unit, job)}
        benign, malignant = (row["dx"] in group for group in GROUPS)
        other = "Precancer or carcinoma in situ"
        answer = "Benign" if benign else "Malignant" if malignant else other
        assert found["group"].answer == answer
        site = found["site"]
        if isinstance(site, Skipped):
            assert row["localization"] in ("", "unknown")
        else:
            assert site.answer.lower() == row["localization"]
        with Image.open(raw / "masks" / f"{unit.key}_segmentation.png") as mask:
            # The images are a third of their masks: the middle pixel of three tells.
            drawn = np.asarray(mask.convert("L"))[1::3, 1::3] > 127
        (region,) = found["lesion"].regions
        box = (region.x_min, region.y_min, region.x_max, region.y_max)
        assert box == Image.fromarray(drawn).getbbox()
        told = " ".join(str(one.context) for one in found.values())
        assert told == "None None None None" and "dx_type" not in SOURCE.card.tasks
        asked.update(found.keys())
    assert asked["group"] == asked["lesion"] == 20


def test_one_question_is_asked_unless_all_are_wanted(realdata: Path) -> None:
    raw = realdata / "dermoscopy" / "ham10000_small"
    job = Job(SOURCE.card, open_raw(raw), options={"masks": "required", "questions": "diagnosis"})
    unit = next(one for one in SOURCE.plan(job) if isinstance(one, Unit))
    assert [one.task for one in SOURCE.convert(unit, job)] == ["diagnosis"]
