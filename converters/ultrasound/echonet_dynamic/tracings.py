"""Tracings of the left ventricle: chords across its long axis, which bound a polygon."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from qoqdata.sources.cells import integer, number
from qoqdata.sources.joining import Row

ENDS = ("X1", "Y1", "X2", "Y2")
#: Cosine between the long axis and the mean chord above which the first row is no long axis.
PARALLEL = 0.7

#: Lines (x1, y1, x2, y2) in pixels, the long axis first, by frame.
Lines = dict[int, list[list[float]]]


class Unusable(Exception):
    """Why the tracings of a video cannot be used: a short code, and a sentence."""


class Beat(NamedTuple):
    """Frames from 0 and outlines, (points, 2) of x and y in pixels."""

    diastole: int
    systole: int
    outlines: dict[int, np.ndarray]


def lines_by_frame(rows: Sequence[Row]) -> Lines | None:
    """The lines of each frame in the order of the table; None where a cell is no number."""
    lines: Lines = defaultdict(list)
    for row in rows:
        frame, ends = integer(row["Frame"]), [number(row[end]) for end in ENDS]
        if frame is None or frame < 0 or None in ends:
            return None
        lines[frame].append([end for end in ends if end is not None])
    return dict(lines)


def beat(lines: Lines | None, frame_count: int, shape: tuple[int, int]) -> Beat:
    """The two traced frames told apart by area; raises Unusable.

    `shape` is (rows, columns) of the frames; an outline reaches at most a pixel beyond them.
    """
    if lines is None:
        raise Unusable("bad_tracing", "a cell of the tracing is no number")
    if len(lines) != 2:
        raise Unusable("not_two_frames", f"{len(lines)} frames are traced, not two")
    if len({len(of_frame) for of_frame in lines.values()}) > 1:
        raise Unusable("incomplete_tracing", "one frame has fewer chords than the other")
    if max(lines) >= frame_count:
        what = f"frame {max(lines)} is traced, the clip has {frame_count}"
        raise Unusable("no_such_frame", what)
    outlines = {frame: _outline(of_frame) for frame, of_frame in lines.items()}
    for outline in outlines.values():
        if (outline < -1).any() or (outline > np.array(shape[::-1])).any():
            raise Unusable("outside", "the tracing lies outside of the frame")
    smaller, larger = sorted(outlines, key=lambda frame: _area(outlines[frame]))
    if not 0 < _area(outlines[smaller]) < _area(outlines[larger]):
        raise Unusable("no_larger_frame", "the areas of the two tracings do not tell them apart")
    return Beat(larger, smaller, outlines)


def filled(outline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """uint8 (rows, columns): 1 inside the outline, whose points are rounded to pixels."""
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask


def _outline(lines: Sequence[Sequence[float]]) -> np.ndarray:
    """One end of all chords and back along the other; the first line is the long axis."""
    axis, chords = np.array(lines[0]), np.array(lines[1:]).reshape(-1, 4)
    if len(chords) < 3:
        raise Unusable("incomplete_tracing", f"{len(chords)} chords bound nothing")
    along, across = axis[2:] - axis[:2], (chords[:, 2:] - chords[:, :2]).sum(axis=0)
    if abs(along[0]) > abs(along[1]):
        # The apex is at the top of the sector: such an axis has x and y exchanged.
        raise Unusable("no_long_axis", "the long axis lies across the frame")
    lengths = np.linalg.norm(along) * np.linalg.norm(across)
    if not lengths or abs(along @ across) > PARALLEL * lengths:
        raise Unusable("no_long_axis", "the first line does not cross the others")
    steps = np.diff((chords[:, :2] + chords[:, 2:]) @ along)
    if not ((steps > 0).all() or (steps < 0).all()):
        raise Unusable("disordered_tracing", "the chords do not follow each other")
    return np.concatenate([chords[:, :2], chords[::-1, 2:]])


def _area(outline: np.ndarray) -> float:
    """Of a polygon, in square pixels."""
    x, y = outline.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)
