"""A slice of a series or volume through other windows is the slice that the record stores: against
pydicom and nibabel, turned as a radiologist looks at it, and never another one."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

import qoqdata
from qoqdata.contract.storage import Storage
from qoqdata.readers import dicom
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import SlicePolicy, read_volume
from qoqdata.records import content
from qoqdata.records.dicoms import ordered_images, series_images
from qoqdata.records.identity import load_salt
from qoqdata.records.slices import cut_slices
from qoqdata.records.storage import store_image
from qoqdata.sources import catalogue
from qoqdata.sources.rawtree import RawTree
from qoqdata.viewer.raw_windows import OWN, PERCENTILES, PRESETS, RawWindows
from tests.readers import dicom_objects
from tests.records.sound_rows import facts, image_row

LUNG = Window(-600, 1500, "LINEAR", "lung")
#: 9 slices of 40 rows and 30 columns, no two alike, none its own mirror image.
HU = np.random.default_rng(3).normal(0, 500, (9, 40, 30)).cumsum(axis=1).clip(-1024, 3000)
HU = HU.astype(np.int16)


def record(images: tuple[content.Image, ...], raw: Path, names: list[str], **changes: Any) -> dict:
    """A record of images of raw files, as a build stores it."""
    policy = changes.pop("storage", Storage(policy="native"))
    stored = [store_image(one, policy) for one in images]
    infos = [
        facts(
            width=kept.width,
            height=kept.height,
            view=one.view,
            index=one.index,
            window=None if one.window is None else vars(one.window).copy(),
        )
        for one, kept in zip(images, stored, strict=True)
    ]
    made = image_row()["provenance"]
    return (
        image_row(
            domain="ct",
            images=[
                {"bytes": one.data, "path": f"{n}.{one.extension}"} for n, one in enumerate(stored)
            ],
            image_info=infos,
            provenance=made | {"raw": names, "digest": RawTree(raw).digest(names)},
        )
        | changes
    )


def levels(drawing: Any) -> np.ndarray:
    with Image.open(BytesIO(drawing.content)) as image:
        return np.asarray(image)


def linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, by itself."""
    shown = ((values - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return np.floor(np.clip(shown, 0, 255) + 0.5)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A CT series whose names, instance numbers and positions all say another order."""
    return written(tmp_path / "raw", HU)


def written(raw: Path, values: np.ndarray) -> Path:
    raw.mkdir()
    for place in range(9):
        one = dicom_objects.image(
            values[place], RescaleSlope=1, RescaleIntercept=0, RescaleType="HU"
        )
        dicom_objects.change(
            one,
            SOPInstanceUID=f"1.2.{place}",
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 5.0 * place],
            PixelSpacing=[1, 1],
            SliceThickness=5,
            InstanceNumber=9 - place,
        )
        dicom_objects.save(one, raw / f"{(place * 4) % 9}.dcm")
    return raw


def test_a_slice_of_a_series_is_the_file_at_its_place(scan: Path) -> None:
    names = sorted(path.name for path in scan.iterdir())
    order = dicom.read_series_order([scan / name for name in names])
    images, _ = ordered_images(order, [2, 7], [LUNG])
    row = record(images, scan, names)
    windows = RawWindows({"films": scan})
    for number, place in enumerate((2, 7)):
        assert windows.presets(row, number) == PRESETS
        (path,) = (
            path
            for path in scan.iterdir()
            if pydicom.dcmread(path).ImagePositionPatient[2] == 5.0 * place
        )
        values = pydicom.dcmread(path).pixel_array.astype(float)
        assert np.array_equal(values, HU[place])
        shown = levels(windows.drawn(row, number, "bone"))
        assert np.abs(shown - linear(values, 700, 3200)).max() <= 1
    # A record of the whole reading is of the same slices.
    whole, _ = series_images(dicom.read_series(scan), SlicePolicy("index", indices=(2,)), ["lung"])
    assert np.array_equal(
        levels(windows.drawn(record(whole, scan, names), 0, "bone")),
        levels(windows.drawn(row, 0, "bone")),
    )


def test_a_slice_across_the_series_is_cut_from_all_files(scan: Path) -> None:
    """Coronal: superior at the top, so the last file is the first row; 5 mm slices become five."""
    names = sorted(path.name for path in scan.iterdir())
    policy = SlicePolicy("index", indices=(11,), plane="coronal")
    images, _ = series_images(dicom.read_series(scan), policy, ["lung"])
    row = record(images, scan, names)
    shown = levels(RawWindows({"films": scan}).drawn(row, 0, "bone"))
    assert shown.shape == (45, 30)
    # The middle of five rows is a raw one.
    assert np.abs(shown[2::5] - linear(HU[::-1, 11].astype(float), 700, 3200)).max() <= 1


@pytest.mark.parametrize("axes", ["RAS", "LPS", "PIL", "SRA"])
def test_a_slice_of_a_nifti_is_turned_as_the_record_stores_it(tmp_path: Path, axes: str) -> None:
    """Axial: anterior at the top, the patient's right on the left, by nibabel's own axes."""
    voxels = np.moveaxis(HU, 0, 2)
    ras = nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 5.0, 1.0]))
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(ras.affine), nibabel.orientations.axcodes2ornt(tuple(axes))
    )
    nibabel.save(ras.as_reoriented(turn), tmp_path / "a.nii.gz")
    # A mask of the same grid, which a record names too.
    nibabel.save(
        nibabel.Nifti1Image((voxels > 900).astype(np.uint8), ras.affine), tmp_path / "m.nii"
    )
    scan = read_volume(tmp_path / "a.nii.gz")
    up = tuple(axes).index("S") if "S" in axes else tuple(axes).index("I")
    index = 6 if "S" in axes else 9 - 1 - 6
    policy = SlicePolicy("index", indices=(index,), plane="axial")
    cut = cut_slices(scan, None, {}, policy=policy, window=LUNG)
    assert scan.voxels.shape[up] == 9 and cut.images is not None
    row = record(cut.images, tmp_path, ["m.nii", "a.nii.gz"])
    windows = RawWindows({"films": tmp_path})
    assert windows.presets(row, 0) == PRESETS
    upright = nibabel.as_closest_canonical(nibabel.load(tmp_path / "a.nii.gz")).get_fdata()
    expected = linear(upright[::-1, ::-1, 6].T, 700, 3200)
    assert np.abs(levels(windows.drawn(row, 0, "bone")) - expected).max() <= 1


def test_values_of_no_unit_are_shown_by_percentiles_alone(tmp_path: Path) -> None:
    voxels = np.abs(np.moveaxis(HU, 0, 2))
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "t1.nii")
    nibabel.save(nibabel.Nifti1Image(voxels[::-1], np.eye(4)), tmp_path / "t2.nii")
    scan = read_volume(tmp_path / "t2.nii")
    cut = cut_slices(scan, None, {}, policy=SlicePolicy("index", indices=(4,), plane="axial"))
    assert cut.images is not None
    row = record(cut.images, tmp_path, ["t1.nii", "t2.nii"], domain="mri")
    windows = RawWindows({"films": tmp_path})
    assert windows.presets(row, 0) == tuple(PERCENTILES)
    values = nibabel.load(tmp_path / "t2.nii").get_fdata()[:, :, 4]
    low, high = np.percentile(values, [10, 90])
    shown = levels(windows.drawn(row, 0, "percentiles 10 to 90"))
    upright = np.clip((values[::-1, ::-1].T - low) / (high - low), 0, 1) * 255
    assert np.abs(shown - upright).max() <= 1


def test_an_mr_series_has_its_own_window_and_percentiles(tmp_path: Path) -> None:
    for place in range(3):
        one = dicom_objects.image(
            np.abs(HU[place]), Modality="MR", WindowCenter=300, WindowWidth=500
        )
        dicom_objects.change(
            one,
            SOPInstanceUID=f"1.2.{place}",
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 3.0 * place],
            PixelSpacing=[1, 1],
            SliceThickness=3,
        )
        dicom_objects.save(one, tmp_path / f"{place}.dcm")
    names = ["0.dcm", "1.dcm", "2.dcm"]
    images, _ = series_images(dicom.read_series(tmp_path), SlicePolicy("all"), [None])
    row = record(images, tmp_path, names, domain="mri")
    windows = RawWindows({"films": tmp_path})
    assert windows.presets(row, 1) == (OWN, *PERCENTILES)
    own = levels(windows.drawn(row, 1, OWN))
    assert np.abs(own - linear(np.abs(HU[1]).astype(float), 300, 500)).max() <= 1
    with Image.open(BytesIO(row["images"][1]["bytes"])) as stored:
        assert np.array_equal(own, np.asarray(stored))


def test_an_image_that_the_files_do_not_give_has_no_windows(scan: Path) -> None:
    names = sorted(path.name for path in scan.iterdir())
    order = dicom.read_series_order([scan / name for name in names])
    images, _ = ordered_images(order, [2], [LUNG])
    windows = RawWindows({"films": scan})
    row = record(images, scan, names)
    assert windows.presets(row, 0) == PRESETS
    for change in ({"index": 3}, {"index": 99}, {"index": None}, {"view": "sagittal"}):
        wrong = row | {"id": "f" * 32, "image_info": [row["image_info"][0] | change]}
        assert windows.presets(wrong, 0) == ()
    # Half of it, as a crop stores it.
    half = record((content.Image(images[0].pixels[:20], view="axial", index=2),), scan, names)
    assert RawWindows({"films": scan}).presets(half | {"id": "e" * 32}, 0) == ()
    # A file less, or another one.
    (scan / names[0]).unlink()
    assert windows.presets(row, 0) == ()


def test_bounded_images_are_known_again(tmp_path: Path) -> None:
    scan = written(tmp_path / "raw", np.kron(HU, np.ones((1, 3, 3))).astype(np.int16))
    names = sorted(path.name for path in scan.iterdir())
    order = dicom.read_series_order([scan / name for name in names])
    images, _ = ordered_images(order, [5], [LUNG])
    row = record(images, scan, names, storage=Storage(max_pixels=4096))
    assert (row["image_info"][0]["width"], row["image_info"][0]["height"]) == (55, 73)
    assert RawWindows({"films": scan}).presets(row, 0) == PRESETS


def test_files_of_private_sources_are_found_by_the_salt_of_the_build(tmp_path: Path) -> None:
    """Their records name keyed hashes of paths."""
    folder = catalogue.find_source("nifti_pairs").folder / "example"
    qoqdata.build(
        "nifti_pairs",
        raw=folder / "raw",
        mapping=folder / "mapping.yaml",
        out=tmp_path / "set",
        workers=0,
        salt_file=written_salt(tmp_path, "cd"),
    )
    dataset = qoqdata.open(tmp_path / "set")
    row = next(one for one in dataset if one["images"])
    folders = {row["source"]: folder / "raw"}
    salt = load_salt(tmp_path / "cd")
    assert RawWindows(folders, salt).presets(row, 0) == tuple(PERCENTILES)
    other = load_salt(written_salt(tmp_path, "ef"))
    assert RawWindows(folders, other).presets(row, 0) == RawWindows(folders).presets(row, 0) == ()


def written_salt(folder: Path, digits: str) -> Path:
    (folder / digits).write_text(digits * 32)
    return folder / digits
