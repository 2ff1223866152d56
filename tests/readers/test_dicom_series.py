"""Series as volumes: order, affine, gaps, duplicates, tilt, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from qoqdata.errors import InputError, NoPixels, TooLarge, UnreadableFile
from qoqdata.readers.dicom import Gap, group_series, read_series, read_series_order
from qoqdata.readers.dicom.geometry import ImagePlane
from qoqdata.readers.dicom.stack import stack
from qoqdata.readers.limits import Limits
from tests.readers.dicom_objects import change, colour, image, item, save

AXIAL = [1, 0, 0, 0, 1, 0]


def one_slice(number: int, position: list[float], **keywords: object) -> FileDataset:
    """A 2 x 3 slice whose values tell its number, in HU."""
    dataset = image(np.arange(6, dtype="<i2").reshape(2, 3) + 10 * number)
    change(
        dataset,
        ImagePositionPatient=position,
        ImageOrientationPatient=AXIAL,
        PixelSpacing=[0.5, 0.25],
        RescaleSlope=2,
        RescaleIntercept=-100,
    )
    dataset.SOPInstanceUID = f"1.2.3.{number}"
    dataset.InstanceNumber = number
    return change(dataset, **keywords)


def write(folder: Path, slices: list[FileDataset]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, dataset in enumerate(slices):
        save(dataset, folder / f"{number}.dcm")
    return folder


def axial(heights: list[float], **keywords: object) -> list[FileDataset]:
    return [one_slice(k, [5.0, 6.0, z], **keywords) for k, z in enumerate(heights)]


def test_slices_are_ordered_by_place_not_by_name(tmp_path: Path) -> None:
    found = read_series(write(tmp_path / "s", axial([30.0, 10.0, 40.0, 20.0])))
    assert found.values.dtype == np.float32
    # Slices 1, 3, 0, 2 from the feet up; HU = 2 * stored - 100.
    order = read_series_order(tmp_path / "s")
    assert [path.name for path, _ in order.files] == ["1.dcm", "3.dcm", "0.dcm", "2.dcm"]
    assert order.ids.sop_instance_uids == ("1.2.3.1", "1.2.3.3", "1.2.3.0", "1.2.3.2")
    assert (order.positions, order.spacing) == (found.positions, found.spacing)
    assert np.array_equal(order.affine, found.affine) and order.ids == found.ids
    first = [value * 2 - 100 for value in (10, 30, 0, 20)]
    assert found.values[:, 0, 0].tolist() == first
    assert found.positions == (10.0, 20.0, 30.0, 40.0)
    assert found.spacing == (10.0, 0.5, 0.25)
    assert found.affine.tolist() == [
        [0, 0, 0.25, 5],
        [0, 0.5, 0, 6],
        [10, 0, 0, 10],
        [0, 0, 0, 1],
    ]
    assert found.ids.sop_instance_uids == ("1.2.3.1", "1.2.3.3", "1.2.3.0", "1.2.3.2")
    assert (found.gaps, found.duplicates, found.repairs, found.tilt_degrees) == ((), (), (), 0.0)


def test_sagittal_slices_stack_along_their_normal(tmp_path: Path) -> None:
    # Row points to posterior, column to the feet: the normal is -x, so the left comes first.
    slices = [
        one_slice(k, [x, 0.0, 0.0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
        for k, x in enumerate([4.0, -4.0, 0.0])
    ]
    found = read_series(write(tmp_path / "s", slices))
    assert found.positions == (-4.0, 0.0, 4.0)
    assert found.affine[:3, 3].tolist() == [4.0, 0.0, 0.0]
    assert found.affine[:3, 0].tolist() == [-4.0, 0.0, 0.0]
    assert found.affine[:3, 1].tolist() == [0.0, 0.0, -0.5]
    assert found.affine[:3, 2].tolist() == [0.0, 0.25, 0.0]


def test_gaps_are_told(tmp_path: Path) -> None:
    found = read_series(write(tmp_path / "s", axial([0.0, 2.0, 4.0, 10.0, 12.0])))
    assert found.gaps == (Gap(after=2, distance=6.0),)
    assert found.spacing[0] == 2.0
    assert found.affine[2, 0] == 2.0
    assert found.repairs == ("1 gaps between slices: the affine holds up to the first",)


def test_a_gap_of_two_steps_is_not_taken_for_the_usual_step(tmp_path: Path) -> None:
    found = read_series(write(tmp_path / "s", axial([0.0, 90.0, 92.0])))
    assert (found.spacing[0], found.gaps) == (2.0, (Gap(after=0, distance=90.0),))
    assert found.repairs == ("1 gaps between slices: the affine holds up to the first",)


def test_uneven_steps_are_told(tmp_path: Path) -> None:
    found = read_series(write(tmp_path / "s", axial([0.0, 2.0, 4.5, 6.5])))
    assert found.repairs == ("uneven slice spacing: 2.000 to 2.500 mm",)
    assert found.spacing[0] == pytest.approx(6.5 / 3)


def test_the_same_slice_twice_is_kept_once(tmp_path: Path) -> None:
    slices = axial([0.0, 2.0, 4.0])
    again = one_slice(1, [5.0, 6.0, 2.0])
    folder = write(tmp_path / "s", [*slices, again])
    found = read_series(folder)
    assert found.values.shape == (3, 2, 3)
    assert found.duplicates == (folder / "3.dcm",)
    assert found.repairs == ("1 slices were there twice with the same pixels: kept once",)


def test_different_slices_at_one_place_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", [*axial([0.0, 2.0]), one_slice(7, [5.0, 6.0, 2.0])])
    with pytest.raises(InputError, match="different slices lie at one place"):
        read_series(folder)


def test_gantry_tilt_is_noticed_and_in_the_affine(tmp_path: Path) -> None:
    # Each slice moves 10 mm up and 10 tan(20 degrees) mm back.
    step = 10 * np.tan(np.radians(20))
    slices = [one_slice(k, [0.0, round(k * step, 6), 10.0 * k]) for k in range(4)]
    found = read_series(write(tmp_path / "s", slices))
    assert found.tilt_degrees == pytest.approx(20, abs=1e-3)
    assert found.affine[:3, 0] == pytest.approx([0, step, 10], abs=1e-4)
    assert found.spacing[0] == pytest.approx(10)
    assert found.repairs == ("gantry tilt of 20.0 degrees: the affine is sheared",)
    # The affine puts the first pixel of the last slice where its header says.
    assert found.affine @ [3, 0, 0, 1] == pytest.approx([0, 3 * step, 30, 1], abs=1e-4)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "mixed orientations"),
        ({"PixelSpacing": [0.5, 0.3]}, "mixed pixel spacings"),
        ({"RescaleType": "US"}, r"differ in rescale type.*in US, 0\.dcm in HU"),
        ({"RescaleSlope": None, "RescaleIntercept": None}, "differ in rescale type"),
        ({"Modality": "MR"}, "differ in modality"),
        ({"SeriesInstanceUID": "1.2.3"}, "differ in series instance uid"),
        ({"ImagePositionPatient": [5.0, 60.0, 4.0]}, "straight line"),
    ],
)
def test_mixed_slices_are_refused(tmp_path: Path, keywords: dict, message: str) -> None:
    slices = [*axial([0.0, 2.0]), one_slice(2, [5.0, 6.0, 4.0], **keywords), *axial([6.0])]
    with pytest.raises(InputError, match=message):
        read_series(write(tmp_path / "s", slices))


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    other = one_slice(2, [5.0, 6.0, 4.0])
    change(other, Rows=3, Columns=2)
    with pytest.raises(InputError, match="differ in rows"):
        read_series(write(tmp_path / "s", [*axial([0.0, 2.0]), other]))


@pytest.mark.parametrize("modality", ["CT", "MR", "NM"])
def test_each_slice_goes_through_its_own_rescale(tmp_path: Path, modality: str) -> None:
    slices = axial([0.0, 2.0, 4.0], Modality=modality, RescaleIntercept=0)
    slices[1].RescaleSlope, slices[2].RescaleIntercept = "0.5", 7
    found = read_series(write(tmp_path / "s", slices))
    # Stored 1, 11 and 21 in the second column.
    assert found.values[:, 0, 1].tolist() == [2.0, 5.5, 49.0]


def test_slices_with_and_without_a_rescale_are_told_apart(tmp_path: Path) -> None:
    slices = axial([0.0, 2.0], Modality="MR", RescaleIntercept=0)
    change(slices[1], RescaleSlope=None, RescaleIntercept=None)
    with pytest.raises(InputError, match="this slice has no rescale, 0"):
        read_series(write(tmp_path / "s", slices))
    slices[0].RescaleSlope = 1
    assert read_series(write(tmp_path / "t", slices)).values[:, 0, 1].tolist() == [1.0, 11.0]


def test_pet_slices_in_different_units_are_refused(tmp_path: Path) -> None:
    slices = axial([0.0, 2.0], Modality="PT", RescaleIntercept=0, Units="BQML")
    slices[1].Units = "CNTS"
    with pytest.raises(InputError, match=r"1\.dcm: .* this one is in CNTS, 0"):
        read_series(write(tmp_path / "s", slices))


def test_pet_slices_may_have_their_own_rescale(tmp_path: Path) -> None:
    slices = axial([0.0, 2.0], Modality="PT", RescaleIntercept=0)
    slices[1].RescaleSlope = 3
    found = read_series(write(tmp_path / "s", slices))
    assert found.values[:, 0, 1].tolist() == [2.0, 33.0]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImagePositionPatient", None),
        ("ImageOrientationPatient", None),
        ("PixelSpacing", None),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [9, 0, 0, 0, 9, 0]),
        ("ImagePositionPatient", [0, 0, 1e9]),
        ("PixelSpacing", [0, 1]),
    ],
)
def test_slices_without_a_place_are_refused(tmp_path: Path, keyword: str, value: object) -> None:
    folder = write(tmp_path / "s", axial([0.0, 2.0], **{keyword: value}))
    with pytest.raises(UnreadableFile, match=keyword):
        read_series(folder)


def test_a_single_slice_needs_its_thickness(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", axial([3.0]))
    with pytest.raises(InputError, match="SliceThickness"):
        read_series(folder)
    folder = write(tmp_path / "s", axial([3.0], SliceThickness=2.5))
    assert read_series(folder).spacing == (2.5, 0.5, 0.25)


def test_folders_tell_what_they_leave_out_and_lists_leave_nothing_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", axial([0.0, 2.0]))
    (folder / "README").write_text("notes " * 50)
    report = image(np.zeros((1, 1), "u1"), Modality="SR")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(report, keyword)
    save(report, folder / "report.dcm")
    found = read_series(folder)
    assert found.values.shape == (2, 2, 3)
    assert found.repairs == (
        "left out: README, not DICOM",
        "left out: report.dcm, an object without slices",
    )
    with pytest.raises(NoPixels):
        read_series([folder / "0.dcm", folder / "report.dcm"])
    with pytest.raises(UnreadableFile, match="README"):
        read_series([folder / "0.dcm", folder / "README"])
    with pytest.raises(InputError, match="no slices"):
        read_series([])


def test_series_are_grouped_by_their_uid(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", [*axial([0.0, 2.0]), *axial([0.0], SeriesInstanceUID="1.2.3")])
    paths = sorted(folder.iterdir())
    groups = group_series(paths)
    assert sorted(map(len, groups.values())) == [1, 2]
    assert groups["1.2.3"] == [folder / "2.dcm"]
    (folder / "x").write_text("x" * 500)
    with pytest.raises(UnreadableFile):
        group_series([folder / "x"])


def test_limits_hold_before_allocation(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", axial([0.0, 2.0, 4.0]))
    assert read_series(folder, limits=Limits(voxels=18)).values.size == 18
    with pytest.raises(TooLarge):
        read_series(folder, limits=Limits(voxels=17))


def test_colour_slices_are_refused(tmp_path: Path) -> None:
    dataset = colour(np.zeros((2, 3, 3), np.uint8))
    for element in one_slice(0, [0.0, 0.0, 0.0], SliceThickness=1):
        if element.keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            dataset.add(element)
    dataset.SliceThickness = 1
    with pytest.raises(InputError, match="no modality values"):
        read_series([save(dataset, tmp_path / "rgb.dcm")])


def enhanced(heights: list[float], **shared: object) -> FileDataset:
    """One multi-frame object whose frames have their places and rescales in functional groups."""
    stored = np.arange(len(heights) * 6, dtype="<u2").reshape(-1, 2, 3)
    dataset = image(stored)
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.25], SliceThickness=2)],
            PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=-1000)],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, z])]) for z in heights
    ]
    return dataset


def test_enhanced_frames_are_slices(tmp_path: Path) -> None:
    path = save(enhanced([4.0, 0.0, 2.0]), tmp_path / "enhanced.dcm")
    found = read_series([path])
    assert found.values[:, 0, 0].tolist() == [-994.0, -988.0, -1000.0]
    assert found.spacing == (2.0, 0.5, 0.25)
    assert found.affine[:3, 3].tolist() == [0.0, 0.0, 0.0]
    assert read_series(path).values.tolist() == found.values.tolist()


coordinates = st.floats(-300, 300)


@given(
    st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True),
    st.tuples(coordinates, coordinates, coordinates),
    st.tuples(*[st.floats(0, 2 * np.pi)] * 3),
)
def test_any_rotation_gives_the_places_back(
    heights: list[int], corner: tuple[float, float, float], angles: tuple[float, float, float]
) -> None:
    """Whatever the orientation and the order of files, the affine maps index k to plane k."""
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        cos, sin = np.cos(angle), np.sin(angle)
        one = np.eye(3)
        i, j = [k for k in range(3) if k != axis]
        one[i, i] = one[j, j] = cos
        one[i, j], one[j, i] = -sin, sin
        turn = turn @ one
    row, column, normal = turn.T
    heights = sorted(heights)
    even = [heights[0] + k * 2 for k in range(len(heights))]
    shuffled = np.random.default_rng(0).permutation(len(even))
    planes = [
        ImagePlane(
            tuple(np.array(corner) + normal * even[k]), tuple(row), tuple(column), (1.0, 1.0)
        )
        for k in shuffled
    ]
    laid = stack(planes, thickness=None)
    for k, numbers in enumerate(laid.order):
        assert np.allclose(laid.affine @ [k, 0, 0, 1], [*planes[numbers[0]].position, 1], atol=1e-6)
    assert laid.spacing[0] == pytest.approx(2.0)
    assert laid.tilt_degrees == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("name", ["series_ct_torchio", "series_mr_hippocampus_crop"])
def test_real_series_agree_with_simpleitk(realdata: Path, name: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = realdata / "dicom" / name
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reference = reader.Execute()
    found = read_series(folder)
    assert np.array_equal(found.values, sitk.GetArrayFromImage(reference).astype(np.float32))
    direction = np.array(reference.GetDirection()).reshape(3, 3)
    step = direction * np.array(reference.GetSpacing())
    assert np.allclose(found.affine[:3, :3], step[:, ::-1], atol=1e-5)
    assert np.allclose(found.affine[:3, 3], reference.GetOrigin(), atol=1e-5)
    dataset = pydicom.dcmread(next(folder.iterdir()))
    assert found.ids.series_instance_uid == dataset.SeriesInstanceUID
    assert len(set(found.ids.sop_instance_uids)) == len(found.values)


def test_localizers_in_the_packaged_folders_are_refused() -> None:
    # Real CT slices of one study, from scouts and axial series, 16 x 16 pixels each.
    folder = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests" / "98892003"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    groups = group_series(files)
    assert sum(map(len, groups.values())) == len(files)
    assert len(groups) > 2
    with pytest.raises(InputError):
        read_series(files)


def test_an_order_without_pixels_cannot_tell_copies(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", axial([0.0, 2.0, 2.0]))
    with pytest.raises(InputError, match=r"lies where .*1\.dcm lies"):
        read_series_order(folder)
