"""Random numbers that are a pure function of a key, the same in every version of NumPy.

Only raw output of the counter-based Philox generator (Salmon et al., SC 2011) is used, which NumPy
keeps stable; its distributions and permutations may change between versions.
"""

from __future__ import annotations

import hashlib

import numpy as np


def bits(count: int, *key: str | int) -> np.ndarray:
    """`count` random uint64 of the key; other keys give independent ones."""
    text = "\0".join(map(str, key)).encode()
    words = np.frombuffer(hashlib.sha256(text).digest()[:16], np.uint64)
    raw = np.random.Philox(key=words).random_raw(count)
    return np.asarray(raw, np.uint64)


def permutation(count: int, *key: str | int) -> np.ndarray:
    """A random order of 0..count-1, int64, of the key."""
    return np.argsort(bits(count, *key), kind="stable")
