"""Cropped copies: which images share words in places that a crop leaves them in, and which of them
are the same when laid over each other."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.curation import crops
from qoqdata.curation.alike import alike, contents
from qoqdata.curation.crops import agreeing, sharing_words
from qoqdata.curation.crowds import likest
from qoqdata.curation.leakage import find_leaks
from qoqdata.curation.likenesses import likenesses
from qoqdata.curation.overlaps import SIDE, overlap
from qoqdata.curation.sameness import sameness
from qoqdata.records.keypoints import POINTS, keypoints, words_and_places
from qoqdata.records.likeness import image_likeness
from tests.curation.films import built, in_train

CUTS = ((0.02,) * 4, (0.05,) * 4, (0.1,) * 4, (0.1, 0, 0, 0), (0, 0.1, 0.03, 0.07))


def textured(seed: int, side: int = 300) -> np.ndarray:
    """Blobs of many sizes, uint8 (side, side, 3), as skin, tissue and films have them."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(0, 1, (n, n)).astype(np.float32), (side, side), interpolation=2)
        for n in (6, 12, 24, 48)
    ]
    grey = np.clip(128 + 35 * np.sum(layers, axis=0), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def cut(pixels: np.ndarray, top: float, bottom: float, left: float, right: float) -> np.ndarray:
    rows, columns = pixels.shape[:2]
    down = slice(round(top * rows), rows - round(bottom * rows))
    return pixels[down, round(left * columns) : columns - round(right * columns)]


@pytest.mark.parametrize("sides", CUTS)
def test_a_cropped_copy_is_found_and_called_one(
    tmp_path: Path, sides: tuple[float, float, float, float]
) -> None:
    films = {f"a{n}.png": textured(n) for n in range(4)}
    copy = cv2.resize(cut(textured(2), *sides), (200, 200), interpolation=cv2.INTER_AREA)
    dataset = in_train(tmp_path, films | {"a9.jpg": copy})
    pairs = alike(dataset, contents(likenesses(dataset)), radius=6, detail=0.85).pairs
    assert pairs.height == 1
    assert pairs["way"].to_list() == ["cropped"]
    assert pairs["correlation"].min() > 0.9


def test_a_cropped_copy_of_a_test_image_leaks(tmp_path: Path) -> None:
    whole = textured(1)
    films = [("a.png", "test", "a", whole), ("b.png", "train", "a", cut(whole, *CUTS[2]))]
    films += [(f"c{n}.png", "train", "a", textured(n + 5)) for n in range(3)]
    dataset = built(tmp_path, films)
    leaks = find_leaks(sameness(dataset, radius=6, detail=0.85))
    assert leaks.select("split", "other_split", "way").rows() == [("train", "test", "cropped")]


def test_copies_of_one_image_in_two_splits_make_as_many_rows(tmp_path: Path) -> None:
    films = [(f"{s}{n}.png", s, "a", textured(1)) for s in ("train", "test") for n in range(6)]
    leaks = find_leaks(sameness(built(tmp_path, films), radius=6, detail=0.85))
    assert leaks.height == 6
    assert leaks["id"].n_unique() == 6
    assert leaks["other"].n_unique() == 1


def test_points_and_words_stay_where_a_crop_leaves_them() -> None:
    whole = textured(3)[..., 0]
    cropped = cut(whole, 0, 0.1, 0.1, 0)
    both = [image_likeness(np.ascontiguousarray(one)).keypoints for one in (whole, cropped)]
    cells = np.frombuffer(b"".join(one for one in both if one is not None), np.uint8)
    words, places = words_and_places(cells.reshape(2, -1))
    shared, _ = sharing_words(words, places)
    assert shared.one.tolist() == [0] and shared.other.tolist() == [1]
    # 0.9 of each side is left, so what was at 1 is at 10/9 of a side, less what was cut before it.
    np.testing.assert_allclose(shared.scale[0], [1 / 0.9, 1 / 0.9], atol=0.05)
    np.testing.assert_allclose(shared.shift[0], [-0.1 / 0.9, 0], atol=0.03)


def test_an_image_without_a_point_has_no_word() -> None:
    words, _ = words_and_places(
        np.frombuffer(keypoints(np.full((72, 72), 9, np.uint8)), np.uint8)[None]
    )
    assert not words.any()


def _planted(images: dict[int, list[tuple[int, int, int]]]) -> tuple[np.ndarray, np.ndarray]:
    words = np.zeros((len(images), POINTS), np.uint32)
    places = np.zeros((len(images), POINTS, 2), np.uint8)
    for image, points in images.items():
        for number, (word, across, down) in enumerate(points):
            words[image, number], places[image, number] = word << 8, (across, down)
    return words, places


def test_two_words_apart_and_in_possible_places_make_a_pair() -> None:
    words, places = _planted({
        0: [(5, 20, 20), (6, 200, 100)],
        1: [(5, 30, 20), (6, 210, 110)],  # both moved by less than a tenth
        2: [(5, 25, 20), (7, 200, 100)],  # one word alone
        3: [(5, 120, 20), (6, 200, 180)],  # moved too far
        4: [(8, 50, 50), (9, 52, 50)],
        5: [(8, 50, 50), (9, 52, 50)],  # two words in one place
    })  # fmt: skip
    shared, _ = sharing_words(words, places)
    assert list(zip(shared.one, shared.other, strict=True)) == [(0, 1)]
    assert shared.words.tolist() == [2]


_POINT = st.tuples(st.integers(1, 6), st.integers(0, 255), st.integers(0, 255))


@given(st.lists(st.lists(_POINT, max_size=3), min_size=1, max_size=5))
def test_few_words_are_all_compared(points: list[list[tuple[int, int, int]]]) -> None:
    """As comparing all with all, while no word has more points than are compared."""
    shared, _ = sharing_words(*_planted(dict(enumerate(points))))
    expected = {}
    for one, other in combinations(range(len(points)), 2):
        both = [
            a[1:]
            for a, b in product(points[one], points[other])
            if a[0] == b[0] and abs(a[1] - b[1]) <= 31 and abs(a[2] - b[2]) <= 31
        ]
        spans = [max(axis) - min(axis) for axis in zip(*both, strict=True)]
        if len(both) >= 2 and max(spans) / 256 >= 0.03:
            expected[one, other] = len(both)
    found = dict(zip(zip(shared.one, shared.other, strict=True), shared.words, strict=True))
    assert found == expected


def test_parts_of_the_matches_give_the_pairs_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    points = rng.integers(0, 256, (40, 9, 3))
    points[..., 0] = points[..., 0] % 12 + 1
    planted = _planted({n: [tuple(p) for p in some] for n, some in enumerate(points.tolist())})
    whole, _ = sharing_words(*planted)
    assert len(whole.one) > 20
    for most in (1, 7, 50):
        monkeypatch.setattr(crops, "_GATHERED", most)
        for ours, all_ in zip(sharing_words(*planted)[0], whole, strict=True):
            np.testing.assert_array_equal(ours, all_)


def test_of_images_that_are_all_alike_few_pairs_are_looked_at() -> None:
    words = np.tile(np.arange(1, POINTS + 1, dtype=np.uint32) << 8, (500, 1))
    places = np.tile(np.arange(POINTS, dtype=np.uint8)[:, None] * 3, (500, 1, 2))
    pairs, crowded = sharing_words(words, places)
    assert not len(crowded)
    kept, cut = likest(pairs.one, pairs.other, pairs.words, 16)
    pairs = pairs.where(kept)
    assert 499 <= len(pairs.one) <= 500 * 16
    assert set(pairs.one) | set(pairs.other) == set(range(500))
    assert not len(cut)


def test_words_that_very_many_images_have_are_passed_over_and_told() -> None:
    words = np.tile(np.arange(1, POINTS + 1, dtype=np.uint32) << 8, (600, 1))
    # The last two have words of their own, and one image has a few of the common ones only.
    words[598:] += np.uint32(1 << 31)
    words[0, 3:] = 0
    places = np.tile(np.arange(POINTS, dtype=np.uint8)[:, None] * 3, (600, 1, 2))
    pairs, crowded = sharing_words(words, places)
    assert list(zip(pairs.one, pairs.other, strict=True)) == [(598, 599)]
    assert crowded.tolist() == list(range(598))


def test_words_of_larger_sets_agree_in_more_bits() -> None:
    assert [agreeing(count) for count in (0, 1_000, 2**24, 2**25 + 1, 2**40)] == [
        24,
        24,
        25,
        27,
        28,
    ]


def test_what_is_laid_over_another_is_compared_where_they_overlap() -> None:
    whole = cv2.resize(textured(1)[..., 0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    part = cv2.resize(
        cut(textured(1)[..., 0], 0.1, 0.1, 0.05, 0.05), (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
    about = np.array([1.1, 1.22]), np.array([-0.05, -0.12])
    found = overlap(whole, part, *about)
    assert found is not None and found.cropped and found.correlation > 0.97
    same = overlap(whole, whole, np.ones(2), np.zeros(2))
    assert same is not None and not same.cropped and same.correlation > 0.99
    other = cv2.resize(textured(8)[..., 0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    unlike = overlap(whole, other, *about)
    assert unlike is None or unlike.correlation < 0.5
    assert overlap(whole, np.full_like(whole, 7), *about) is None
