"""Simulated images: a finding somewhere on a domain's background, under noise.

Findings come from a dictionary of shapes that all domains share, so what one domain teaches about
edges and blobs can help another; which shape means which answer is each domain's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo_vs_grpo.domains import ANSWERS, CONTRAST, DOMAINS

SIDE, PATCH, SHAPES = 32, 12, 14
GREY, NOISE = 128.0, 26.0
#: The dictionary and the backgrounds are the same in every world.
ANATOMY_SEED = 2506


def _smooth(noise: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(noise, (0.0, sigma, sigma), mode="wrap")
    return blurred / blurred.std(axis=(1, 2), keepdims=True)


def anatomy() -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, NDArray[np.intp]]]:
    """Shapes (14, 12, 12) and backgrounds (9, 4, 32, 32) of unit std; domain -> shape of each
    class (K,)."""
    rng = np.random.default_rng(ANATOMY_SEED)
    window = np.hanning(PATCH + 2)[1:-1]
    shapes = _smooth(rng.normal(size=(SHAPES, PATCH, PATCH)), 1.6) * np.outer(window, window)
    shapes /= np.sqrt((shapes**2).mean(axis=(1, 2), keepdims=True))
    grounds = _smooth(rng.normal(size=(len(DOMAINS) * 4, SIDE, SIDE)), 4.0)
    meaning = {
        domain: rng.permutation(SHAPES)[: len(answers)] for domain, answers in ANSWERS.items()
    }
    return shapes, grounds.reshape(len(DOMAINS), 4, SIDE, SIDE), meaning


def draw(
    rng: np.random.Generator, domain: str, classes: NDArray[np.intp], contrast: float
) -> NDArray[np.uint8]:
    """(N, 32, 32) images of one domain with the given classes (N,).

    Each is the domain's mean background, three random modes of it, white noise of std 26 grey
    levels, and the shape of its class at a random place, `contrast` times the domain's own
    contrast times a log-normal factor (sigma 0.4), in units of the noise.
    """
    shapes, grounds, meaning = anatomy()
    count = classes.size
    mean, modes = grounds[DOMAINS.index(domain)][0], grounds[DOMAINS.index(domain)][1:]
    images = 20.0 * mean + 14.0 * np.einsum("nk,kij->nij", rng.normal(size=(count, 3)), modes)
    images += rng.normal(0.0, NOISE, (count, SIDE, SIDE))
    strength = NOISE * contrast * CONTRAST[domain] * np.exp(rng.normal(0.0, 0.4, count))
    corners = rng.integers(4, SIDE - PATCH - 3, (count, 2))
    for image, (row, column), shape, size in zip(
        images, corners, shapes[meaning[domain][classes]], strength, strict=True
    ):
        image[row : row + PATCH, column : column + PATCH] += size * shape
    return np.clip(np.round(GREY + images), 0, 255).astype(np.uint8)
