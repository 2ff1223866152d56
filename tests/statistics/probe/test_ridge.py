"""Ridge regression against scikit-learn, its penalty against the hat matrix written out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Reference

from qoqdata.statistics.probe import ridge


def made(n: int, d: int, k: int, *, noise: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.1, 50, d) + rng.uniform(-9, 9, d)
    y = x @ rng.normal(size=(d, k)) / d + noise * rng.normal(size=(n, k))
    return x, y, rng.normal(size=(7, d)) * 10


def penalty_by_hat_matrix(x: np.ndarray, y: np.ndarray) -> float:
    """The penalty with the least n |y - f|^2 / (n - df)^2, from n x n matrices."""
    z = (x - x.mean(0)) / x.std(0)
    largest = np.linalg.eigvalsh(z.T @ z)[-1]
    n, errors = len(y), []
    tried = [factor * largest for factor in ridge._PENALTIES]
    for penalty in tried:
        hat = z @ np.linalg.inv(z.T @ z + penalty * np.eye(z.shape[1])) @ z.T + 1 / n
        errors.append(n * ((y - hat @ y) ** 2).sum() / (n - np.trace(hat)) ** 2)
    return tried[int(np.argmin(errors))]


@pytest.mark.parametrize(("n", "d", "noise"), [(60, 8, 0.1), (60, 8, 20.0), (40, 30, 3.0)])
def test_the_fit_is_scikit_learns_at_the_penalty_that_the_hat_matrix_chooses(n, d, noise):
    x, y, asked = made(n, d, 3, noise=noise)
    centre, spread = x.mean(0), x.std(0)
    reference = Reference(alpha=penalty_by_hat_matrix(x, y), solver="cholesky")
    reference.fit((x - centre) / spread, y)
    expected = reference.predict((asked - centre) / spread)
    np.testing.assert_allclose(ridge.fit(x, y)(asked), expected, rtol=1e-7, atol=1e-7)


def test_features_that_never_vary_count_for_nothing():
    x, y, asked = made(50, 6, 2, noise=1.0)
    padded = np.hstack([x, np.full((50, 3), 4.0)])
    wild = np.hstack([asked, np.full((7, 3), 1e6)])
    np.testing.assert_allclose(ridge.fit(padded, y)(wild), ridge.fit(x, y)(asked), rtol=1e-9)


def test_without_any_varying_feature_the_answer_is_the_mean():
    y = np.arange(12.0).reshape(6, 2)
    np.testing.assert_allclose(ridge.fit(np.ones((6, 3)), y)(np.zeros((2, 3))), [y.mean(0)] * 2)


def test_more_features_than_questions():
    x, y, asked = made(20, 200, 2, noise=0.5)
    assert np.isfinite(ridge.fit(x, y)(asked)).all()
