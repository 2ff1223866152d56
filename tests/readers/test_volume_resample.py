"""A volume on another's grid, against SimpleITK, points of a known field, and grids far apart."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.errors import Misaligned, UnreadableFile
from qoqdata.readers.volume import Volume, resample_onto, world_from_voxel


def _volume(voxels: np.ndarray, affine: np.ndarray) -> Volume:
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return Volume(voxels, affine, tuple(map(float, edges)), "nifti1")  # type: ignore[arg-type]


def _affine(edges: tuple[float, float, float], origin: tuple[float, float, float], turn: float):
    affine = np.eye(4)
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    affine[:3, :3] = rotation @ np.diag(edges)
    affine[:3, 3] = origin
    return affine


def _points(affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    return world_from_voxel(affine, index).reshape(*shape, 3)


def _field(world: np.ndarray) -> np.ndarray:
    """Linear in millimetres, which linear interpolation gives back exactly."""
    return 100 + 2 * world[..., 0] - 3 * world[..., 1] + 0.5 * world[..., 2]


@pytest.mark.parametrize("flip", [1.0, -1.0], ids=["RAS", "LAS"])
def test_a_point_of_the_world_keeps_its_value(flip: float) -> None:
    """Whatever the axes of either grid do: a wrong sign or order would move the values."""
    fine = _affine((flip * 1.0, 1.0, 5.0), (-flip * 20, -22.0, -30.0), 0.2)
    coarse = _affine((-3.0, 4.0, 6.0), (8.0, -6.0, -12.0), -0.1)
    shape = (5, 4, 4)
    moving = _volume(_field(_points(fine, (44, 44, 13))), fine)
    grid = _volume(np.zeros(shape), coarse)
    moved = resample_onto(moving, grid)
    assert moved.voxels.shape == shape and moved.spacing == grid.spacing
    np.testing.assert_allclose(moved.voxels, _field(_points(coarse, shape)), atol=1e-2)
    assert "100% of which" in moved.repairs[-1]


def test_agrees_with_simpleitk_where_nothing_is_smoothed() -> None:
    sitk = pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(4)
    affine = _affine((3.0, 3.0, 4.0), (-30.0, -30.0, -20.0), 0.3)
    target = _affine((2.0, 2.0, 2.0), (-12.0, -10.0, -8.0), 0.0)
    voxels, shape = rng.normal(size=(20, 20, 12)), (10, 9, 8)
    image = sitk.GetImageFromArray(voxels.transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0])
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(edges.tolist())
    image.SetOrigin((lps @ affine[:3, 3]).tolist())
    image.SetDirection((lps @ affine[:3, :3] / edges).ravel().tolist())
    wanted = sitk.Resample(
        image,
        shape,
        sitk.Transform(),
        sitk.sitkLinear,
        (lps @ target[:3, 3]).tolist(),
        (2.0, 2.0, 2.0),
        lps.ravel().tolist(),
    )
    moved = resample_onto(_volume(voxels, affine), _volume(np.zeros(shape), target))
    np.testing.assert_allclose(moved.voxels, sitk.GetArrayFromImage(wanted).T, atol=1e-4)


def test_detail_finer_than_the_grid_is_averaged_and_not_sampled() -> None:
    """Stripes of one voxel are grey on a grid four times as coarse, and no stripes of their own."""
    stripes = np.tile([0.0, 100.0], 32)[:, None, None] * np.ones((1, 16, 4))
    moving = _volume(stripes, np.diag([1.0, 1.0, 1.0, 1.0]))
    grid = _volume(np.zeros((12, 4, 4)), _affine((4.0, 4.0, 1.0), (8.0, 0.0, 0.0), 0.0))
    assert np.abs(resample_onto(moving, grid).voxels - 50).max() < 2


def test_outside_is_the_lowest_value_and_is_told() -> None:
    moving = _volume(np.full((8, 8, 8), 7.0), np.eye(4))
    moving.voxels[0, 0, 0] = -2
    grid = _volume(np.zeros((8, 8, 4)), _affine((1.0, 1.0, 1.0), (0.0, 0.0, 5.0), 0.0))
    moved = resample_onto(moving, grid)
    assert (moved.voxels[:, :, 3] == -2).all() and (moved.voxels[:, :, 2] == 7).all()
    assert "75% of which" in moved.repairs[-1]


def test_the_same_grid_comes_back_as_it_is() -> None:
    one = _volume(np.arange(27, dtype=np.int16).reshape(3, 3, 3), np.eye(4))
    assert resample_onto(one, _volume(np.zeros((3, 3, 3)), np.eye(4))) is one


def test_volumes_of_different_places_are_refused() -> None:
    far = np.eye(4)
    far[0, 3] = 300
    with pytest.raises(Misaligned, match="covers 0%"):
        resample_onto(_volume(np.ones((4, 4, 4)), np.eye(4)), _volume(np.ones((4, 4, 4)), far))


def test_nan_has_no_value_between_voxels() -> None:
    hole = np.ones((4, 4, 4))
    hole[1, 1, 1] = np.nan
    half = np.diag([2.0, 2.0, 2.0, 1.0])
    with pytest.raises(UnreadableFile, match="NaN"):
        resample_onto(_volume(hole, np.eye(4)), _volume(np.ones((2, 2, 2)), half))
