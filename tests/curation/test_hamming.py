"""Pairs by bands that agree against all pairs compared."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.curation import hamming
from qoqdata.curation.hamming import RADIUS_MOST, neighbours_within, pairs_within


def compared(hashes: np.ndarray, radius: int) -> set[tuple[int, int]]:
    return {
        (i, j)
        for (i, one), (j, other) in combinations(enumerate(hashes.tolist()), 2)
        if (one ^ other).bit_count() <= radius
    }


def found(hashes: np.ndarray, radius: int) -> list[tuple[int, int]]:
    return [
        pair
        for i, j in pairs_within(hashes, radius)
        for pair in zip(i.tolist(), j.tolist(), strict=True)
    ]


def clustered(seed: int, count: int) -> np.ndarray:
    """Distinct words around three centres, up to a dozen bits away."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**64, 3, dtype=np.uint64)
    words = [
        centres[rng.integers(3)]
        ^ np.uint64(sum(1 << int(bit) for bit in rng.choice(64, rng.integers(13), replace=False)))
        for _ in range(count)
    ]
    return np.unique(np.array(words, np.uint64))


@pytest.mark.parametrize("radius", [0, 1, 3, 6, 7, RADIUS_MOST])
def test_each_pair_is_found_once(radius: int) -> None:
    words = clustered(radius, 120)
    pairs = found(words, radius)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == compared(words, radius)
    assert radius < 2 or pairs


@pytest.mark.parametrize("agreeing", [2, 3, 4, 5, 6])
def test_however_many_bands_agree(agreeing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "_AGREEING", (agreeing,))
    words = clustered(agreeing, 60)
    assert set(found(words, 4)) == compared(words, 4)


@given(st.sets(st.integers(0, 2**64 - 1), max_size=14), st.integers(0, RADIUS_MOST))
def test_any_words(words: set[int], radius: int) -> None:
    hashes = np.array(sorted(words), np.uint64)
    assert set(found(hashes, radius)) == compared(hashes, radius)


def test_each_is_compared_with_the_next_in_order_and_who_was_cut_is_told() -> None:
    words = np.zeros(10, np.uint64)
    words[7:] = ~np.uint64(0)
    found = list(neighbours_within(words, 0, 2, lambda near: near))
    pairs = {pair for near in found for pair in zip(near.one, near.other, strict=True)}
    within = {(i, j) for i, j in combinations(range(7), 2) if j - i <= 2}
    assert pairs == within | {(7, 8), (7, 9), (8, 9)}
    # Even the middle one of seven has others three places away.
    cut = {index for near in found for index in near.cut.tolist()}
    assert cut == set(range(7))


@pytest.mark.parametrize("most", [1, 3, 200])
def test_cut_or_not_no_pair_is_told_twice_and_none_of_the_others_is_lost(most: int) -> None:
    words = np.concatenate([clustered(7, 80), clustered(7, 80)[::3]])
    found = list(neighbours_within(words, 4, most, lambda near: near))
    pairs = [pair for near in found for pair in zip(near.one, near.other, strict=True)]
    cut = {index for near in found for index in near.cut.tolist()}
    assert len(pairs) == len(set(pairs))
    assert set(pairs) <= compared(words, 4)
    assert all({one, other} <= cut for one, other in compared(words, 4) - set(pairs))
    assert (most == 200) == (set(pairs) == compared(words, 4))


@pytest.mark.parametrize("agreeing", [2, 4, 6])
@pytest.mark.parametrize("radius", [0, 1, 6])
def test_those_that_agree_in_bands_stand_together_in_their_order(
    agreeing: int, radius: int
) -> None:
    """However wide the bands are: a third of the words to the whole of them."""
    words = np.random.default_rng(1).choice(clustered(5, 60), 200)
    bands = hamming._bands(radius + agreeing)[-agreeing:]
    order, begins = hamming._sorted_by(words, bands)
    keys = [word & int(hamming._mask(bands)) for word in words.tolist()]
    assert order.tolist() == sorted(range(200), key=lambda n: (_joined(keys[n], bands), n))
    own = [keys[n] for n in order.tolist()]
    assert begins.tolist() == [True, *(a != b for a, b in pairwise(own))]
    grouped, lengths = hamming._grouped(words, bands)
    groups = np.split(grouped, np.cumsum(lengths)[:-1])
    assert [len(group) for group in groups] == sorted(lengths.tolist(), reverse=True)
    alike = [[n for n in range(200) if keys[n] == key] for key in set(keys)]
    assert {tuple(group) for group in alike if len(group) > 1} == {
        tuple(g) for g in map(list, groups)
    }


def _joined(key: int, bands: list) -> list[int]:
    return [key >> int(shift) & int(mask) for shift, mask in bands]


def _bands(hashes: np.ndarray) -> int:
    return hamming._agreeing(hashes, 6)


def test_words_of_correlated_bits_have_more_bands_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if pairs took as long as words that are sorted.
    monkeypatch.setattr(hamming, "_COMPARED", 1.0)
    rng = np.random.default_rng(0)
    free = np.unique(rng.integers(0, 2**64, 300_000, dtype=np.uint64))
    hidden = rng.integers(0, 2, (300_000, 12), dtype=np.uint8)[:, rng.integers(0, 12, 64)]
    bits = hidden ^ (rng.random(hidden.shape) < 0.1)
    correlated = np.unique(np.packbits(bits, axis=1).view(np.uint64).ravel())
    assert _bands(correlated) > _bands(free)


@pytest.mark.parametrize(("words", "radius"), [([1, 1], 3), ([1, 2], -1), ([1, 2], 12)])
def test_equal_words_and_other_radii_are_refused(words: list[int], radius: int) -> None:
    with pytest.raises(ValueError, match=r"repeat|radius"):
        list(pairs_within(np.array(words, np.uint64), radius))
