"""Ridge regression, its penalty chosen by generalised cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

#: Penalties that are tried, times the largest eigenvalue.
_PENALTIES = np.geomspace(1e-6, 1e1, 15)
#: Eigenvalues below this part of the largest are rounding; the least penalty is far above it.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Ridge:
    """A fit: `coefficients` (features, outputs) of features less `centre`, times `scale`."""

    centre: Matrix
    scale: Matrix
    coefficients: Matrix
    offset: Matrix

    def __call__(self, features: NDArray[np.floating[Any]]) -> Matrix:
        """Predicted outputs (n, outputs) of features (n, features)."""
        return (features - self.centre) * self.scale @ self.coefficients + self.offset


def fit(features: NDArray[np.floating[Any]], outputs: Matrix) -> Ridge:
    """Fit `outputs` (n, outputs) on `features` (n, features), each made to unit variance.

    The penalty minimises n |y - f|^2 / (n - df)^2 over all outputs together (Golub, Heath and
    Wahba, Technometrics 1979), df being the effective degrees of freedom, 1 of them the mean's.
    """
    raw = np.asarray(features, np.float64)
    centre, deviation = raw.mean(axis=0), raw.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 1e-9)
    varying = np.flatnonzero(scale)
    x = (raw[:, varying] - centre[varying]) * scale[varying]
    offset = outputs.mean(axis=0)
    y = outputs - offset
    values, vectors = _spectrum(x)
    projections = vectors.T @ (x.T @ y)
    coefficients = np.zeros((raw.shape[1], outputs.shape[1]))
    if values.size:
        penalty = _penalty(values, projections, y)
        coefficients[varying] = vectors @ (projections / (values + penalty)[:, None])
    return Ridge(centre, scale, coefficients, offset)


def _spectrum(x: Matrix) -> tuple[Matrix, Matrix]:
    """Eigenvalues of x'x above 0, ascending, and their vectors (features, values).

    Both are found from the smaller of x'x and xx', whose eigenvalues above 0 are the same: with
    few questions and a thousand features that is the difference between a moment and a minute.
    """
    tall = x.shape[0] >= x.shape[1]
    values, vectors = np.linalg.eigh(x.T @ x if tall else x @ x.T)
    above = values > _ROUNDING * max(values[-1], 0.0) if values.size else np.zeros(0, np.bool_)
    values, vectors = values[above], vectors[:, above]
    return values, vectors if tall else x.T @ vectors / np.sqrt(values)


def _penalty(values: Matrix, projections: Matrix, y: Matrix) -> float:
    """The penalty with the least generalised cross-validation error; the larger of equals."""
    errors = []
    for penalty in _PENALTIES * values[-1]:
        sums = values + penalty
        explained = (projections**2 * ((values + 2 * penalty) / sums**2)[:, None]).sum()
        freedom = len(y) - 1 - (values / sums).sum()
        residual = max(float((y**2).sum() - explained), 0.0)
        errors.append(len(y) * residual / max(freedom, 1e-9) ** 2)
    best = len(errors) - 1 - int(np.argmin(errors[::-1]))
    return float(_PENALTIES[best] * values[-1])
