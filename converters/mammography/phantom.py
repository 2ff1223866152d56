"""Made-up mammograms: a breast on black, its chest wall at the edge of its side."""

from __future__ import annotations

import numpy as np

from qoqdata.simulation import photograph


def breast(
    rng: np.random.Generator,
    shape: tuple[int, int],
    side: str,
    boxes: list[tuple[float, float, float, float]],
    *,
    dense: float = 0.3,
    bits: int = 12,
) -> np.ndarray:
    """(rows, columns) uint8 or uint16 of `bits`: 0 is air, brighter tissue where it is `dense`.

    `boxes` hold a bright lesion each: x_min, y_min, x_max, y_max in pixels. A left breast lies at
    the left edge, a right one at the right.
    """
    rows, columns = shape
    y, x = np.mgrid[:rows, :columns]
    wall = x if side == "left" else columns - 1 - x
    radius = np.hypot(wall / (0.8 * columns), (y - rows / 2) / (0.45 * rows))
    tissue = photograph(rng, shape)[..., 0] / 255.0
    picture = np.where(radius < 1, 0.25 + (0.2 + dense / 2) * tissue * (1 - radius**3), 0.0)
    for x_min, y_min, x_max, y_max in boxes:
        across = (x + 0.5 - (x_min + x_max) / 2) / ((x_max - x_min) / 2)
        down = (y + 0.5 - (y_min + y_max) / 2) / ((y_max - y_min) / 2)
        picture = np.where(across**2 + down**2 <= 1, 0.95, picture)
    levels = np.round(picture * (2**bits - 1))
    return levels.astype(np.uint8 if bits <= 8 else np.uint16)
