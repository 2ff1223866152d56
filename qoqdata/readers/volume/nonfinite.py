"""Voxels that are NaN or infinite, as programs leave them outside of the brain: given a value.

Nothing is replaced unless somebody says by what; readers and windows refuse such voxels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from qoqdata.errors import UnreadableFile
from qoqdata.readers.volume.grid import Volume


def without_nonfinite(volume: Volume, instead: float | Literal["background"]) -> Volume:
    """The volume with `instead` in place of NaN and of infinite voxels, told in its `repairs`.

    instead: a number in the volume's unit, or "background" for its lowest finite value. Raises
    UnreadableFile where no voxel is finite.
    """
    if volume.voxels.dtype.kind != "f":
        return volume
    finite = np.isfinite(volume.voxels)
    bad = int(finite.size - finite.sum())
    if not bad:
        return volume
    if bad == finite.size:
        raise UnreadableFile("every voxel is NaN or infinite", where=volume.where or None)
    value = float(volume.voxels[finite].min()) if instead == "background" else float(instead)
    nan = int(np.isnan(volume.voxels).sum())
    counts = [f"{n:,} {kind}" for n, kind in ((nan, "NaN"), (bad - nan, "infinite")) if n]
    note = f"{' and '.join(counts)} voxels of {finite.size:,}: {value:g} taken"
    voxels = np.where(finite, volume.voxels, volume.voxels.dtype.type(value))
    return replace(volume, voxels=voxels, repairs=(*volume.repairs, note))
