"""A million fingerprints: all pairs within six bits, exactly, of even and of crowded bits."""

from __future__ import annotations

import numpy as np

from benchmarks.cpu import cpu_seconds
from qoqdata.curation.hamming import pairs_within

RADIUS = 6


def word_sets(count: int) -> dict[str, np.ndarray]:
    """Distinct words: of even bits, and of bits that are noisy copies of few hidden ones."""
    rng = np.random.default_rng(0)
    sets = {"even bits": rng.integers(0, 2**64, count, dtype=np.uint64)}
    for hidden, noise in ((32, 0.05), (24, 0.1), (16, 0.2)):
        states = rng.integers(0, 2, (count, hidden), dtype=np.uint8)
        bits = states[:, rng.integers(0, hidden, 64)] ^ (rng.random((count, 64)) < noise)
        words = np.packbits(bits, axis=1).view(np.uint64).ravel()
        sets[f"{hidden} hidden bits, {noise:.0%} noise"] = words
    return {name: np.unique(words) for name, words in sets.items()}


def pairs_of(words: np.ndarray) -> tuple[int, float]:
    """How many pairs, and the CPU-seconds it took to find them."""
    counts: list[int] = []
    spent = cpu_seconds(lambda: counts.extend(len(i) for i, _ in pairs_within(words, RADIUS)))
    return sum(counts), spent
