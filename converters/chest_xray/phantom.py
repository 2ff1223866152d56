"""Made-up chest films whose opacities lie where a simulator's labels say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qoqdata.simulation import film

#: Centre (row, column) of each zone as a share of the film: A to C of the right lung, which is on
#: the left of the picture, from above; D to F of the left lung.
ZONES = {
    zone: (row, column)
    for column, zones in ((0.29, "ABC"), (0.71, "DEF"))
    for zone, row in zip(zones, (0.28, 0.5, 0.72), strict=True)
}
_RADII = (0.1, 0.11)


def chest_film(
    rng: np.random.Generator,
    shape: tuple[int, int],
    opacities: Mapping[str, float],
    *,
    bits: int = 8,
) -> np.ndarray:
    """A film of (rows, columns) with an opacity in some zones, from 0 for none to 1 for white.

    uint8 up to 8 bits, uint16 above.
    """
    picture = film(rng, shape, bits=bits).astype(np.float64)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    for zone, share in opacities.items():
        row, column = ZONES[zone]
        away = ((rows / shape[0] - row) / _RADII[0]) ** 2
        away = away + ((columns / shape[1] - column) / _RADII[1]) ** 2
        picture += (2**bits - 1 - picture) * share * np.exp(-(away**2))
    return np.round(picture).astype(np.uint8 if bits <= 8 else np.uint16)
