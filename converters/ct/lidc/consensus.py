"""Nodules that several readers outlined, each for themselves, joined by where they overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import MissingKey

from .readings import Readings, ReadNodule

#: The share of the smaller outline that two readers' outlines of one nodule have in common.
SAME = 0.5

#: Pixels of a nodule by slice: bool, (rows, columns) of the file.
Drawn = Mapping[int, NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Nodule:
    """One nodule with the readers who outlined it; `drawn` is what at least half of these drew.

    `everywhere` are slices that any of them drew on; `voxels` the mean number of voxels.
    """

    number: int
    reads: tuple[ReadNodule, ...]
    drawn: Drawn
    everywhere: frozenset[int]
    voxels: float
    agreed: bool

    def diameter_mm(self, voxel_mm3: float) -> float:
        """Of a ball of the readers' mean volume."""
        return (6 * self.voxels * voxel_mm3 / math.pi) ** (1 / 3)


def join(
    readings: Readings, places: Mapping[str, int], shape: tuple[int, int]
) -> tuple[tuple[Nodule, ...], frozenset[int]]:
    """The nodules of a series, in order of slices, and the slices with a nodule under 3 mm.

    `places` are slices by SOP instance UID, `shape` rows and columns. Raises MissingKey for an
    outline on a slice that the series lacks.
    """
    outlined: list[tuple[ReadNodule, dict[int, NDArray[np.bool_]]]] = []
    points: set[int] = set()
    for read in readings.nodules:
        slices = set[int]()
        for one in read.contours:
            if one.sop_uid not in places:
                what = f"reader {read.reader} marked a slice that is not there"
                raise MissingKey(what, where=readings.series_uid, fix="fetch the series again")
            slices.add(places[one.sop_uid])
        if read.is_point:
            points |= slices
        else:
            outlined.append((read, _filled(read, places, shape)))
    groups = _groups([drawn for _, drawn in outlined], [read.reader for read, _ in outlined])
    nodules = []
    for members in groups:
        reads = tuple(outlined[at][0] for at in members)
        drawn = [outlined[at][1] for at in members]
        alone = len({read.reader for read in reads}) == len(reads)
        votes = {
            index: np.sum([one[index] for one in drawn if index in one], axis=0) * 2 >= len(drawn)
            for index in sorted(set().union(*drawn))
        }
        nodules.append(
            Nodule(
                0,
                reads,
                {index: pixels for index, pixels in votes.items() if pixels.any()},
                frozenset(votes),
                float(np.mean([sum(int(p.sum()) for p in one.values()) for one in drawn])),
                alone and len(reads) * 2 > readings.readers,
            )
        )
    nodules.sort(key=lambda one: (min(one.everywhere), [read.name for read in one.reads]))
    numbered = [
        Nodule(n, one.reads, one.drawn, one.everywhere, one.voxels, one.agreed)
        for n, one in enumerate(nodules, start=1)
    ]
    return tuple(numbered), frozenset(points)


def _filled(
    read: ReadNodule, places: Mapping[str, int], shape: tuple[int, int]
) -> dict[int, NDArray[np.bool_]]:
    """The pixels inside of a reader's outlines, which run along the first pixels outside."""
    whole: dict[int, NDArray[np.uint8]] = {}
    for one in sorted(read.contours, key=lambda contour: not contour.inclusion):
        canvas = whole.setdefault(places[one.sop_uid], np.zeros(shape, np.uint8))
        corners = np.array(one.points, np.int32)
        inside = np.zeros(shape, np.uint8)
        cv2.fillPoly(inside, [corners], 1)
        edge = np.zeros(shape, np.uint8)
        cv2.polylines(edge, [corners], isClosed=True, color=1)
        if one.inclusion:
            # An outline around nothing is of a nodule as thin as the outline.
            core = inside & (1 - edge)
            canvas |= core if core.any() else inside
        else:
            canvas &= 1 - inside
    return {index: pixels.astype(bool) for index, pixels in whole.items() if pixels.any()}


def _groups(
    drawn: Sequence[Mapping[int, NDArray[np.bool_]]], readers: Sequence[int]
) -> list[list[int]]:
    """Outlines that belong together, directly or through one another."""
    sizes = [sum(int(pixels.sum()) for pixels in one.values()) for one in drawn]
    home = list(range(len(drawn)))
    for a in range(len(drawn)):
        for b in range(a):
            if readers[a] == readers[b] or min(sizes[a], sizes[b]) == 0:
                continue
            shared = sum(
                int((drawn[a][index] & drawn[b][index]).sum())
                for index in drawn[a].keys() & drawn[b].keys()
            )
            if shared >= SAME * min(sizes[a], sizes[b]):
                old, new = home[a], home[b]
                home = [new if one == old else one for one in home]
    groups: dict[int, list[int]] = {}
    for at, one in enumerate(home):
        if sizes[at]:
            groups.setdefault(one, []).append(at)
    return list(groups.values())
