"""Which slices of a volume become images: a rule stated as data, so that a record can name it.

Slices come in anatomical order, the direction in which RAS coordinates grow: axial from inferior
to superior, coronal from posterior to anterior, sagittal from the patient's left to right. The
order of the file plays no part, so a volume stored upside down gives the same slices.

Whether a finding is there must be asked of slices that were chosen without knowing it. What a
question takes for granted, it may show: where the finding is in the plane, how large, of what kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from qoqdata.errors import InputError, UsageError
from qoqdata.readers.volume.grid import Volume, check_same_grid
from qoqdata.readers.volume.orientation import (
    Plane,
    anatomical_axes,
    plane_of_axis,
    through_plane_axis,
)

Kind = Literal["uniform", "all", "mask", "index"]


@dataclass(frozen=True)
class SlicePolicy:
    """How slices are chosen.

    uniform: `count` slices in the middles of `count` equal parts of the stack, after leaving out
        the fraction `inner` of the slices at each end (less where too few would remain).
    all: every slice.
    mask: up to `count` slices, spread as evenly over those that the mask touches. It uses the
        answer to choose the question's images: for questions that take the finding for granted, and
        for others in training only (`for_split`).
    index: the array indices `indices` along the slice axis, as annotation tables name them.
    plane: the plane to cut; None follows `through_plane_axis`.
    """

    kind: Kind = "uniform"
    count: int = 8
    inner: float = 0.1
    indices: tuple[int, ...] = ()
    plane: Plane | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"no slice policy {self.kind!r}", fix=f"one of {get_args(Kind)}")
        if self.plane is not None and self.plane not in get_args(Plane):
            raise UsageError(f"no plane {self.plane!r}", fix=f"one of {get_args(Plane)}")
        if self.count < 1 or not 0 <= self.inner < 0.5:
            raise UsageError(
                f"count {self.count}, inner {self.inner}", fix="count >= 1, inner < 0.5"
            )
        if (self.kind == "index") != bool(self.indices):
            raise UsageError("indices belong to the policy 'index', which needs them")
        if min(self.indices, default=0) < 0 or len(set(self.indices)) < len(self.indices):
            raise UsageError("slice indices must be distinct and not negative")


def for_split(policy: SlicePolicy, split: str | None) -> SlicePolicy:
    """The policy for records of a split: one that looks at the answer is for train, others see
    slices that were chosen without it."""
    if policy.kind != "mask" or split == "train":
        return policy
    return replace(policy, kind="uniform")


def within_budget(policy: SlicePolicy, images: int, *, windows: int = 1) -> SlicePolicy:
    """The policy with so few slices that a record has at most `images`, each shown `windows` times.

    All slices become as many uniform ones. Raises UsageError where not even one slice fits, or
    more named ones than fit.
    """
    most = images // windows
    if most < 1 or len(policy.indices) > most:
        what = f"{max(1, len(policy.indices))} slices in {windows} windows are over {images} images"
        raise UsageError(what, fix="allow more images, or show fewer windows")
    if policy.kind == "all":
        return replace(policy, kind="uniform", count=most, inner=0.0)
    return replace(policy, count=min(policy.count, most))


def choose(
    policy: SlicePolicy,
    n_slices: int,
    *,
    mask_profile: Sequence[float] | np.ndarray | None = None,
    descending: bool = False,
) -> tuple[int, ...]:
    """Array indices of the slices that `policy` takes from a stack of `n_slices`, in order.

    mask_profile: (n_slices,), one number per array index, above 0 where the mask touches the slice.
    descending: True when the array index falls along the anatomical direction; then the indices
        fall too, and the choice is that of the stack turned over.
    Deterministic, without repeats. Raises UsageError for a missing or misshapen profile, InputError
    for an empty mask or an index beyond the stack.
    """
    if n_slices < 1:
        raise UsageError(f"a stack of {n_slices} slices")
    if policy.kind == "index":
        beyond = [index for index in policy.indices if index >= n_slices]
        if beyond:
            raise InputError(f"slice {beyond[0]} of a stack of {n_slices}")
        return tuple(sorted(policy.indices, reverse=descending))
    candidates = list(range(n_slices))
    inner = policy.inner if policy.kind == "uniform" else 0.0
    if policy.kind == "mask":
        if mask_profile is None or len(mask_profile) != n_slices:
            raise UsageError("the policy 'mask' needs one profile value for each slice")
        candidates = [index for index in candidates if mask_profile[index] > 0]
        if not candidates:
            raise InputError("the mask touches no slice")
    if descending:
        candidates.reverse()
    if policy.kind == "all":
        return tuple(candidates)
    return tuple(candidates[at] for at in _middles(len(candidates), policy.count, inner))


def _middles(n: int, count: int, inner: float) -> list[int]:
    """`count` distinct positions of 0..n-1 (all when count >= n): middles of equal parts."""
    count = min(count, n)
    margin = min(int(inner * n), (n - count) // 2)
    width = n - 2 * margin
    return [margin + (2 * part + 1) * width // (2 * count) for part in range(count)]


def choose_slices(
    policy: SlicePolicy, volume: Volume, *, mask: Volume | None = None
) -> tuple[int, tuple[int, ...]]:
    """The slice axis of a volume and the array indices along it, in anatomical order.

    mask: a label volume on the same grid (else Misaligned); only the policy "mask" reads it.
    Raises InputError for slices of a single row or column, which are no pictures.
    """
    axis = through_plane_axis(volume, policy.plane)
    _check_picture(volume, axis)
    profile = None
    if policy.kind == "mask" and mask is not None:
        check_same_grid(volume, mask, where="mask")
        is_label = mask.voxels != 0
        profile = is_label.sum(axis=tuple(a for a in range(is_label.ndim) if a != axis))
        if not profile.any():
            raise InputError("the mask touches no slice", where=mask.where or None)
    upwards = anatomical_axes(volume.affine)[axis][1]
    n_slices = volume.voxels.shape[axis]
    return axis, choose(policy, n_slices, mask_profile=profile, descending=not upwards)


def _check_picture(volume: Volume, axis: int) -> None:
    sides = [side for n, side in enumerate(volume.voxels.shape[:3]) if n != axis]
    if min(sides) > 1:
        return
    single = [n for n, side in enumerate(volume.voxels.shape[:3]) if side == 1]
    plane = plane_of_axis(volume.affine, axis)
    raise InputError(
        f"{plane} slices of this volume are {min(sides)} x {max(sides)} voxels: no picture",
        fix=f"set the plane to {plane_of_axis(volume.affine, single[0])}"
        if len(single) == 1
        else "leave it out: it is a line of voxels, not an image",
    )


def describe(policy: SlicePolicy) -> str:
    """The policy as recorded with each record: "uniform, 8 slices, ends 10 % left out, axial"."""
    plane = policy.plane or "through-plane"
    words = {
        "uniform": f"uniform, {policy.count} slices, ends {policy.inner * 100:g} % left out",
        "all": "all slices",
        "mask": f"mask, up to {policy.count} slices through it",
        "index": f"index {', '.join(map(str, policy.indices))}",
    }
    return f"{words[policy.kind]}, {plane}"
