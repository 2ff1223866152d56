"""KiTS23: cases written down by hand, and what the real masks say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from qoqdata.converters.ct.kits23.bodies import (
    largest_extent_cm,
    separate_tumours,
    side_of_tumour,
)

from qoqdata.errors import BadTable, InputError
from qoqdata.readers import volume
from qoqdata.records.content import Record
from qoqdata.simulation import write_nifti, write_text
from qoqdata.sources.card import settle_options
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Skipped, Unit
from qoqdata.sources.rawtree import open_raw
from tests.readers.nifti_files import patch

SOURCE = find_source("kits23")
#: Array axes run down, to the back and to the left, as in the real files; 5, 2 and 2 mm.
AFFINE = np.array([[0, 0, -2.0, 0], [0, -2.0, 0, 0], [-5.0, 0, 0, 0], [0, 0, 0, 1.0]])
CASE = {"case_id": "case_00000", "gender": "male", "age_at_nephrectomy": 50, "malignant": True,
        "radiographic_size": 2.2, "tumor_histologic_subtype": "oncocytoma", "tumor_necrosis": False,
        "pathology_t_stage": "1b", "tumor_isup_grade": "na"}  # fmt: skip


def codes() -> np.ndarray:
    """Two kidneys 80 mm apart sideways; a tumour of 18 x 18 mm in that of low column numbers."""
    mask = np.zeros((12, 40, 60), np.uint8)
    mask[2:10, 10:30, 5:20] = 1
    mask[2:10, 10:30, 45:58] = 1
    mask[5:8, 8:17, 8:17] = 2
    mask[5:8, 25:28, 48:51] = 3
    return mask


def hounsfield(mask: np.ndarray) -> np.ndarray:
    """50 HU a code, and air in a corner."""
    voxels = (mask * 50).astype(np.int16)
    voxels[0, 0, 0] = -1000
    return voxels


def case(root: Path, mask: np.ndarray, instances: int | None = 1, **facts: Any) -> Path:
    folder = root / "dataset" / "case_00000"
    write_text(root / "dataset" / "kits23.json", json.dumps([CASE | facts]))
    write_nifti(folder / "segmentation.nii.gz", mask, AFFINE)
    write_nifti(folder / "imaging.nii.gz", hounsfield(mask), AFFINE)
    for number in range(1, (instances or 0) + 1):
        name = f"tumor_instance-{number}_annotation-1.nii.gz"
        write_nifti(folder / "instances" / name, mask, AFFINE)
    return root


def converted(root: Path, split: Any = "train", **options: Any) -> dict[str, Record | Skipped]:
    job = Job(SOURCE.card, open_raw(root), settle_options(SOURCE.card, options))
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit)
    return {one.task: one for one in SOURCE.convert(replace(unit, split=split), job)}


def answers(root: Path, **options: Any) -> dict[str, str]:
    return {
        task: one.answer if isinstance(one, Record) else f"({one.reason})"
        for task, one in converted(root, **options).items()
    }


def test_masks_size_stage_and_type_are_asked(tmp_path: Path) -> None:
    """Nine in ten are malignant; what a mask and a table say beside that is asked too."""
    assert answers(case(tmp_path, codes())) == {
        "diagnosis": "Malignant",
        "masses": "tumor, cyst",
        "side": "Right kidney",
        "count": "1",
        "size": "2.2 cm",
        "subtype": "Oncocytoma",
        "stage": "pT1b",
        "grade": "(not_stated)",
        "necrosis": "No",
    }


def test_what_takes_a_tumour_for_granted_shows_it(tmp_path: Path) -> None:
    """Two end slices of a volume show none. Whether a mass is malignant is of uniform slices."""
    found = converted(case(tmp_path, codes()), "test", policy="mask", slices=3)
    for task in ("side", "size", "subtype", "stage"):
        one = found[task]
        assert isinstance(one, Record) and [i.index for i in one.images or ()] == [7, 6, 5]
    whole = found["diagnosis"]
    assert isinstance(whole, Record) and [i.index for i in whole.images or ()] == [9, 5, 2]
    train = converted(tmp_path, "train", policy="mask", slices=3)["diagnosis"]
    assert isinstance(train, Record) and [i.index for i in train.images or ()] == [8, 5, 3]


def test_the_window_is_the_abdomens_and_the_scale_is_told(tmp_path: Path) -> None:
    one = converted(case(tmp_path, codes()))["size"]
    assert isinstance(one, Record) and one.images
    window = one.images[0].window
    assert window is not None and (window.centre, window.width) == (40, 400)
    # The tumour's 100 HU: (100 - 40) / 400 + 0.5 of the grey scale.
    assert int(one.images[0].pixels[10, 10]) == round(0.65 * 255)
    assert one.context is not None and "120 mm wide and 80 mm high" in one.context
    assert {(r.label, r.role) for r in one.regions or ()} == {("tumor", "given")}
    assert [(r.x_min, r.y_min, r.x_max, r.y_max) for r in one.regions or ()] == [(8, 8, 17, 17)] * 3


@pytest.mark.parametrize(
    ("flip", "side"), [((1, 1, 1), "Right kidney"), ((1, 1, -1), "Left kidney")]
)
def test_sides_are_the_patients(flip: tuple[int, int, int], side: str) -> None:
    """The same array under an affine that runs the other way is the other kidney."""
    affine = AFFINE @ np.diag([*map(float, flip), 1.0])
    assert side_of_tumour(volume.Volume(codes(), affine, (5, 2, 2), "nifti1")) == side


@pytest.mark.parametrize(
    "forms",
    [
        {"sform_code": 0, "qform_code": 0},
        # Without a rotation the qform leads to the right, and the sform leads to the left.
        {"qform_code": 1, "quatern_b": 0, "quatern_c": 0, "quatern_d": 0, "sform_code": 1},
    ],
)
def test_no_side_is_asked_where_left_and_right_are_not_known(
    tmp_path: Path, forms: dict[str, int]
) -> None:
    root = case(tmp_path, codes())
    for path in root.rglob("*.nii.gz"):
        across_first = np.moveaxis(np.asarray(nib.load(path).dataobj), (2, 1, 0), (0, 1, 2))
        write_nifti(path, np.ascontiguousarray(across_first), np.diag([-2.0, 2, 5, 1]))
    assert isinstance(converted(root)["side"], Record)
    for path in root.rglob("*.nii.gz"):
        patch(path, pixdim=[1, 2, 2, 5, 1, 1, 1, 1], **forms)
    found = converted(root)
    assert isinstance(found["side"], Skipped) and found["side"].reason == "side_not_known"
    assert isinstance(found["masses"], Record)


def test_one_body_of_kidney_tells_no_side() -> None:
    mask = codes()
    mask[6, 20, 20:45] = 1
    assert side_of_tumour(volume.Volume(mask, AFFINE, (5, 2, 2), "nifti1")) is None
    both = codes()
    both[5:8, 12:15, 50:53] = 2
    assert side_of_tumour(volume.Volume(both, AFFINE, (5, 2, 2), "nifti1")) == "Both kidneys"


@pytest.mark.parametrize(
    ("facts", "instances", "task", "answer"),
    [
        ({"radiographic_size": 9.0}, 1, "size", "(contradiction)"),
        ({"radiographic_size": None}, 1, "size", "(not_stated)"),
        ({}, 2, "count", "(contradiction)"),
        ({}, None, "count", "(no_instances)"),
        ({"tumor_isup_grade": "3"}, 1, "grade", "ISUP 3"),
        ({"tumor_necrosis": None}, 1, "necrosis", "(not_stated)"),
    ],
)
def test_tables_and_masks_must_agree(
    tmp_path: Path, facts: dict[str, Any], instances: int | None, task: str, answer: str
) -> None:
    assert answers(case(tmp_path, codes(), instances, **facts))[task] == answer


def test_a_mosaic_is_one_image(tmp_path: Path) -> None:
    one = converted(case(tmp_path, codes()), layout="mosaic", slices=4)["diagnosis"]
    assert isinstance(one, Record) and one.images and one.masks
    assert len(one.images) == len(one.masks) == 1
    assert one.images[0].pixels.shape == one.masks[0].codes.shape == (80, 120)


def test_the_real_masks(realdata: Path) -> None:
    """Sizes of the table against the masks; sides as instances lie by the affine."""
    root = realdata / "nifti" / "kits23" / "dataset"
    cases = {one["case_id"]: one for one in json.loads((root / "kits23.json").read_text())}
    sides = {}
    for name in ("case_00534", "case_00550", "case_00569"):
        mask = volume.read_volume(root / name / "segmentation.nii.gz")
        mask = volume.label_volume(mask, SOURCE.card.mask_codes)
        assert abs(largest_extent_cm(mask) - cases[name]["radiographic_size"]) < 1
        assert separate_tumours(mask)[1] == 1
        sides[name] = side_of_tumour(mask)
    centres = []
    for part in ("kidney_instance-1", "kidney_instance-2", "tumor_instance-1"):
        one = volume.read_volume(root / f"case_00534/instances/{part}_annotation-1.nii.gz")
        middle = np.argwhere(one.voxels > 0).mean(axis=0)
        centres.append(volume.world_from_voxel(one.affine, middle[None])[0, 0])
    near_first = abs(centres[2] - centres[0]) < abs(centres[2] - centres[1])
    is_right = (centres[0] > centres[1]) == near_first
    assert sides["case_00534"] == ("Right kidney" if is_right else "Left kidney")


@pytest.mark.parametrize("cell", ["False", "no", 2, []])
def test_what_is_neither_true_nor_false_is_no_verdict(tmp_path: Path, cell: object) -> None:
    """A text is true whatever it says: benign masses were malignant."""
    case(tmp_path, codes(), malignant=cell)
    with pytest.raises(BadTable, match=r"malignant is .*, not true or false"):
        answers(tmp_path)
    assert answers(case(tmp_path, codes(), malignant=0))["diagnosis"] == "Benign"


def test_stored_values_without_their_intercept_are_no_ct(tmp_path: Path) -> None:
    case(tmp_path, codes())
    path = tmp_path / "dataset/case_00000/imaging.nii.gz"
    write_nifti(path, hounsfield(codes()) + np.int16(1024), AFFINE)
    with pytest.raises(InputError, match="the lowest value is 24, and air"):
        answers(tmp_path)
