"""The axes of an NRRD file: space, directions, units, series and single slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import UnsupportedFormat
from qoqdata.readers.volume import nrrd
from tests.readers.itk_images import assert_agrees_with_itk
from tests.readers.nrrd_files import SHORTS, header, write


@pytest.mark.parametrize(
    ("space", "origin"),
    [
        ("left-posterior-superior", (-1, -2, 3)),
        ("LPS", (-1, -2, 3)),
        ("right-anterior-superior", (1, 2, 3)),
        ("RAS", (1, 2, 3)),
        ("left-anterior-superior", (-1, 2, 3)),
        ("LAS", (-1, 2, 3)),
        ("scanner-xyz", (-1, -2, 3)),
        ("3D-right-handed", (-1, -2, 3)),
    ],
)
def test_spaces(tmp_path: Path, space: str, origin: tuple[float, ...]) -> None:
    path = write(tmp_path, header(space=space), SHORTS.tobytes())
    volume = nrrd.read_nrrd(path)
    np.testing.assert_allclose(volume.affine[:3, 3], origin)
    assert_agrees_with_itk(volume, path)
    named = space[0] in "lrLR"
    assert volume.repairs == (() if named else (f"space {space.lower()}: axes taken as L, P, S",))


def test_sheared_directions_agree_with_itk(tmp_path: Path) -> None:
    path = write(
        tmp_path, header(space_directions="(1, 0.5, 0) (0,2,0.25)  (0,0,3)"), SHORTS.tobytes()
    )
    volume = nrrd.read_nrrd(path)
    wanted = [[-1, 0, 0, -1], [-0.5, -2, 0, -2], [0, 0.25, 3, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, wanted)
    assert_agrees_with_itk(volume, path)


def test_spacings_alone_are_taken_as_itk_takes_them(tmp_path: Path) -> None:
    drop = ("space", "space directions", "space origin")
    path = write(tmp_path, header(drop, spacings="0.5 2 3"), SHORTS.tobytes())
    volume = nrrd.read_nrrd(path)
    assert_agrees_with_itk(volume, path)
    assert volume.spacing == (0.5, 2, 3)
    assert volume.repairs == ("space unstated: axes taken as L, P, S",)
    volume = nrrd.read_nrrd(write(tmp_path, header(drop), SHORTS.tobytes()))
    assert volume.spacing == (1, 1, 1)
    assert "no spacings: 1 mm taken" in volume.repairs


@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        ({"space_units": '"cm" "cm" "cm"'}, 10),
        ({"space_units": '"um" "um" "um"'}, 0.001),
        ({"space_units": '"mm" "mm" "mm"'}, 1),
        ({"space_units": '"" "" ""'}, 1),
    ],
)
def test_lengths_become_millimetres(tmp_path: Path, fields: dict[str, str], scale: float) -> None:
    volume = nrrd.read_nrrd(write(tmp_path, header(**fields), SHORTS.tobytes()))
    assert volume.spacing == pytest.approx((0.5 * scale, 2 * scale, 3 * scale))
    np.testing.assert_allclose(volume.affine[:3, 3], np.array([-1, -2, 3]) * scale)


def test_a_series_axis_moves_last(tmp_path: Path) -> None:
    values = np.arange(48, dtype="<i2")
    space = "(0.5,0,0) (0,2,0) (0,0,3)"
    last = header(
        dimension="4", sizes="2 3 4 2", kinds="domain domain domain list",
        space_directions=f"{space} none",
    )  # fmt: skip
    first = header(
        dimension="4", sizes="2 2 3 4", kinds="list space space space",
        space_directions=f"none {space}",
    )  # fmt: skip
    at_end = nrrd.read_nrrd(write(tmp_path, last, values.tobytes()))
    assert at_end.voxels.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(at_end.voxels[..., 1].ravel(order="F"), values[24:])
    at_start = nrrd.read_nrrd(write(tmp_path, first, values.tobytes()))
    assert at_start.voxels.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(at_start.voxels[..., 1].ravel(order="F"), values[1::2])
    np.testing.assert_array_equal(at_start.affine, at_end.affine)
    assert at_end.spacing == (0.5, 2, 3)


def test_a_single_component_is_dropped_and_a_flat_series_keeps_its_slice_axis(
    tmp_path: Path,
) -> None:
    head = header(
        dimension="4", sizes="1 2 3 4", kinds="vector domain domain domain",
        space_directions="none (0.5,0,0) (0,2,0) (0,0,3)",
    )  # fmt: skip
    volume = nrrd.read_nrrd(write(tmp_path, head, SHORTS.tobytes()))
    np.testing.assert_array_equal(volume.voxels.ravel(order="F"), SHORTS)
    assert volume.voxels.shape == (2, 3, 4)
    drop = ("space", "space directions", "space origin")
    head = header(drop, kinds="domain domain time", spacings="1 1 nan")
    assert nrrd.read_nrrd(write(tmp_path, head, SHORTS.tobytes())).voxels.shape == (2, 3, 1, 4)


def test_one_slice_in_space_gets_its_normal(tmp_path: Path) -> None:
    head = header(dimension="2", sizes="4 6", space_directions="(0,2,0) (0,0,-3)")
    volume = nrrd.read_nrrd(write(tmp_path, head, SHORTS.tobytes()))
    assert volume.voxels.shape == (4, 6, 1)
    # LPS columns (0,2,0), (0,0,-3) and their normal (-1,0,0); RAS turns x and y round.
    wanted = [[0, 0, 1, -1], [-2, 0, 0, -2], [0, -3, 0, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, wanted)
    assert volume.repairs == ("one slice without a third direction: its normal of 1 mm taken",)


def test_axis_mins_are_refused(tmp_path: Path) -> None:
    head = header(("space", "space directions", "space origin"), axis_mins="5 6 7")
    with pytest.raises(UnsupportedFormat, match="axismins"):
        nrrd.read_nrrd(write(tmp_path, head, SHORTS.tobytes()))
