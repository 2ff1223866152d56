"""Images that compress like photographs, each unlike the others."""

from __future__ import annotations

import cv2
import numpy as np


def scene(seed: int, side: int = 160) -> np.ndarray:
    """Smooth colour with a little noise, uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(
        rng.uniform(30, 200, (9, 9, 3)).astype(np.float32),
        (side, side),
        interpolation=cv2.INTER_CUBIC,
    )
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)
