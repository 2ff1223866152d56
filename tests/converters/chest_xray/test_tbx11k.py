"""TBX11K: COCO files written down by hand, and the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadTable, Misaligned
from qoqdata.simulation import write_png, write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("tbx11k")
#: Not in the order of their ids.
CATEGORIES = [
    {"id": 3, "name": "PulmonaryTuberculosis"},
    {"id": 1, "name": "ActiveTuberculosis"},
    {"id": 2, "name": "ObsoletePulmonaryTuberculosis"},
]
ACTIVE, LATENT, UNCERTAIN = 1, 2, 3
Foci = list[tuple[int, list[float]]]


def _coco(name: str, foci: Foci, size: int = 512) -> dict[str, Any]:
    image = {"id": 77, "file_name": name, "width": size, "height": size}
    boxes = [
        {"id": n, "image_id": 77, "category_id": kind, "bbox": box}
        for n, (kind, box) in enumerate(foci)
    ]
    return {"categories": CATEGORIES, "images": [image], "annotations": boxes}


def _job(raw: Path, name: str, foci: Foci, shown: int = 512) -> Job:
    """A film in train, and a healthy one in validation."""
    for split, content in (("train", _coco(name, foci)), ("val", _coco("health/h9.png", []))):
        write_text(raw / f"annotations/json/TBX11K_{split}.json", json.dumps(content))
    write_png(raw / "imgs" / name, np.full((shown, shown), 90, np.uint8))
    write_png(raw / "imgs/health/h9.png", np.full((8, 8), 90, np.uint8))
    return Job(SOURCE.card, open_raw(raw))


def _planned(job: Job) -> dict[str, Planned]:
    return {one.key: one for one in SOURCE.plan(job)}


def _asked(job: Job, name: str) -> dict[str, Any]:
    unit = _planned(job)[f"imgs/{name}"]
    assert isinstance(unit, Unit) and unit.split == "train"
    return {one.task: one for one in SOURCE.convert(unit, job)}


def test_foci_have_stage_place_and_number(tmp_path: Path) -> None:
    """Boxes are x, y, width and height of 512 pixels; the film here has half of them."""
    foci = [(LATENT, [100.0, 50.0, 40.0, 20.0]), (ACTIVE, [300.0, 500.0, 60.0, 40.0])]
    asked = _asked(_job(tmp_path, "tb/tb1.png", foci, shown=256), "tb/tb1.png")
    assert asked["diagnosis"].answer == "Tuberculosis"
    assert asked["activity"].labels == ("Active tuberculosis", "Latent tuberculosis")
    assert asked["count"].number.value == 2
    edges = {(r.label, r.x_min, r.y_min, r.x_max, r.y_max) for r in asked["foci"].regions}
    # The second reaches over the lower edge.
    assert edges == {
        ("Latent tuberculosis", 50, 25, 70, 35),
        ("Active tuberculosis", 150, 250, 180, 256),
    }
    assert asked["diagnosis"].regions is None


def test_a_box_that_is_listed_twice_is_one_focus(tmp_path: Path) -> None:
    one, two = (ACTIVE, [100.0, 50.0, 40.0, 20.0]), (ACTIVE, [100.0, 50.0, 41.0, 20.0])
    asked = _asked(_job(tmp_path, "tb/tb1.png", [one, two, one]), "tb/tb1.png")
    assert asked["count"].number.value == 2 == len(asked["foci"].regions)
    assert asked["count"].notes[-1] == "1 boxes listed again, counted once"


def test_boxes_of_another_film_are_refused(tmp_path: Path) -> None:
    """Corners taken for width and height, and a film of other proportions."""
    job = _job(tmp_path, "tb/tb1.png", [(ACTIVE, [300.0, 250.0, 340.0, 290.0])])
    unit = _planned(job)["imgs/tb/tb1.png"]
    with pytest.raises(BadTable, match="outside of its film"):
        SOURCE.convert(unit, job)
    job = _job(tmp_path, "tb/tb1.png", [(ACTIVE, [30.0, 25.0, 34.0, 29.0])])
    write_png(tmp_path / "imgs/tb/tb1.png", np.full((512, 400), 90, np.uint8))
    with pytest.raises(Misaligned, match="400 x 512, and was 512 x 512"):
        SOURCE.convert(unit, job)


@pytest.mark.parametrize(
    ("folder", "answer"), [("health", "Healthy"), ("sick", "Sick without tuberculosis")]
)
def test_films_without_foci_are_asked_the_diagnosis_alone(
    tmp_path: Path, folder: str, answer: str
) -> None:
    asked = _asked(_job(tmp_path, f"{folder}/a.png", []), f"{folder}/a.png")
    assert asked.pop("diagnosis").answer == answer
    assert {one.reason for one in asked.values()} == {"no_focus"}


def test_a_focus_of_uncertain_stage_is_neither_active_nor_latent(tmp_path: Path) -> None:
    foci = [(UNCERTAIN, [1.0, 1.0, 9.0, 9.0]), (ACTIVE, [50.0, 50.0, 9.0, 9.0])]
    asked = _asked(_job(tmp_path, "tb/tb1.png", foci), "tb/tb1.png")
    assert asked.pop("diagnosis").answer == "Tuberculosis"
    assert all(isinstance(one, Skipped) for one in asked.values())


def test_a_box_on_a_healthy_film_is_refused(tmp_path: Path) -> None:
    planned = _planned(_job(tmp_path, "health/h1.png", [(ACTIVE, [1.0, 1.0, 9.0, 9.0])]))
    assert isinstance(planned["imgs/health/h1.png"], Refused)


def test_films_without_labels_are_told_apart_from_strays(tmp_path: Path) -> None:
    job = _job(tmp_path, "tb/tb1.png", [])
    for name in ("test/x.png", "extra/da+db/y.png", "sick/z.png"):
        write_png(tmp_path / "imgs" / name, np.full((8, 8), 90, np.uint8))
    planned = _planned(job)
    reasons = {key: one.reason for key, one in planned.items() if isinstance(one, Filtered)}
    assert reasons == {"imgs/test/x.png": "no_label", "imgs/extra/da+db/y.png": "other_collection"}
    assert isinstance(planned["imgs/sick/z.png"], Refused)


@pytest.mark.parametrize("text", ["[]", "{", '{"images": [], "annotations": [], "categories": []}'])
def test_another_file_refuses_the_source(tmp_path: Path, text: str) -> None:
    job = _job(tmp_path, "tb/tb1.png", [])
    write_text(tmp_path / "annotations/json/TBX11K_val.json", text)
    with pytest.raises(BadTable):
        list(SOURCE.plan(job))


def test_real_files_join_and_convert(realdata: Path, tmp_path: Path) -> None:
    """The real training file, of which three films are here; validation is made up."""
    folder = realdata / "chest_xray/tbx11k_mini"
    content = (folder / "annotations/json/TBX11K_train.json").read_text(encoding="utf-8")
    for path in folder.glob("imgs/*/*.png"):
        target = tmp_path / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    other = json.dumps(_coco("health/h9.png", []))
    write_text(tmp_path / "annotations/json/TBX11K_train.json", content)
    write_text(tmp_path / "annotations/json/TBX11K_val.json", other)
    job = Job(SOURCE.card, open_raw(tmp_path))
    answers = {}
    for key, unit in _planned(job).items():
        if isinstance(unit, Unit) and unit.split == "train":
            found = {one.task: one for one in SOURCE.convert(unit, job)}
            stages = getattr(found["activity"], "labels", ())
            answers[key] = (found["diagnosis"].answer, stages)
    assert answers == {
        "imgs/health/h0001.png": ("Healthy", ()),
        "imgs/tb/tb0005.png": ("Tuberculosis", ("Active tuberculosis",)),
        "imgs/tb/tb0007.png": ("Tuberculosis", ("Latent tuberculosis",)),
    }
