"""Which axis is cut, which slices are taken, and in which order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import InputError, Misaligned, UsageError
from qoqdata.readers.volume import (
    SlicePolicy,
    Volume,
    choose,
    choose_slices,
    describe,
    slice_image,
    through_plane_axis,
    world_from_voxel,
)
from tests.readers.oriented_volumes import grid, zero_volume


@pytest.mark.parametrize(
    ("order", "shape", "spacing", "axis"),
    [
        ((2, 1, 0), (36, 512, 512), (5, 0.74, 0.74), 0),
        ((0, 1, 2), (512, 512, 40), (0.7, 0.7, 5), 2),
        ((1, 2, 0), (256, 256, 20), (0.9, 0.9, 4), 2),
        ((0, 2, 1), (64, 64, 64), (1, 1, 1), 1),
        ((0, 1, 2), (512, 512, 600), (0.9, 0.9, 0.5), 2),
        ((0, 1, 2), (64, 64, 64), (1, 1.4, 1), 2),
        ((0, 1, 2), (64, 64, 64), (1, 1.5, 1), 1),
        ((2, 0, 1), (64, 1, 64), (1, 1, 9), 1),
        ((0, 1, 2), (1, 1, 64), (1, 1, 1), 2),
    ],
)
def test_the_slice_axis_is_found(
    order: tuple[int, ...], shape: tuple[int, ...], spacing: tuple[float, ...], axis: int
) -> None:
    volume = zero_volume(shape, grid(order, (1, -1, 1), spacing))
    assert through_plane_axis(volume) == axis
    for plane, world in (("sagittal", 0), ("coronal", 1), ("axial", 2)):
        assert through_plane_axis(volume, plane) == order.index(world)  # type: ignore[arg-type]


@given(n=st.integers(1, 400), count=st.integers(1, 60), inner=st.floats(0, 0.49))
def test_uniform_slices(n: int, count: int, inner: float) -> None:
    policy = SlicePolicy("uniform", count, inner)
    chosen = choose(policy, n)
    assert len(chosen) == min(count, n)
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= set(range(n))
    if count <= n - 2 * int(inner * n):
        assert chosen[0] >= int(inner * n) and chosen[-1] < n - int(inner * n)
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    assert choose(policy, n, descending=True) == tuple(n - 1 - index for index in chosen)


def test_uniform_by_hand() -> None:
    assert choose(SlicePolicy("uniform", 2, 0), 8) == (2, 6)
    assert choose(SlicePolicy("uniform", 4, 0.1), 100) == (20, 40, 60, 80)
    assert choose(SlicePolicy("uniform", 1, 0.25), 9) == (4,)
    assert choose(SlicePolicy("uniform", 8, 0.4), 8) == tuple(range(8))
    assert choose(SlicePolicy("uniform", 8, 0.4), 3) == (0, 1, 2)


@given(
    profile=st.lists(st.integers(0, 3), min_size=1, max_size=60),
    count=st.integers(1, 10),
    descending=st.booleans(),
)
def test_mask_slices(profile: list[int], count: int, descending: bool) -> None:
    policy = SlicePolicy("mask", count)
    touched = [index for index, area in enumerate(profile) if area]
    if not touched:
        with pytest.raises(InputError, match="no slice"):
            choose(policy, len(profile), mask_profile=profile, descending=descending)
        return
    chosen = choose(policy, len(profile), mask_profile=profile, descending=descending)
    assert set(chosen) <= set(touched)
    assert len(chosen) == min(count, len(touched))
    assert list(chosen) == sorted(chosen, reverse=descending)


def test_all_and_index() -> None:
    assert choose(SlicePolicy("all"), 3) == (0, 1, 2)
    assert choose(SlicePolicy("all"), 3, descending=True) == (2, 1, 0)
    named = SlicePolicy("index", indices=(7, 2, 5))
    assert choose(named, 8) == (2, 5, 7)
    assert choose(named, 8, descending=True) == (7, 5, 2)
    with pytest.raises(InputError, match="slice 7"):
        choose(named, 7)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "random"},
        {"count": 0},
        {"inner": 0.5},
        {"inner": -0.1},
        {"inner": float("nan")},
        {"kind": "index"},
        {"indices": (1,)},
        {"kind": "index", "indices": (1, 1)},
        {"kind": "index", "indices": (-1,)},
        {"plane": "oblique"},
    ],
)
def test_impossible_policies_are_refused(arguments: dict) -> None:
    with pytest.raises(UsageError):
        SlicePolicy(**arguments)


def test_mask_policy_needs_its_profile() -> None:
    for profile in (None, [1, 2]):
        with pytest.raises(UsageError):
            choose(SlicePolicy("mask", 2), 3, mask_profile=profile)
    with pytest.raises(UsageError):
        choose(SlicePolicy(), 0)


def test_descriptions_name_the_rule() -> None:
    assert describe(SlicePolicy()) == "uniform, 8 slices, ends 10 % left out, through-plane"
    assert describe(SlicePolicy("all", plane="coronal")) == "all slices, coronal"
    assert describe(SlicePolicy("mask", 4)) == "mask, up to 4 slices through it, through-plane"
    assert describe(SlicePolicy("index", indices=(3, 9))) == "index 3, 9, through-plane"


@pytest.mark.parametrize(
    "policy", [SlicePolicy(count=3), SlicePolicy("mask", 3), SlicePolicy("all")]
)
def test_the_order_of_the_file_plays_no_part(policy: SlicePolicy) -> None:
    rng = np.random.default_rng(4)
    affine = np.diag([1.0, 1, 4, 1])
    image = Volume(rng.normal(size=(4, 5, 11)), affine, (1, 1, 4), "nifti1")
    labels = Volume((rng.random((4, 5, 11)) > 0.97).astype(np.uint8), affine, (1, 1, 4), "nifti1")

    def images(image: Volume, labels: Volume) -> list[np.ndarray]:
        axis, indices = choose_slices(policy, image, mask=labels)
        return [slice_image(image.voxels, image.affine, axis, index) for index in indices]

    def stored_otherwise(volume: Volume) -> Volume:
        """The same volume with slices first, from superior to inferior, and rows turned round."""
        voxels = volume.voxels[::-1, :, ::-1].transpose(2, 1, 0)
        to_old = np.zeros((4, 4))
        to_old[0, 2], to_old[1, 1], to_old[2, 0], to_old[3, 3] = -1, 1, -1, 1
        to_old[[0, 2], 3] = 3, 10
        return Volume(voxels, volume.affine @ to_old, (4, 1, 1), "nifti1")

    ours = images(image, labels)
    theirs = images(stored_otherwise(image), stored_otherwise(labels))
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_slices_come_from_inferior_to_superior() -> None:
    volume = zero_volume((9, 4, 4), grid((2, 1, 0), (-1, -1, -1), (5, 1, 1)))
    axis, indices = choose_slices(SlicePolicy("uniform", 3, 0), volume)
    assert (axis, indices) == (0, (7, 4, 1))
    heights = world_from_voxel(volume.affine, np.array([[index, 0, 0] for index in indices]))[:, 2]
    assert (np.diff(heights) > 0).all()


def test_a_mask_on_another_grid_is_refused() -> None:
    image = zero_volume((4, 4, 9), np.eye(4))
    mask = zero_volume((4, 4, 9), np.diag([1.0, 1, 1.1, 1]))
    with pytest.raises(Misaligned):
        choose_slices(SlicePolicy("mask", 2), image, mask=mask)
