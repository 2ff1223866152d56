"""k-means on the line and on vectors, against brute force and scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqtrain import DRPO
from qoqtrain.drpo import DRPOSettings
from qoqtrain.drpo.clustering.clusters import Evidence, cluster_domains, elbow
from qoqtrain.drpo.clustering.kmeans import global_kmeans
from qoqtrain.drpo.clustering.line import LineClusterings


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small fits are many times slower on several threads of a busy machine."""
    with pytest.importorskip("threadpoolctl").threadpool_limits(1):
        yield


def inertia(points: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> float:
    cost = 0.0
    for label in np.unique(labels):
        mine = labels == label
        centre = np.average(points[mine], axis=0, weights=weights[mine])
        cost += float(
            (weights[mine, None] * (points[mine].reshape(mine.sum(), -1) - centre) ** 2).sum()
        )
    return cost / weights.sum()


def brute_force(points: np.ndarray, weights: np.ndarray, k: int) -> float:
    """Best mean cost over every way to cut the sorted points into k runs."""
    best = np.inf
    for cuts in combinations(range(1, points.size), k - 1):
        labels = np.zeros(points.size, dtype=int)
        labels[list(cuts)] = 1
        best = min(best, inertia(points, weights, np.cumsum(labels)))
    return best


lattice = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 9)),
    min_size=1,
    max_size=9,
    unique_by=lambda p: p[0],
)


@given(st.lists(lattice, min_size=1, max_size=4))
@settings(max_examples=40)
def test_lines_are_solved_exactly_for_every_k(raw: list[list[tuple[int, int]]]) -> None:
    lines = []
    for line in raw:
        points, weights = np.array(sorted(line), dtype=float).T
        lines.append((points / 40, weights))
    solved = LineClusterings(lines, 5)
    for i, (points, weights) in enumerate(lines):
        for k in range(1, 6):
            if k > points.size:
                assert solved.inertias[i, k - 1] == np.inf
                continue
            assert solved.inertias[i, k - 1] == pytest.approx(
                brute_force(points, weights, k), abs=1e-14
            )
            labels = solved.labels(i, k)
            assert sorted(set(labels.tolist())) == list(range(k))
            assert inertia(points, weights, labels) == pytest.approx(
                solved.inertias[i, k - 1], abs=1e-14
            )


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize(
    ("size", "k_max"), [(1, 6), (10, 12), (63, 11), (64, 6), (65, 10), (200, 7), (700, 11)]
)
def test_long_lines_match_the_plain_recursion(size: int, k_max: int, skewed: bool) -> None:
    rng = np.random.default_rng(size)
    points = np.unique(rng.beta(0.7, 2.0, size))
    weights = rng.integers(1, 50, points.size).astype(float)
    if skewed:
        weights = np.exp(rng.normal(0.0, 4.0, points.size))
    mass = np.concatenate([[0], np.cumsum(weights)]) / weights.sum()
    first = np.concatenate([[0], np.cumsum(weights * points)]) / weights.sum()
    second = np.concatenate([[0], np.cumsum(weights * points**2)]) / weights.sum()
    best = np.full(points.size + 1, np.inf)
    best[0] = 0.0
    expected = []
    for _ in range(k_max):
        after = np.full_like(best, np.inf)
        for end in range(1, points.size + 1):
            start = np.arange(end)
            run = second[end] - second[start]
            run -= (first[end] - first[start]) ** 2 / (mass[end] - mass[start])
            after[end] = (best[start] + run).min()
        best = after
        expected.append(best[-1])
    solved = LineClusterings([(points, weights), (np.array([0.5]), np.ones(1))], k_max)
    got = solved.inertias[0]
    finite = np.isfinite(got)
    np.testing.assert_allclose(got[finite], np.array(expected)[finite], atol=1e-13)
    assert finite.sum() == min(k_max, points.size)
    for k in range(1, finite.sum() + 1):
        labels = solved.labels(0, k)
        assert (np.diff(labels) >= 0).all() and np.unique(labels).size == k
        cost = inertia(points, weights / weights.sum(), labels)
        assert cost == pytest.approx(got[k - 1], abs=1e-13)


def test_never_worse_than_scikit_learn_with_many_starts(one_thread: None) -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(5)
    for k in (2, 5):
        points = np.unique(rng.random(60))
        weights = rng.integers(1, 5, points.size).astype(float)
        best = cluster.KMeans(k, n_init=40, random_state=1, tol=0).fit(
            points[:, None], sample_weight=weights
        )
        ours = LineClusterings([(points, weights)], k).inertias[0, k - 1]
        assert ours <= best.inertia_ / weights.sum() * (1 + 1e-9)
        assert ours >= best.inertia_ / weights.sum() * 0.98


def test_a_symmetric_tie_goes_left_whatever_the_rounding() -> None:
    for shift in (0.0, 1e-3, 0.1234567):
        points = np.array([0.2, 0.4, 0.6]) + shift
        labels = LineClusterings([(points, np.ones(3))], 2).labels(0, 2)
        assert labels.tolist() == [0, 1, 1]


def test_vectors_come_near_the_best_of_many_scikit_learn_starts(one_thread: None) -> None:
    """Points without any structure, the hardest case for one deterministic start."""
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(2)
    ratios = []
    for _ in range(4):
        points = rng.integers(0, 5, (40, 5)) / 4
        _, inertias = global_kmeans(points, np.ones(40), 6, len)
        for k in (2, 4, 6):
            best = cluster.KMeans(k, n_init=20, random_state=0, tol=0).fit(points).inertia_
            ratios.append(inertias[k - 1] / best)
    assert max(ratios) < 1.05
    assert np.median(ratios) < 1.01


def test_vectors_do_not_depend_on_their_order() -> None:
    rng = np.random.default_rng(3)
    points = rng.integers(0, 4, (50, 3)) / 3
    order = rng.permutation(50)
    labels, inertias = global_kmeans(points, np.ones(50), 5, lambda i: 4)
    other, again = global_kmeans(points[order], np.ones(50), 5, lambda i: 4)
    assert inertias == again
    assert np.array_equal(labels[order], other)


@pytest.mark.parametrize(
    ("inertias", "k"),
    [
        ([0.0], 1),
        ([1.0, 0.0], 2),
        ([1.0, 0.1, 0.05], 2),  # drops .9, .05: the second is below a tenth
        ([1.0, 0.1, 0.0], 3),  # drops .9, .1: above a tenth
        ([10.0, 4.0, 1.0, 0.9, 0.0], 3),  # drops 6, 3, .1, .9
        ([1.0, 0.5, 0.25, 0.125], 4),
    ],
)
def test_elbow_by_hand(inertias: list[float], k: int) -> None:
    assert elbow(inertias, 0.10) == k


def test_equal_means_are_one_point() -> None:
    means = np.array([0.2, 0.2, 0.8, 0.8, 0.8])
    evidence = Evidence(means[:, None], means, np.ones(5), np.arange(5))
    settings = DRPOSettings(kmeans="exact1d", history="all", k_max=10, elbow_tolerance=0.1)
    (clustering,) = cluster_domains([evidence], settings)
    assert clustering.k == 2
    assert clustering.counts.tolist() == [2, 3]
    assert clustering.labels.tolist() == [0, 0, 1, 1, 1]


@given(
    st.lists(st.lists(st.integers(0, 1), min_size=5, max_size=5), min_size=2, max_size=40),
    st.lists(st.sampled_from("ABC"), min_size=40, max_size=40),
    st.sampled_from([64, 256, 1024]),
)
@settings(max_examples=40)
def test_bins_equal_exact_points_on_a_lattice(
    groups: list[list[int]], domains: list[str], bins: int
) -> None:
    """Accuracy over five rollouts: at most six means, each alone in its bin."""
    questions = np.repeat(np.arange(len(groups)), 5)
    columns = (np.concatenate(groups), questions, np.repeat(domains[: len(groups)], 5))
    binned = DRPO.preset("streaming", bins=bins)
    exact = DRPO.preset("streaming", kmeans="exact1d", history="all")
    for _ in range(2):
        a, b = binned.step(*columns), exact.step(*columns)
        np.testing.assert_allclose(a.factors, b.factors, rtol=1e-9)
        np.testing.assert_allclose(a.advantages, b.advantages, rtol=1e-9)


def test_fine_bins_approach_exact_points_on_a_continuum() -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(300), 5)
    columns = (rng.beta(2, 2, 1500), questions, np.repeat(rng.choice(["A", "B"], 300), 5))
    exact = DRPO.preset("streaming", kmeans="exact1d", history="all", bounds=None).step(*columns)
    spread = {}
    for bins in (64, 256, 1024):
        binned = DRPO.preset("streaming", bins=bins, bounds=None).step(*columns)
        spread[bins] = np.abs(np.log(binned.factors / exact.factors))
    assert np.median(spread[256]) < 0.02
    assert np.quantile(spread[1024], 0.95) < 0.01
    inertia_of = exact.report["domains"]["A"]["inertias"]
    coarse = DRPO.preset("streaming", bins=64).step(*columns).report["domains"]["A"]["inertias"]
    # The first is the variance of the question means: bins lose none of it.
    assert coarse[0] == pytest.approx(inertia_of[0], rel=1e-9)
