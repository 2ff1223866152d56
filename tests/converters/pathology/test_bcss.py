"""BCSS: masks drawn by hand, and the real tables of codes and bounds."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadLabel, BadTable, Misaligned
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_png, write_text
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("bcss")
TASKS = set(SOURCE.card.tasks)
SLIDE, NAME = "TCGA-A1-A0SK-DX1", "TCGA-A1-A0SK-DX1_xmin50_ymin70_MPP-0.2500"


def _tables(raw: Path, *slides: str) -> None:
    rows = [{"": slide, "xmin": 50, "ymin": 70, "xmax": 90, "ymax": 90} for slide in slides]
    write_csv(raw / "meta/roiBounds.csv", rows)
    lines = [f"{name}\t{code}\r\n" for code, name in SOURCE.card.mask_codes.items()]
    write_text(raw / "meta/gtruth_codes.tsv", "label\tGT_code\r\n" + "".join(lines))


def _job(raw: Path, mask: np.ndarray, tile: int = 512, name: str = NAME) -> Job:
    """A region whose pixels tell their place: red is the column, green the row."""
    _tables(raw, SLIDE)
    rows, columns = np.indices(mask.shape)
    pixels = np.dstack([columns % 251, rows % 251, np.zeros(mask.shape)]).astype(np.uint8)
    write_png(raw / f"images/{name}.png", pixels)
    write_png(raw / f"masks/{name}.png", mask.astype(np.uint8))
    return Job(SOURCE.card, open_raw(raw), options={"tile": tile})


def _asked(job: Job) -> dict[tuple[str, str | None], Any]:
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit), unit
    return {(one.task, one.item): one for one in SOURCE.convert(unit, job)}


def _one(mask: np.ndarray, raw: Path) -> dict[str, Any]:
    return {task: one for (task, _), one in _asked(_job(raw, mask)).items()}


def test_tiles_cover_a_region_once_and_show_their_own_place(tmp_path: Path) -> None:
    """130 x 90 pixels in tiles of about 40: three by two, and no pixel is in two of them."""
    mask = np.full((90, 130), 2)
    asked = _asked(_job(tmp_path, mask, tile=40))
    seen = np.zeros(mask.shape, int)
    for (task, item), one in asked.items():
        if task != "tissues":
            continue
        (image,) = one.images
        left, top = (int(part[1:]) for part in item.split("_"))
        height, width = image.pixels.shape[:2]
        assert (image.pixels[0, 0, :2] == (left, top)).all()
        assert (image.pixels[-1, -1, :2] == (left + width - 1, top + height - 1)).all()
        assert image.spacing == pytest.approx((0.00025, 0.00025))
        seen[top : top + height, left : left + width] += 1
    assert (seen == 1).all()


def test_a_tile_is_asked_for_what_its_own_pixels_say(tmp_path: Path) -> None:
    """An L of tumor: the tile in its notch has none, and never answers tumor."""
    mask = np.full((80, 80), 2)
    mask[:, :40] = 1
    mask[40:, :] = 1
    asked = _asked(_job(tmp_path, mask, tile=40))
    answers = {item: one.answer for (task, item), one in asked.items() if task == "main_tissue"}
    assert answers == {
        "x0_y0": "Tumor",
        "x40_y0": "Stroma",
        "x0_y40": "Tumor",
        "x40_y40": "Tumor",
    }
    shares = {
        item: one.number.value for (task, item), one in asked.items() if task == "tumor_share"
    }
    assert shares == {"x0_y0": 100, "x40_y0": 0, "x0_y40": 100, "x40_y40": 100}


def test_tissues_have_three_states_by_area(tmp_path: Path) -> None:
    mask = np.full((40, 50), 2)  # 2,000 pixels
    mask[:10, :10] = 1  # 100 are a twentieth
    mask[20:23, 20:53] = 20  # 3 x 30 are less
    one = _one(mask, tmp_path)["tissues"]
    assert one.labels == ("Tumor", "Stroma")
    assert one.uncertain == ("Ductal carcinoma in situ",)
    assert "Necrosis/debris" in one.absent and len(one.absent) == 16


@pytest.mark.parametrize("ignored", [0, 7, 15])
def test_what_is_not_annotated_is_neither_tissue_nor_background(
    ignored: int, tmp_path: Path
) -> None:
    """A third of the tile says nothing: shares are skipped, and nothing is said to be absent."""
    mask = np.full((30, 60), 2)
    mask[:, :20] = ignored
    mask[:, 20:25] = 1
    asked = _one(mask, tmp_path)
    assert asked["tissues"].answer == "Tumor, Stroma"
    assert asked["tissues"].absent == ()
    assert asked["main_tissue"].answer == "Stroma"  # 35 of 60 columns
    for task in ("tumor_share", "immune_share", "tumor_regions"):
        assert isinstance(asked[task], Skipped) and asked[task].reason == "partly_annotated"
    assert set(np.unique(asked["tissues"].masks[0].codes)) == {ignored, 1, 2}
    mask[:, :31] = ignored
    reasons = {one.reason for one in _one(mask, tmp_path).values()}
    assert reasons == {"not_annotated"}


def test_no_main_tissue_without_a_majority(tmp_path: Path) -> None:
    mask = np.full((30, 30), 1)
    mask[:15] = 2
    assert _one(mask, tmp_path)["main_tissue"].reason == "no_majority"


def test_immune_cells_are_a_share_of_the_stroma(tmp_path: Path) -> None:
    """Ten columns of stroma, two of lymphocytes, one of plasma, one of other immune cells."""
    mask = np.full((20, 40), 1)
    mask[:, :10], mask[:, 10:12], mask[:, 12], mask[:, 13] = 2, 3, 10, 11
    asked = _one(mask, tmp_path)
    assert asked["immune_share"].number.value == pytest.approx(100 * 4 / 14, abs=0.05)
    assert asked["tumor_share"].answer == "65 %"
    mask[:, 4:] = 1
    assert _one(mask, tmp_path)["immune_share"].reason == "little_stroma"


def test_regions_of_tumor_are_boxed_one_by_one_in_pixels_of_the_tile(tmp_path: Path) -> None:
    mask = np.full((50, 100), 2)
    mask[5:15, 60:70] = 1
    mask[30:40, 80:95] = 1
    mask[45, 55] = 1  # one pixel of 2,500 is no region
    asked = _asked(_job(tmp_path, mask, tile=50))
    one = asked["tumor_regions", "x50_y0"]
    boxes = [(r.label, r.role, r.x_min, r.y_min, r.x_max, r.y_max) for r in one.regions]
    assert boxes == [("tumor", "target", 10, 5, 20, 15), ("tumor", "target", 30, 30, 45, 40)]
    assert asked["tumor_regions", "x0_y0"].reason == "no_region"


def test_a_mask_with_an_unknown_code_or_of_another_size_is_refused(tmp_path: Path) -> None:
    mask = np.full((20, 20), 2)
    mask[3, 3] = 22
    with pytest.raises(BadLabel):
        _asked(_job(tmp_path / "a", mask))
    job = _job(tmp_path / "b", np.full((20, 20), 2))
    write_png(tmp_path / f"b/masks/{NAME}.png", np.full((21, 20), 2, np.uint8))
    with pytest.raises(Misaligned):
        _asked(job)


def test_a_table_of_other_codes_refuses_the_source(tmp_path: Path) -> None:
    """Codes that are shifted by one would change every answer."""
    job = _job(tmp_path, np.full((20, 20), 2))
    path = tmp_path / "meta/gtruth_codes.tsv"
    text = path.read_bytes().decode()
    path.write_bytes(
        text.replace("tumor\t1\r", "tumor\t2\r").replace("stroma\t2", "stroma\t1").encode()
    )
    with pytest.raises(BadTable, match="codes are not those of the card"):
        list(SOURCE.plan(job))


def test_regions_masks_and_bounds_without_each_other_are_refused(tmp_path: Path) -> None:
    _tables(tmp_path, SLIDE, "TCGA-OL-A5RW-DX1", "TCGA-E2-A14N-DX1", "TCGA-A2-A04P-DX1")
    tile = np.full((20, 20), 2, np.uint8)
    files = (
        f"images/{NAME}.png",
        "masks/TCGA-OL-A5RW-DX1_xmin50_ymin70_MPP-0.2500.png",
        *(f"{f}/TCGA-E2-A14N-DX1_xmin51_ymin70_MPP-0.2500.png" for f in ("images", "masks")),
        *(f"{f}/TCGA-D8-A1XQ-DX1_xmin50_ymin70_MPP-0.2500.png" for f in ("images", "masks")),
        "images/TCGA-A2-A04P-DX1_xmin50_ymin70_MPP-0.2500.png",
        "masks/TCGA-A2-A04P-DX1_xmin50_ymin70_MPP-0.5000.png",
        "images/slide.png",
    )
    for path in files:
        write_png(tmp_path / path, tile)
    job = Job(SOURCE.card, open_raw(tmp_path), options={"tile": 512})
    codes = {one.key: one.error.code for one in SOURCE.plan(job) if isinstance(one, Refused)}
    assert codes == {
        SLIDE: "missing_file",
        "TCGA-OL-A5RW-DX1": "missing_file",
        "TCGA-E2-A14N-DX1": "bad_table",
        "TCGA-D8-A1XQ-DX1": "missing_key",
        "TCGA-A2-A04P-DX1": "missing_key",
        "images/slide.png": "missing_key",
    }


def test_real_tables_give_the_official_split_by_hospital(realdata: Path, tmp_path: Path) -> None:
    """All 106 slides of the train part are used, and no hospital is in two parts."""
    shutil.copytree(realdata / "histology/bcss_meta", tmp_path / "meta")
    job = Job(SOURCE.card, open_raw(tmp_path), options={"tile": 512})
    bounds = job.raw.csv("meta/roiBounds.csv", columns=("xmin", "ymin"))
    for slide, x, y in bounds.select("", "xmin", "ymin").rows():
        for folder in ("images", "masks"):
            path = tmp_path / folder / f"{slide}_xmin{x}_ymin{y}_MPP-0.2500.png"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    planned = list(SOURCE.plan(Job(job.card, open_raw(tmp_path), options=job.options)))
    units = [one for one in planned if isinstance(one, Unit)]
    assert len(units) == len(planned)
    assert Counter(one.split for one in units) == {"train": 106, "test": 45}
    parts: dict[str | None, set[str | None]] = {}
    for one in units:
        parts.setdefault(one.group, set()).add(one.split)
    assert {site for site, found in parts.items() if "test" in found} == {
        "OL",
        "LL",
        "E2",
        "EW",
        "GM",
        "S3",
    }
    assert all(len(found) == 1 for found in parts.values())
    assert len({one.patient for one in units}) == 151


def test_every_task_is_asked_of_a_tile_with_everything(tmp_path: Path) -> None:
    mask = np.full((40, 40), 2)
    mask[:10, :10], mask[20:30, :10] = 1, 3
    asked = _one(mask, tmp_path)
    assert set(asked) == TASKS and all(isinstance(one, Record) for one in asked.values())
