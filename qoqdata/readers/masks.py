"""Label maps: masks whose pixels are codes, and the boxes that follow from them.

Code 0 is background unless the table names it. A stored value is the code, with two exceptions that
a file's meaning demands: a palette made of greys only is looked up, because the grey level is what
was drawn (HAM10000 has masks whose palette is black-white reversed); 1-bit samples are 0 and 1.
Indices of a coloured palette are the codes themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qoqdata.errors import BadLabel, Misaligned, UnsupportedFormat
from qoqdata.readers.image import reader
from qoqdata.readers.image.exif import upright
from qoqdata.readers.image.stored_values import StoredValues
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.mask_levels import binarised, leave_no_doubt

Colour = tuple[int, int, int]
THRESHOLD = 128


#: Share of an image that a hole in a lesion is at most.
_HOLE = 0.02


@dataclass(frozen=True)
class LabelMap:
    """codes: uint8 or uint16, (rows, columns); table: label of each code; ignore: codes that stand
    for "not annotated", which are neither background nor any label; notes: what was settled; turn:
    the Exif orientation from which the codes were brought upright."""

    codes: np.ndarray
    table: dict[int, str]
    ignore: tuple[int, ...]
    notes: tuple[str, ...] = ()
    turn: int = 1


@dataclass(frozen=True)
class LabelBox:
    """A labelled box in pixel edges (half open: columns 3 to 7 give 3 and 8); area in pixels."""

    label: str
    code: int
    x_min: int
    y_min: int
    x_max: int
    y_max: int
    area: int


def read_mask(
    path: str | Path,
    *,
    codes: Mapping[int, str],
    ignore: Collection[int] = (),
    binarise: bool | None = False,
    threshold: int = THRESHOLD,
    colours: Mapping[Colour, int] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> LabelMap:
    """Read one mask file (any image format) as a label map, upright.

    codes: code -> label; 255 -> "lesion" describes the usual 0/255 mask.
    binarise: 8-bit values of at least `threshold` become the one foreground code of `codes`, the
    rest 0. Needed for lossy files (JPEG), whose codes have wandered. Refused when more than 5 % of
    the pixels lie between 64 and 191: such an image is not a binary mask. None: done where a lossy
    file leaves no doubt, that is, where the one code is 255 and no pixel lies between 64 and 191,
    so that every threshold between gives the same map.
    colours: RGB colour -> code, for masks painted in colours; all colours must be listed. Without
    it, RGB masks are accepted only if their three channels are equal.

    Raises BadLabel with the codes or colours that nothing explains, UnsupportedFormat (lossy
    without `binarise`, transparency), and whatever `read_image` raises. Fixes name the fields of a
    mapping.
    """
    if binarise and colours is not None:
        raise ValueError("give binarise or colours, not both")
    where = str(path)
    samples = reader.read_stored_values(path, limits=limits)
    if samples.alpha is not None:
        raise UnsupportedFormat(
            "mask with transparent pixels",
            where=where,
            fix="save it without an alpha channel, so that its values alone say what is drawn",
        )
    notes = samples.repairs
    if binarise is None:
        is_white = colours is None and set(codes) - {0} == {255}
        binarise = samples.lossy and is_white and leave_no_doubt(samples.values)
    if samples.lossy and not binarise:
        raise UnsupportedFormat(
            f"{samples.format} compression is lossy: stored codes are not the drawn ones",
            where=where,
            fix="get a lossless mask or, if it shows one structure, set `binarise: true` "
            f"(levels from {THRESHOLD} on are it; `binarise: 100` for another threshold)",
        )
    if colours is not None:
        values = _from_colours(samples, colours, where)
    elif binarise:
        levels = samples.values if samples.palette is None else _single_channel(samples, where)
        if samples.bits == 1 and samples.palette is None:
            levels = levels * np.uint8(255)
        values, note = binarised(levels, codes, threshold, where)
        notes += (note,)
    else:
        values = _single_channel(samples, where)
    table = {0, *codes, *ignore}
    present = np.unique(values)
    unknown = [int(code) for code in present if int(code) not in table]
    if unknown:
        listing = ", ".join(map(str, unknown[:10])) + (" ..." if len(unknown) > 10 else "")
        raise BadLabel(
            f"mask holds {len(unknown)} codes that the table lacks: {listing}",
            where=where,
            fix=_fix_of_unknown(present, codes),
        )
    turn = samples.orientation
    codes_upright = upright(values, turn)
    return LabelMap(codes_upright, dict(codes), tuple(sorted(set(ignore))), notes, turn)


def _fix_of_unknown(present: np.ndarray, codes: Mapping[int, str]) -> str:
    """What to write for a mask that holds the values `present`, some of which `codes` lacks."""
    drawn = [int(value) for value in present if value != 0]
    foreground = [code for code in codes if code != 0]
    if len(foreground) == 1 and len(drawn) == 1:
        return f"its one structure has the code {drawn[0]}: name that under mask_codes"
    if len(foreground) == 1 and present.dtype == np.uint8 and drawn[-1] >= THRESHOLD:
        return (
            "if it shows one structure with soft edges, set `binarise: true`; else name them "
            "under mask_codes"
        )
    return "name them under mask_codes"


def _single_channel(samples: StoredValues, where: str) -> np.ndarray:
    values = samples.values
    if samples.palette is not None:
        grey = bool((samples.palette == samples.palette[:, :1]).all())
        if not grey:
            _refuse_black_elsewhere(values, samples.palette, where)
        return samples.palette[:, 0][values] if grey else values
    if values.ndim == 3:
        if not bool((values == values[..., :1]).all()):
            raise BadLabel(
                "mask is coloured and no colour table is given",
                where=where,
                fix='name its colours in the mapping, mask_colours: {"#000000": 0, "#ff0000": 1}',
            )
        return np.ascontiguousarray(values[..., 0])
    return values


def _refuse_black_elsewhere(indices: np.ndarray, palette: np.ndarray, where: str) -> None:
    """Raise BadLabel for a palette whose black, the background, has an index other than 0.

    Programs that make a palette of the colours they find number these as they like.
    """
    black = np.flatnonzero(~palette.any(axis=1))
    if palette[0].any() and black.size and np.isin(indices, black).any():
        raise BadLabel(
            f"its palette has black at index {black[0]}, and index 0 is the background",
            where=where,
            fix='if black is, name the colours in the mapping, mask_colours: {"#000000": 0, ...}',
        )


def _from_colours(samples: StoredValues, colours: Mapping[Colour, int], where: str) -> np.ndarray:
    """Codes (rows, columns), uint8 or uint16, of an 8-bit colour or palette mask."""
    pixels = samples.values if samples.palette is None else samples.palette[samples.values]
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise BadLabel(
            "a colour table needs an 8-bit RGB or palette mask",
            where=where,
            fix="leave mask_colours out: name the stored values under mask_codes",
        )
    words = pixels.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    values, inverse = np.unique(words, return_inverse=True)
    table = {(r << 16) | (g << 8) | b: code for (r, g, b), code in colours.items()}
    unknown = [f"#{int(value):06x}" for value in values if int(value) not in table]
    if unknown:
        raise BadLabel(
            f"mask holds {len(unknown)} colours that the table lacks: {', '.join(unknown[:10])}",
            where=where,
            fix="name them under mask_colours",
        )
    codes = np.array([table[int(value)] for value in values])
    dtype = np.uint8 if codes.max(initial=0) < 256 else np.uint16
    return codes.astype(dtype)[inverse.reshape(words.shape)]


def check_background(codes: np.ndarray, *, where: str) -> None:
    """Raise BadLabel for an outline whose four corners are marked: ground and mark are exchanged.

    For masks of what never fills its image, such as a lesion in a sector of ultrasound.
    """
    if codes[:: max(codes.shape[0] - 1, 1), :: max(codes.shape[1] - 1, 1)].all():
        what = "the four corners are marked, and the lesion fills no image"
        raise BadLabel(what, where=where, fix="exchange the two values of the mask")


def check_ground(codes: np.ndarray, *, where: str) -> None:
    """Raise BadLabel for an outline that is marked along all four edges and has a hole.

    For masks of what may fill its image, where `check_background` would be too strict.
    """
    edges = (codes[0], codes[-1], codes[:, 0], codes[:, -1])
    if all(edge.all() for edge in edges) and (codes == 0).mean() > _HOLE:
        what = "all four edges are marked, around what is not"
        raise BadLabel(what, where=where, fix="exchange the two values of the mask")


def boxes(
    codes: np.ndarray,
    table: Mapping[int, str],
    *,
    instances: bool = False,
    min_area: int = 1,
) -> list[LabelBox]:
    """Boxes of the codes in `table`, ordered by code, then top edge, then left edge.

    codes: integers (rows, columns). One box around all pixels of a code, or with `instances` one
    per 8-connected component. Boxes of fewer than `min_area` mask pixels are left out. A code
    without pixels gives no box; codes outside the table (background, ignored) give none either.
    Raises ValueError unless `codes` is a two-dimensional integer array.
    """
    if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"codes must be integers (rows, columns), not {codes.dtype} {codes.shape}")
    result = []
    present = set(np.unique(codes).tolist())
    for code in sorted(set(table) & present):
        spans = _components(codes == code) if instances else [_span(codes == code)]
        for x_min, y_min, x_max, y_max, area in sorted(spans, key=lambda s: (s[1], s[0], s)):
            if area >= min_area:
                result.append(LabelBox(table[code], code, x_min, y_min, x_max, y_max, area))
    return result


def _span(mask: np.ndarray) -> tuple[int, int, int, int, int]:
    """x_min, y_min, x_max, y_max and pixel count of a mask with at least one pixel set."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1]) + 1,
        int(rows[-1]) + 1,
        int(np.count_nonzero(mask)),
    )


def _components(mask: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    """As `_span`, for each 8-connected component."""
    import cv2

    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return [(x, y, x + wide, y + high, area) for x, y, wide, high, area in stats[1:].tolist()]


def align(
    codes: np.ndarray, shape: tuple[int, int], *, resize: Literal["nearest"] | None = None
) -> np.ndarray:
    """The label map on the grid of an image of `shape` (rows, columns).

    The same size passes unchanged. With resize="nearest", a size that differs by one whole factor
    on both axes is repeated (growing) or sampled at the middle pixel of each block, for even
    factors at the lower right of the two middles (shrinking). Raises Misaligned for any other
    difference, without `resize`, and when shrinking would lose a code altogether; ValueError for
    empty arrays.
    """
    if codes.ndim != 2 or codes.size == 0 or min(shape) < 1:
        raise ValueError(f"cannot align codes of shape {codes.shape} with an image of {shape}")
    rows, columns = codes.shape
    if (rows, columns) == tuple(shape):
        return codes
    difference = f"mask has {rows} x {columns} pixels, image {shape[0]} x {shape[1]}"
    if resize is None:
        raise Misaligned(difference, fix="set resize to nearest if they show the same field")
    for factor in {shape[0] // rows, shape[1] // columns}:
        if factor > 1 and (rows * factor, columns * factor) == tuple(shape):
            return codes.repeat(factor, axis=0).repeat(factor, axis=1)
    for factor in {rows // shape[0], columns // shape[1]}:
        if factor > 1 and (shape[0] * factor, shape[1] * factor) == (rows, columns):
            small = np.ascontiguousarray(codes[factor // 2 :: factor, factor // 2 :: factor])
            losses = sorted(set(np.unique(codes).tolist()) - set(np.unique(small).tolist()))
            if losses:
                raise Misaligned(
                    f"{difference}; shrinking would lose the codes {losses}",
                    fix="use images of the masks' size",
                )
            return small
    raise Misaligned(
        f"{difference}: no whole factor on both axes",
        fix="use images of the masks' size, or made smaller by one whole number on both axes",
    )
