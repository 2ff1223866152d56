"""Made-up fundus photographs: a disc on black, vessels, macula, and lesions by grade."""

from __future__ import annotations

import numpy as np

from qoqdata.simulation import photograph


def fundus(
    rng: np.random.Generator,
    size: int,
    *,
    side: str = "right",
    lesions: int = 0,
    exudates: bool = False,
    blurred: bool = False,
) -> np.ndarray:
    """(size, size, 3) uint8. The optic disc lies towards the nose: to the right in a right eye.

    `lesions` are dark red dots, `exudates` bright ones near the macula; a `blurred` one shows
    neither vessels nor disc.
    """
    nose = 1 if side == "right" else -1
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    texture = photograph(rng, (size, size))[..., :1] / 255.0
    picture = np.array([0.72, 0.36, 0.16]) * (0.8 + 0.3 * texture)
    if not blurred:
        centre = 0.5 * nose + rng.uniform(-0.05, 0.05)
        for bend in (-0.9, -0.45, 0.45, 0.9):
            line = np.abs(y - bend * np.sqrt(np.clip((centre - x) * nose, 0, None)))
            vessel = (line < 0.02) & ((centre - x) * nose > 0)
            picture = np.where(vessel[..., None], [0.45, 0.12, 0.08], picture)
        picture = _spot(picture, x, y, (-0.15 * nose, 0.0), 0.12, [0.5, 0.2, 0.08])
        picture = _spot(picture, x, y, (centre, 0.0), 0.15, [0.98, 0.85, 0.55])
        for _ in range(lesions):
            place = (rng.uniform(-0.6, 0.3) * nose, rng.uniform(-0.55, 0.55))
            picture = _spot(picture, x, y, place, rng.uniform(0.02, 0.05), [0.35, 0.03, 0.03])
        for _ in range(6 if exudates else 0):
            place = (-0.15 * nose + rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2))
            picture = _spot(picture, x, y, place, 0.03, [0.98, 0.92, 0.5])
    picture = np.where((x**2 + y**2 < 0.95)[..., None], picture, 0.0)
    return np.clip(picture * 255, 0, 255).astype(np.uint8)


def _spot(
    picture: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    place: tuple[float, float],
    radius: float,
    colour: list[float],
) -> np.ndarray:
    inside = (x - place[0]) ** 2 + (y - place[1]) ** 2 < radius**2
    return np.where(inside[..., None], colour, picture)
