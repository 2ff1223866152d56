"""Grey levels of a mask of one structure, brought back to two.

JPEG, and edges drawn soft, move the levels of a mask off black and white. A threshold undoes that
where the mask has one structure; nothing here decides that it may.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qoqdata.errors import BadLabel, UnsupportedFormat

#: Levels from DARK to BRIGHT - 1 are mid-grey, neither background nor structure.
DARK, BRIGHT = 64, 192
_BLURRED = 0.05  # share of mid-grey pixels above which an image is no binary mask


def leave_no_doubt(levels: np.ndarray) -> bool:
    """Whether every threshold from DARK to BRIGHT parts 8-bit levels alike, and some are bright.

    A mask without any level is empty beyond doubt as well; one of dark levels only is not.
    """
    if levels.dtype != np.uint8:
        return False
    is_grey = (levels >= DARK) & (levels < BRIGHT)
    return not bool(levels.any()) or (levels.max() >= BRIGHT and not bool(is_grey.any()))


def binarised(
    levels: np.ndarray, codes: Mapping[int, str], threshold: int, where: str
) -> tuple[np.ndarray, str]:
    """Codes (rows, columns) of 8-bit grey or RGB levels, and a note of what was done.

    Levels of at least `threshold` become the one foreground code of `codes`, the rest 0; channels
    must agree on each pixel. Raises BadLabel for a table without exactly one foreground code, for
    coloured masks, for more than 5 % of mid-grey pixels, and for a mask that is not empty and too
    dark for the threshold; UnsupportedFormat for other than 8 bits.
    """
    foreground = [code for code in codes if code != 0]
    if len(foreground) != 1:
        raise BadLabel(
            f"binarise needs exactly one foreground code, the table has {len(foreground)}",
            where=where,
            fix="name one code under mask_codes, or get lossless masks",
        )
    if levels.dtype != np.uint8:
        raise UnsupportedFormat(
            "binarise needs an 8-bit mask",
            where=where,
            fix="name the stored values under mask_codes, without binarise, or save it in 8 bits",
        )
    is_structure = levels >= threshold
    if levels.ndim == 3:
        if not bool((is_structure == is_structure[..., :1]).all()):
            raise BadLabel(
                "mask is coloured: its channels do not agree what is bright",
                where=where,
                fix="save it in grey, or as PNG with its colours under mask_colours",
            )
        is_structure, levels = is_structure[..., 0], levels.max(axis=2)
    middle = (levels >= DARK) & (levels < BRIGHT)
    if float(middle.mean()) > _BLURRED:
        raise BadLabel(
            f"{middle.mean():.0%} of the pixels are mid-grey: this is not a binary mask",
            where=where,
            fix="get the mask as it was drawn, lossless",
        )
    highest = int(levels.max(initial=0))
    if 0 < highest < min(threshold, DARK):
        raise BadLabel(
            f"no pixel reaches the threshold {threshold}, the highest level is {highest}",
            where=where,
            fix=f"give a threshold up to {highest}, or name the levels under mask_codes",
        )
    dtype = np.uint8 if foreground[0] < 256 else np.uint16
    found = np.where(is_structure, foreground[0], 0).astype(dtype)
    grey = f"{int(middle.sum()):,} of {middle.size:,} pixels between {DARK} and {BRIGHT - 1}"
    return found, f"binarised at {threshold}, {grey}"
